package jepsen

import (
	"bytes"
	"flag"
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

func TestBadInput(t *testing.T) {
	for in, want := range map[string]string{
		`{:process 0 :type :invoke :f :read`:                     "after operation 0",
		`{:process 0 :type :maybe :f :read}`:                     "type: \"maybe\" given",
		`{:process 1.5 :type :ok :f :read}`:                      "process: 1.5 given",
		`{:type :ok :f :read}`:                                   "process: none given",
		`[1 2]`:                                                  "a map allowed",
		"INFO jepsen.util - 0 :ok :read [1":                      "line 1: value",
		`{:process 0 :type :ok :f :read :value 3}` + "\n{":       "after operation 1",
		`{:process 0 :type :ok :f :read :value #inst "2026-13"}`: "operation 0",
	} {
		if _, err := Read(strings.NewReader(in), Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", in, err)
		}
	}
	if _, err := Read(strings.NewReader(`{:process 0 :type :ok :f :read :value 3}`), Options{Independent: true}); err == nil {
		t.Error("3 is not [key value]")
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
		back, err := ReadEDN(bytes.NewReader(b.Bytes()), Options{Independent: h[0].Key != ""})
		if err != nil {
			t.Fatalf("%v in:\n%s", err, b.String())
		}
		if got := text(t, back); got != lines {
			t.Errorf("wrote:\n%s\nread:\n%s", b.String(), got)
		}
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
		if err != nil {
			return
		}
		for i, o := range h {
			if o.Index != i || o.Type == 0 {
				t.Fatalf("event %d: %+v", i, o)
			}
		}
		if err := Write(&bytes.Buffer{}, h); err != nil {
			t.Fatal(err)
		}
	})
}
