package reports

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rift/checker"
	"rift/harness/history"
)

func TestWordsForPeople(t *testing.T) {
	for want, got := range map[string]string{
		"0 s":             seconds(0),
		"12.345 s":        seconds(12345 * time.Millisecond),
		"3.2 ms":          seconds(3200 * time.Microsecond),
		"70 µs":           seconds(70 * time.Microsecond),
		"-1.5 s":          seconds(-1500 * time.Millisecond),
		"1,234,567":       grouped(1234567),
		"-1,000":          grouped(-1000),
		"999":             grouped(999),
		"plain/word-1":    shellQuote("plain/word-1"),
		`'it'\''s $HOME'`: shellQuote("it's $HOME"),
		"''":              shellQuote(""),
		"é…":              clip("élan", 2),
		"élan":            clip("élan", 4),
		`a\x1b[31m\nb`:    visible("a\x1b[31m\nb"),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestLabels(t *testing.T) {
	for _, c := range []struct{ f, in, out, want string }{
		{"read", "", "7", "read → 7"},
		{"read", "null", "null", "read → null"},
		{"write", "9", "", "write 9"},
		{"write", "9", "9", "write 9"},
		{"write", "9", "null", "write 9"},
		{"cas", "[1,2]", "", "cas 1→2"},
		{"list", "", "[1,2,3]", "list → [1,2,3]"},
		{"txn", `[["r","k",null]]`, `[["r","k",[1]]]`, "txn r k [1]"},
		{"txn", `[["append","x",1],["r",2,null]]`, "", "txn append x 1, r 2"},
		{"txn", `{"odd":1}`, "", `txn {"odd":1}`},
		{"add", `"` + strings.Repeat("x", 99) + `"`, "", `add "` + strings.Repeat("x", 26) + "…"},
	} {
		o := history.Operation{F: c.f, Input: json.RawMessage(c.in), Output: json.RawMessage(c.out), Type: history.OK}
		if got := label(&o); got != c.want {
			t.Errorf("%s %s %s: got %q, want %q", c.f, c.in, c.out, got, c.want)
		}
	}
}

func TestAViolationIsNeverSampled(t *testing.T) {
	ops := make([]history.Operation, 100_000)
	for i := range ops {
		ops[i].Index = 2 * i
	}
	a := checker.Anomaly{Ops: []int{2, 77_778}, Frontier: &checker.Frontier{Stuck: []int{199_998}}}
	for i := range 50_000 {
		a.Context = append(a.Context, 2*i)
	}
	s := choose(ops, []checker.Anomaly{a})
	for _, at := range []int{1, 38_889, 99_999} {
		if !slices.Contains(s.places, at) || !s.proof[at] {
			t.Errorf("the operation at %d shows the violation, but the page does not get it", at)
		}
	}
	if n := len(s.places); n > allOps || n < sampledOps {
		t.Errorf("the page gets %d operations, %d to %d are due", n, sampledOps, allOps)
	}
	if !slices.IsSorted(s.places) {
		t.Error("the operations are out of order")
	}
}

// TestQuantilesAreThoseOfASortedList compares the histograms with the slow way.
func TestQuantilesAreThoseOfASortedList(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	ops := make([]history.Operation, 20_000)
	byBucket := make(map[int][]int64)
	const length = 10 * time.Second
	bucket := bucketLength(length)
	for i := range ops {
		at := length * time.Duration(i) / time.Duration(len(ops))
		latency := time.Duration(1+r.ExpFloat64()*5000) * time.Microsecond
		ops[i] = history.Operation{F: "read", Type: history.OK, Invoked: at, Completed: at + latency}
		byBucket[int(at/bucket)] = append(byBucket[int(at/bucket)], latency.Microseconds())
	}
	p := plot(ops, length)
	if len(p.Series) != 1 || p.Series[0].Total.Count != len(ops) {
		t.Fatalf("got %d series", len(p.Series))
	}
	for b, list := range byBucket {
		slices.Sort(list)
		for q, percent := range quantiles {
			exact := list[max(0, int(percent/100*float64(len(list))+0.5)-1)] // the nearest rank
			got := p.Series[0].Quantiles[q][b]
			if got < exact || float64(got) > float64(exact)*1.001+1 {
				t.Errorf("bucket %d: p%g is %d µs, the sorted list says %d µs", b, percent, got, exact)
			}
		}
	}
}

func TestBucketsAreRoundAndFew(t *testing.T) {
	for _, length := range []time.Duration{0, time.Second, time.Minute, time.Hour, 24 * time.Hour} {
		b := bucketLength(length)
		if n := length / b; n >= maxBuckets || n < maxBuckets/6 && b > 10*time.Millisecond {
			t.Errorf("a run of %s has %d buckets of %s", length, n, b)
		}
	}
}

func TestLeadersJoinViews(t *testing.T) {
	at := func(s int, node, state string, term uint64) history.View {
		return history.View{Time: time.Duration(s) * time.Second, Node: node, State: state, Term: term}
	}
	strips := leaders([]history.View{
		at(1, "n10", "leader", 1), at(1, "n2", "follower", 1), at(2, "n10", "leader", 1), at(2, "n2", "follower", 1),
		at(3, "n10", history.Unreachable, 0), at(3, "n2", "leader", 2), at(4, "n2", "leader", 3), at(5, "n2", "leader", 3),
	})
	got := ""
	for _, s := range strips {
		for _, sp := range s.Spans {
			got += s.Node + " " + sp.State + " " + seconds(time.Duration(sp.From)) + " to " + seconds(time.Duration(sp.To)) + "\n"
		}
	}
	want := "n2 follower 1 s to 3 s\nn2 leader 3 s to 4 s\nn2 leader 4 s to 5 s\nn10 leader 1 s to 3 s\nn10 unreachable 3 s to 5 s\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if list := reigns(strips); len(list) != 3 || list[0].Node != "n10" || list[2].Term != 3 {
		t.Errorf("the reigns are %v", list)
	}
}

func TestFaultsTellWhatCameOfThePlan(t *testing.T) {
	run := &history.Run{
		Plan: history.Plan{Faults: []history.PlannedFault{{ID: 1, Kind: "kill", Target: "leader"}, {ID: 2, Kind: "pause"}, {ID: 3, Kind: "partition", Target: "halves"}, {ID: 4, Kind: "clock"}}},
		Evidence: []history.Evidence{
			{Fault: 3, Kind: "partition", Step: history.StepInject, Time: 5, Links: [][2]string{{"n2", "n1"}, {"n1", "n2"}}, Proven: true, Nodes: []string{"n1", "n2"}},
			{Fault: 1, Kind: "kill", Step: history.StepInject, Time: 1, Nodes: []string{"n1"}},
			{Fault: 1, Kind: "kill", Step: history.StepHeal, Time: 3, Took: 1},
			{Fault: 2, Kind: "pause", Step: history.StepInject, Skipped: true},
			{Fault: 9, Kind: "disk", Step: history.StepInject, Time: 2, Proven: true},
		},
		Phases: []history.Phase{{End: 10}},
	}
	list := faults(run)
	var states []string
	for _, f := range list {
		states = append(states, f.State)
	}
	if want := []string{faultUnclear, faultSkipped, faultProven, faultMissing, faultProven}; !slices.Equal(states, want) {
		t.Errorf("the states are %v, want %v", states, want)
	}
	drawn := bands(list)
	if len(drawn) != 3 || drawn[0].Label != "kill n1" || drawn[0].To != 4 || drawn[2].Label != "partition halves" || drawn[2].To != 10 {
		t.Errorf("the bands are %+v", drawn)
	}
}

func TestLogsAroundAViolation(t *testing.T) {
	dir := t.TempDir()
	started := time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
	var log strings.Builder
	for i := range 500 {
		log.WriteString("time=" + started.Add(time.Duration(i)*100*time.Millisecond).Format(time.RFC3339Nano) + " msg=line\n")
		if i == 100 {
			log.WriteString("panic: without a time\n")
		}
	}
	for name, text := range map[string]string{"n1.log": log.String(), "n2.log": "no times\nat all", "n3.log": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	paths := []string{filepath.Join(dir, "n1.log"), filepath.Join(dir, "n2.log"), filepath.Join(dir, "n3.log"), filepath.Join(dir, "n4.log")}
	got := excerpts(paths, window{started.Add(9900 * time.Millisecond), started.Add(10100 * time.Millisecond)})
	if len(got[0].Lines) != 4 || got[0].Lines[2] != "panic: without a time" {
		t.Errorf("around the violation stand %q", got[0].Lines)
	}
	if len(got[1].Lines) != 2 || len(got[2].Lines) != 0 {
		t.Errorf("logs without times give %q and %q", got[1].Lines, got[2].Lines)
	}
	if !strings.Contains(got[3].Note, "could not be read") {
		t.Errorf("a log that is not there says %q", got[3].Note)
	}
	if end := excerpts(paths[:1], window{}); len(end[0].Lines) != excerptLines || !strings.Contains(end[0].Note, "501") {
		t.Errorf("without a violation the log's end has %d lines, %q", len(end[0].Lines), end[0].Note)
	}
}

func TestTimesInLogs(t *testing.T) {
	want := time.Date(2026, 11, 21, 2, 27, 0, 500_000_000, time.UTC)
	for _, line := range []string{
		"time=2026-11-21T02:27:00.5Z level=INFO", `{"ts":"2026-11-21T03:27:00.500+0100"}`, "2026-11-21 02:27:00,500 [main]", "[2026-11-21T02:27:00.500+00:00]",
	} {
		if at, ok := timeOf(line); !ok || !at.Equal(want) {
			t.Errorf("%s: got %v, %v", line, at, ok)
		}
	}
	if _, ok := timeOf("2026-13-41T02:27:00Z"); ok {
		t.Error("a time that does not exist was read")
	}
}

func TestLongResultsAreCut(t *testing.T) {
	parts := make([]checker.Result, 500)
	for i := range parts {
		parts[i].Verdict = checker.Valid
	}
	parts[499].Verdict = checker.Invalid
	rows := make([][]string, 500)
	got := shorten([]checker.Result{{Parts: parts, Table: &checker.Table{Rows: rows}}})[0]
	if len(got.Parts) != maxParts || got.Parts[0].Verdict != checker.Invalid || len(got.Table.Rows) != maxRows || got.Omitted == "" {
		t.Errorf("got %d parts, the first %s, %d rows, %q", len(got.Parts), got.Parts[0].Verdict, len(got.Table.Rows), got.Omitted)
	}
}
