package checker

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rift/harness/history"
)

// sound is a trace on which every assertion holds and is put to the test: n1 leads term 2, n2 restarts and leads term 3.
const sound = `
time=2026-01-01T00:00:00.000Z level=INFO msg=trace node=n1 event=start existing=false
time=2026-01-01T00:00:00.001Z level=INFO msg=trace node=n2 event=start existing=false
time=2026-01-01T00:00:01.000Z level=INFO msg=trace node=n1 event=term term=2
time=2026-01-01T00:00:01.001Z level=INFO msg=trace node=n1 event=vote term=2 candidate=a1
time=2026-01-01T00:00:01.002Z level=INFO msg=trace node=n2 event=term term=2
time=2026-01-01T00:00:01.003Z level=INFO msg=trace node=n2 event=vote term=2 candidate=a1
time=2026-01-01T00:00:01.004Z level=INFO msg=trace node=n1 event=role role=Leader term=2
time=2026-01-01T00:00:02.000Z level=INFO msg=trace node=n1 event=apply entries=1:2:aa,2:2:bb members=false index=2 revision=1 hash=h1
time=2026-01-01T00:00:02.001Z level=INFO msg=trace node=n2 event=apply entries=1:2:aa members=true index=1 revision=0 hash=h0
time=2026-01-01T00:00:02.002Z level=INFO msg=trace node=n2 event=apply entries=2:2:bb members=false index=2 revision=1 hash=h1
time=2026-01-01T00:00:03.000Z level=INFO msg=started node=n2
time=2026-01-01T00:00:03.000Z level=INFO msg=trace node=n2 event=start existing=true
time=2026-01-01T00:00:03.001Z level=INFO msg=trace node=n2 event=restore index=1 revision=0 hash=h0
time=2026-01-01T00:00:04.000Z level=INFO msg=trace node=n2 event=term term=3
time=2026-01-01T00:00:04.001Z level=INFO msg=trace node=n2 event=vote term=3 candidate=a2
time=2026-01-01T00:00:04.001Z level=INFO msg=trace node=n2 event=vote term=3 candidate=a2
time=2026-01-01T00:00:04.002Z level=INFO msg=trace node=n2 event=role role=Leader term=3
time=2026-01-01T00:00:05.000Z level=INFO msg=trace node=n2 event=apply entries=2:2:bb,3:3:cc members=false index=3 revision=2 hash=h2
time=2026-01-01T00:00:05.001Z level=INFO msg=trace node=n1 event=apply entries=3:3:cc members=false index=3 revision=2 hash=h2
time=2026-01-01T00:00:06.000Z level=INFO msg=trace node=n1 event=stop left=0
`

// readTrace reads a trace from a text, by way of a file.
func readTrace(t *testing.T, text string) []Transition {
	t.Helper()
	file := filepath.Join(t.TempDir(), "nodes.log")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	trace, err := ReadTrace([]string{file})
	if err != nil {
		t.Fatal(err)
	}
	return trace
}

// finished are the phases of a run that came to its end.
var finished = []history.Phase{{Name: history.FinalPhase}}

func TestInvariantsHold(t *testing.T) {
	r := Invariants{readTrace(t, sound), finished}.Check(context.Background(), nil)
	if r.Verdict != Valid {
		t.Fatalf("%s: %s %v", r.Verdict, r.Summary, r.Anomalies)
	}
	for _, name := range Assertions() {
		if r.Counts[CountChecked+name] == 0 {
			t.Errorf("%s was never checked", name)
		}
	}
}

