package history

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var sample = History{
	{Index: 0, Time: 10, Process: 0, Type: Invoke, F: "write", Key: "r1", Value: json.RawMessage(`1`), Node: "n1"},
	{Index: 1, Time: 20, Process: 1, Type: Invoke, F: "read", Key: "r1", Node: "n2"},
	{Index: 2, Time: 30, Process: -1, Type: Invoke, F: "kill", Value: json.RawMessage(`{"fault":1}`)},
	{Index: 3, Time: 40, Process: 0, Type: OK, F: "write", Key: "r1", Value: json.RawMessage(`1`), Node: "n1"},
	{Index: 4, Time: 50, Process: 1, Type: Info, F: "read", Key: "r1", Node: "n2", Error: "deadline \"exceeded\" – é\n"},
	{Index: 5, Time: 60, Process: 2, Type: Invoke, F: "cas", Key: "r1", Value: json.RawMessage(`[1,2]`)},
}

func encode(t *testing.T, h History) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, h); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestHistoryComesBackAsItWasWritten(t *testing.T) {
	got, damage, err := Read(bytes.NewReader(encode(t, sample)))
	if err != nil || damage != (Damage{}) {
		t.Fatalf("err %v, damage %v", err, damage)
	}
	if !reflect.DeepEqual(got, sample) {
		t.Errorf("got  %+v\nwant %+v", got, sample)
	}
}

