package jepsen

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rift/harness/history"
)

var update = flag.Bool("update", false, "rewrite what the files in testdata are read as")

func text(t *testing.T, h history.History) string {
	t.Helper()
	var b bytes.Buffer
	if err := history.Write(&b, h); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestRead compares what each file is read as with what stands beside it.
func TestRead(t *testing.T) {
	for _, c := range []struct {
		file string
		Options
	}{
		{"knossos.edn", Options{}},
		{"elle.edn", Options{}},
		{"etcd.log", Options{Observed: true}},
	} {
		f, err := os.Open(filepath.Join("testdata", c.file))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		h, err := Read(f, c.Options)
		if err != nil {
			t.Fatalf("%s: %v", c.file, err)
		}
		golden := filepath.Join("testdata", c.file+".jsonl")
		if *update {
			if err := os.WriteFile(golden, []byte(text(t, h)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got := text(t, h); got != string(want) {
			t.Errorf("%s: got:\n%s\nwant:\n%s", c.file, got, want)
		}
	}
}

func TestIndependent(t *testing.T) {
	h, err := Read(strings.NewReader(`{:process 0 :type :invoke :f :write :value [7 3]}
{:process 0 :type :ok :f :write :value [7 3]} {:process 1 :type :invoke :f :read :value ["a" nil]}`), Options{Independent: true})
	if err != nil {
		t.Fatal(err)
	}
	if h[0].Key != "7" || string(h[1].Value) != "3" || h[2].Key != "a" || string(h[2].Value) != "null" {
		t.Errorf("got:\n%s", text(t, h))
	}
}

// collect gives what stands before the damage.
func collect(each func(io.Reader, Options, func(history.Op) error) (history.Damage, error), in string, o Options) (h history.History, d history.Damage, err error) {
	d, err = each(strings.NewReader(in), o, func(e history.Op) error {
		h = append(h, e)
		return nil
	})
	return h, d, err
}

func TestDamageEndsTheHistoryAndIsCounted(t *testing.T) {
	const op = "{:process 0 :type :invoke :f :read}"
	for _, c := range []struct {
		in                   string
		whole, line, dropped int
		reason               string
	}{
		{op + "\n" + op[:20], 1, 2, 1, "middle of an operation"},
		{"[" + op + "\n" + op + "\n\n", 2, 4, 1, "before the bracket"},
		{op + "\n\n{:process 0 :type :maybe :f :read}\n" + op + "\n\n" + op, 1, 3, 3, "type: \"maybe\" given"},
		{"; one\n{:process 1.5\n :type :ok :f :read}\n" + op, 0, 2, 3, "process: 1.5 given"},
		{"{:type :ok :f :read}", 0, 1, 1, "process: none given"},
		{"[1 2]", 0, 1, 1, "a map allowed"},
		{op + "]", 1, 1, 1, "not opened"},
		{op + " {:process 0 :type :ok :f :read :value #inst \"2026-13\"}", 1, 1, 1, "parsing time"},
		{"#_{:process x} " + op + "#_ 7\n(" + op + ")", 2, 0, 0, ""},
		{"; nothing", 0, 0, 0, ""},
	} {
		h, d, err := collect(EachEDN, c.in, Options{})
		if err != nil || len(h) != c.whole || d.Line != c.line || d.Dropped != c.dropped || !strings.Contains(d.Reason, c.reason) {
			t.Errorf("%s: %d operations, %+v, %v", c.in, len(h), d, err)
		}
	}
	for _, c := range []struct {
		in                   string
		whole, line, dropped int
		reason               string
	}{
		{"0 :ok :read [1\nother\n0 :ok :read 1\n", 0, 1, 3, "No more tokens"},
		{"0 :invoke :read\r\n0 :ok :read 15\r\nend", 2, 0, 0, ""},
		{"0 :invoke :read nil\n0 :ok :read 1", 1, 2, 1, "not ended"},
	} {
		h, d, err := collect(EachLogged, c.in, Options{})
		if err != nil || len(h) != c.whole || d.Line != c.line || d.Dropped != c.dropped || !strings.Contains(d.Reason, c.reason) {
			t.Errorf("%s: %d operations, %+v, %v", c.in, len(h), d, err)
		}
	}
}

func TestReadNamesTheLineOfTheDamage(t *testing.T) {
	h, err := Read(strings.NewReader("{:process 0 :type :ok :f :read :value 3}\n{"), Options{})
	if len(h) != 1 || err == nil || !strings.Contains(err.Error(), "line 2: ") {
		t.Errorf("%v, %v", h, err)
	}
	if _, err := Read(strings.NewReader(`{:process 0 :type :ok :f :read :value 3}`), Options{Independent: true}); err == nil {
		t.Error("3 is not [key value]")
	}
}

func TestATakerThatRefusesEndsTheReading(t *testing.T) {
	full := errors.New("the disk is full")
	refuse := func(history.Op) error { return full }
	if _, err := EachEDN(strings.NewReader("{:process 0 :type :ok :f :read} {"), Options{}, refuse); !errors.Is(err, full) {
		t.Errorf("EDN: %v", err)
	}
	if _, err := EachLogged(strings.NewReader("0 :ok :read\n"), Options{}, refuse); !errors.Is(err, full) {
		t.Errorf("log: %v", err)
	}
}

func TestOperationsWithoutProcessesArePairedAsTheyStand(t *testing.T) {
	h, _, _ := collect(EachEDN, "{:type :invoke} {:type :ok} {:type :invoke} {:type :info}", Options{})
	if ops, err := h.Operations(); err != nil || len(ops) != 2 || ops[0].Process == ops[1].Process {
		t.Errorf("%+v, %v", ops, err)
	}
}

// TestWrite reads back what was written.
func TestWrite(t *testing.T) {
	for _, lines := range []string{
		`{"index":0,"time":5,"process":0,"type":"invoke","f":"write","key":"7","value":3}
{"index":1,"time":6,"process":-1,"type":"info","f":"kill","value":{"nodes":["n1","n\"2"],"x":null}}
{"index":2,"time":7,"process":0,"type":"fail","f":"write","key":"7","value":3,"error":"no \\ leader\nhere"}
`,
		`{"index":0,"time":5,"process":0,"type":"invoke","f":"txn","value":[["append","x",3],["r",5,null]]}
{"index":1,"time":6,"process":0,"type":"ok","f":"txn","value":[["append","x",3],["r",5,[1,2,true,1.5,"s"]]]}
`,
	} {
		h, damage, err := history.Read(strings.NewReader(lines))
		if err != nil || damage.Dropped > 0 {
			t.Fatal(damage, err)
		}
		var b bytes.Buffer
		if err := Write(&b, h); err != nil {
			t.Fatal(err)
		}
		back, err := Read(bytes.NewReader(b.Bytes()), Options{Independent: h[0].Key != ""})
		if err != nil {
			t.Fatalf("%v in:\n%s", err, b.String())
		}
		if got := text(t, back); got != lines {
			t.Errorf("wrote:\n%s\nread:\n%s", b.String(), got)
		}
	}
}

// TestWriteFollowsJepsensConventions: completions carry their argument, faults are :info, and what cannot be a keyword is refused.
func TestWriteFollowsJepsensConventions(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, history.History{
		{Process: 0, Type: history.Invoke, F: "write", Value: []byte(`36893488147419103232`)},
		{Process: -2, Type: history.Invoke, F: "kill"},
		{Process: 0, Type: history.OK, F: "write"},
	}); err != nil {
		t.Fatal(err)
	}
	const want = `{:index 0, :time 0, :process 0, :type :invoke, :f :write, :value 36893488147419103232N}
{:index 1, :time 0, :process :nemesis, :type :info, :f :kill, :value nil}
{:index 2, :time 0, :process 0, :type :ok, :f :write, :value 36893488147419103232N}
`
	if b.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", b.String(), want)
	}
	if err := Write(&b, history.History{{Type: history.Invoke, F: "read it"}}); err == nil || !strings.Contains(err.Error(), `f: "read it" given`) {
		t.Error(err)
	}
}

// FuzzRead holds that nothing makes the reader fall over, and that what it accepts is a history that can be written.
func FuzzRead(f *testing.F) {
	files, _ := filepath.Glob("testdata/*[nog]")
	for _, file := range files {
		if b, err := os.ReadFile(file); err == nil {
			f.Add(b, false)
		}
	}
	f.Add([]byte(`({:process 0 :type :ok :f :r :value #{1 nil [2 {:a \x}]}})`), true)
	f.Fuzz(func(t *testing.T, in []byte, independent bool) {
		h, err := Read(bytes.NewReader(in), Options{Independent: independent})
		for i, o := range h {
			if o.Index != i || o.Type == 0 {
				t.Fatalf("event %d: %+v", i, o)
			}
		}
		var b bytes.Buffer
		if err != nil || Write(&b, h) != nil {
			return
		}
		if back, err := Read(bytes.NewReader(b.Bytes()), Options{}); err != nil || len(back) != len(h) {
			t.Fatalf("%d of %d events came back, %v, from:\n%s", len(back), len(h), err, b.String())
		}
	})
}