// TestInvariantsBreak breaks each assertion by one more transition, or another one, and nothing else.
func TestInvariantsBreak(t *testing.T) {
	for _, c := range []struct{ name, replace, by string }{
		{stopsClean, "left=0", "left=2"},
		{oneLeader, "role=Leader term=3", "role=Leader term=2"},
		{oneVote, "term=3 candidate=a2\ntime=2026-01-01T00:00:04.002Z", "term=3 candidate=a1\ntime=2026-01-01T00:00:04.002Z"},
		{oneVote, "event=vote term=3 candidate=a2\ntime=2026-01-01T00:00:04.001Z", "event=vote term=2 candidate=a2\ntime=2026-01-01T00:00:04.001Z"},
		{termForward, "event=term term=3", "event=term term=1"},
		{entriesSame, "node=n1 event=apply entries=3:3:cc", "node=n1 event=apply entries=3:2:cc"},
		{entriesSame, "node=n1 event=apply entries=3:3:cc", "node=n1 event=apply entries=3:3:dd"},
		{statesSame, "node=n2 event=restore index=1 revision=0 hash=h0", "node=n2 event=restore index=1 revision=0 hash=hx"},
		{statesSame, "node=n1 event=apply entries=3:3:cc members=false index=3 revision=2", "node=n1 event=apply entries=3:3:cc members=false index=3 revision=3"},
		{stateForward, "node=n1 event=apply entries=3:3:cc members=false index=3 revision=2", "node=n1 event=apply entries=2:2:bb members=false index=3 revision=2"},
		{stateForward, "index=2 revision=1", "index=2 revision=9"},
		{entriesKept, "node=n2 event=start existing=true", "node=n2 event=start existing=true\ntime=2026-01-01T00:00:03.000Z msg=trace node=n3 event=apply entries=9:3:ee members=false index=9 revision=9 hash=h9\ntime=2026-01-01T00:00:03.000Z msg=trace node=n3 event=start existing=true"},
	} {
		broken := strings.ReplaceAll(sound, c.replace, c.by)
		if broken == sound {
			t.Fatalf("%s: the trace has no %q", c.name, c.replace)
		}
		r := Invariants{readTrace(t, broken), finished}.Check(context.Background(), nil)
		if r.Verdict != Invalid || len(r.Anomalies) != 1 || r.Counts[c.name] == 0 {
			t.Errorf("%s by %q: %s %s %v", c.name, c.by, r.Verdict, r.Summary, r.Counts)
			continue
		}
		if a := r.Anomalies[0]; a.Kind != c.name || a.Rule == "" || a.Node == "" || len(a.Steps) != 2 {
			t.Errorf("%s: %+v", c.name, a)
		}
	}
}

// TestNodesThatDoNotEndAreTold has nodes go on when they were asked to shut down.
func TestNodesThatDoNotEndAreTold(t *testing.T) {
	phases := append(finished[:1:1], history.Phase{Name: history.ShutDownPhase, Note: "[n2] did not end within 30s"})
	r := Invariants{readTrace(t, sound), phases}.Check(context.Background(), nil)
	if r.Verdict != Invalid || r.Counts[stopsClean] != 1 || !strings.Contains(r.Summary, "n2") {
		t.Errorf("%s: %s", r.Verdict, r.Summary)
	}
}

// TestInvariantsForgive has a node lose its disk, which is no fault of the node's.
func TestInvariantsForgive(t *testing.T) {
	wiped := strings.Replace(sound, "node=n2 event=start existing=true", "node=n2 event=start existing=false", 1)
	wiped = strings.Replace(wiped, "node=n2 event=term term=3", "node=n2 event=term term=1", 1)
	if r := (Invariants{readTrace(t, wiped), finished}).Check(context.Background(), nil); r.Verdict != Valid {
		t.Errorf("%s: %s", r.Verdict, r.Summary)
	}
}

func TestInvariantsThatNeverRanAreTold(t *testing.T) {
	r := Invariants{readTrace(t, sound), nil}.Check(context.Background(), nil)
	if r.Verdict != Valid || !strings.Contains(r.Summary, "Never put to the test: "+entriesKept) {
		t.Errorf("%s: %s", r.Verdict, r.Summary)
	}
	if r := (Invariants{}).Check(context.Background(), nil); r.Verdict != Unknown {
		t.Errorf("of nothing: %s: %s", r.Verdict, r.Summary)
	}
}

func TestReadTraceLeavesOutWhatWasNotFinished(t *testing.T) {
	whole := "time=2026-01-01T00:00:00.000Z msg=trace node=n1 event=term term=2\n"
	for _, torn := range []string{
		"time=2026-01-01T00:00:00.000Z msg=trace node=n1 event=apply entries=1:2",
		"time=2026-01-01T00:00:00.000Z msg=trace node=n1 event=apply entries=1:2\n",
		"time=2026-01-01T00:00:00.000Z msg=trace node=n1 event=ap\n",
		"time=2026-01-01T00:00:00.000Z msg=trace event=term term=2\n",
		"msg=trace node=n1 event=term term=two\n",
		"time=now msg=trace node=n1 event=term term=2\n",
		"level=INFO msg=started node=n1 event=term term=2\n",
	} {
		if trace := readTrace(t, whole+torn); len(trace) != 1 {
			t.Errorf("%q: %d transitions", torn, len(trace))
		}
	}
}

func FuzzParseTransition(f *testing.F) {
	for line := range strings.SplitSeq(sound, "\n") {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		got, err := ParseTransition(line)
		if err == nil && (got.Node == "" || got.String() == "") {
			t.Errorf("%q is the transition %+v", line, got)
		}
	})
}