func TestWrittenLinesAreWhatEncodingJSONWrites(t *testing.T) {
	for _, op := range sample {
		want, err := json.Marshal(op)
		if err != nil {
			t.Fatal(err)
		}
		if got := op.AppendJSON(nil); string(got) != string(want) {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestDamageEndsTheHistoryAndIsCounted(t *testing.T) {
	lines := strings.SplitAfter(strings.TrimSuffix(string(encode(t, sample)), "\n"), "\n")
	for _, tc := range []struct {
		name          string
		file          string
		whole, drops  int
		firstBadLine  int
		reasonMention string
	}{
		{"cut in the last line", strings.Join(lines, "")[:len(strings.Join(lines, ""))-7], 5, 1, 6, "not an event"},
		{"garbage in the middle", lines[0] + lines[1] + "\x00\x00\x00\n" + lines[3] + lines[4], 2, 3, 3, "not an event"},
		{"a line is missing", lines[0] + lines[1] + lines[3], 2, 1, 3, "lines are missing"},
		{"no type", lines[0] + `{"index":1,"f":"read"}` + "\n", 1, 1, 2, "no type"},
		{"empty lines are nothing", lines[0] + "\n\n" + lines[1], 2, 0, 0, ""},
		{"empty file", "", 0, 0, 0, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, damage, err := Read(strings.NewReader(tc.file))
			if err != nil {
				t.Fatal(err)
			}
			if len(h) != tc.whole || damage.Dropped != tc.drops || damage.Line != tc.firstBadLine || !strings.Contains(damage.Reason, tc.reasonMention) {
				t.Errorf("%d events, damage %+v; want %d events, %d dropped from line %d", len(h), damage, tc.whole, tc.drops, tc.firstBadLine)
			}
		})
	}
}

func TestForeignHistoriesWithoutIndexAreNumbered(t *testing.T) {
	const file = `{"process": 0, "type": "invoke", "f": "read", "value": null}
{"time": 5, "process": 0, "type": "ok", "f": "read", "value": [ 1, 2 ], "extra": true}
{"process": 1, "type": "invoke", "f": "read"}`
	h, damage, err := Read(strings.NewReader(file))
	if err != nil || damage.Dropped != 0 || len(h) != 3 {
		t.Fatalf("%v %v %v", h, damage, err)
	}
	if h[1].Index != 1 || h[2].Index != 2 || string(h[1].Value) != "[1,2]" {
		t.Errorf("got %+v", h)
	}
}

func TestOperationsArePaired(t *testing.T) {
	ops, err := sample.Operations()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range ops {
		got = append(got, fmt.Sprintf("%d %s %s %d-%d", o.Process, o.F, o.Type, o.Index, o.End))
	}
	want := []string{"0 write ok 0-3", "1 read info 1-4", fmt.Sprintf("2 cas info 5-%d", int64(Never))}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestOperationsRefusesWhatNoHarnessRecords(t *testing.T) {
	invoke, ok, info := Op{Type: Invoke, F: "read"}, Op{Type: OK, F: "read"}, Op{Type: Info, F: "read"}
	for name, h := range map[string]History{
		"completion without invocation": {ok},
		"two invocations at once":       {invoke, invoke},
		"retired process goes on":       {invoke, info, invoke},
		"another function completes":    {invoke, {Type: OK, F: "write"}},
	} {
		if _, err := h.Operations(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestLoadSaysWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), HistoryFile) {
		t.Fatalf("a folder without a history gave %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, HistoryFile), encode(t, sample)[:300], 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(r.Problems, "; ")
	for _, want := range []string{"dropped", TestFile + " is missing", PlanFile + " is missing", EvidenceFile + " is missing"} {
		if !strings.Contains(all, want) {
			t.Errorf("problems %q lack %q", all, want)
		}
	}
}

// A run from before rift recorded clocks is as good as any.
func TestLoadReadsClocksIfThereAreAny(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, HistoryFile), encode(t, sample), 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := Load(dir)
	if err != nil || len(r.Clocks) != 0 || strings.Contains(strings.Join(r.Problems, "; "), ClocksFile) {
		t.Fatalf("without clocks: %v, %v, problems %q", r.Clocks, err, r.Problems)
	}
	lines := `{"time":5,"node":"n1","wall":-3600000000000,"wall_rate":1.5,"monotonic_rate":1}` + "\n" + `{"time":9,"node":"n1","down":true}` + "\n"
	if err := os.WriteFile(filepath.Join(dir, ClocksFile), []byte(lines), 0o644); err != nil {
		t.Fatal(err)
	}
	want := []ClockSample{{Time: 5, Node: "n1", Wall: -time.Hour, WallRate: 1.5, MonotonicRate: 1}, {Time: 9, Node: "n1", Down: true}}
	if r, err = Load(dir); err != nil || !reflect.DeepEqual(r.Clocks, want) {
		t.Errorf("got %+v, %v, want %+v", r.Clocks, err, want)
	}
}

func TestClockSamplesForetellWhatFollows(t *testing.T) {
	const ms = time.Millisecond
	from := ClockSample{Time: time.Second, Node: "n1", Wall: 10 * ms, WallRate: 1.5, Monotonic: -20 * ms, MonotonicRate: 0.5}
	later := ClockSample{Time: 2 * time.Second, Node: "n1", Wall: 510 * ms, WallRate: 1.5, Monotonic: -520 * ms, MonotonicRate: 0.5}
	if got := from.After(time.Second); got != later {
		t.Errorf("a second later it is %+v, want %+v", got, later)
	}
	for name, c := range map[string]struct {
		change func(*ClockSample)
		want   bool
	}{
		"as expected": {func(*ClockSample) {}, true},
		"nearly":      {func(s *ClockSample) { s.Wall += ms / 4 }, true},
		"a jump":      {func(s *ClockSample) { s.Wall += ms }, false},
		"a rate":      {func(s *ClockSample) { s.MonotonicRate = 1 }, false},
		"a strobe":    {func(s *ClockSample) { s.Swing = ms }, false},
		"an end":      {func(s *ClockSample) { *s = ClockSample{Time: s.Time, Node: "n1", Down: true} }, false},
	} {
		s := later
		c.change(&s)
		if got := from.Foretells(s); got != c.want {
			t.Errorf("%s: foretold %t, want %t", name, got, c.want)
		}
	}
	down := ClockSample{Node: "n1", Down: true}
	if !down.Foretells(ClockSample{Time: time.Hour, Node: "n1", Down: true}) {
		t.Error("a node that is down does not stay down")
	}
}

func TestLatestPointsToTheNewestRun(t *testing.T) {
	store := t.TempDir()
	for seed := range int64(2) {
		dir, err := Create(store, Test{Name: "register", Seed: seed, Started: time.Unix(seed, 0)})
		if err != nil {
			t.Fatal(err)
		}
		if err := PointLatest(store, dir); err != nil {
			t.Fatal(err)
		}
		latest, err := filepath.EvalSymlinks(filepath.Join(store, "latest"))
		if err != nil {
			t.Fatal(err)
		}
		want, err := filepath.EvalSymlinks(dir)
		if err != nil || latest != want {
			t.Errorf("latest is %s, want %s (%v)", latest, want, err)
		}
	}
}

func TestRandStreamsAreIndependentAndRepeatable(t *testing.T) {
	if Rand(1, "a").Uint64() != Rand(1, "a").Uint64() {
		t.Error("the same stream gave different draws")
	}
	if Rand(1, "a").Uint64() == Rand(1, "b").Uint64() || Rand(1, "a").Uint64() == Rand(2, "a").Uint64() {
		t.Error("different streams gave the same draw")
	}
}

func FuzzDecode(f *testing.F) {
	for _, op := range sample {
		f.Add(op.AppendJSON(nil))
	}
	f.Add([]byte(`{"type":"ok","f":"x","value":{"a":[1,"b\"]"]}}`))
	f.Add([]byte(`{"index":0,"time":0,"process":0,"type":"ok","f":"x","value":01}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		var d Decoder
		fast, err := d.Decode(line)
		slow, slowErr := d.slow(line)
		if (err == nil) != (slowErr == nil) {
			t.Fatalf("fast %v, slow %v", err, slowErr)
		}
		if err == nil && !reflect.DeepEqual(fast, slow) {
			t.Fatalf("fast %+v\nslow %+v", fast, slow)
		}
		if err != nil {
			return
		}
		again, err := d.Decode(fast.AppendJSON(nil))
		if err != nil || !reflect.DeepEqual(again, fast) {
			t.Fatalf("not the same after a round trip: %+v, then %+v (%v)", fast, again, err)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	const lines = 100_000
	var h History
	for i := range lines / 2 {
		op := Op{Index: 2 * i, Time: time.Duration(i) * 1000, Process: i % 10, Type: Invoke, F: "read", Key: fmt.Sprintf("r%d", i/200), Node: "n1"}
		h = append(h, op)
		op.Index, op.Type, op.Value = op.Index+1, OK, json.RawMessage(fmt.Sprint(i))
		h = append(h, op)
	}
	var file bytes.Buffer
	if err := Write(&file, h); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if got, _, err := Read(bytes.NewReader(file.Bytes())); err != nil || len(got) != lines {
			b.Fatal(len(got), err)
		}
	}
	b.ReportMetric(float64(lines)*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}
