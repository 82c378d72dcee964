package checker

import (
	"context"
	"encoding/json"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"rift/harness/history"
)

func TestMerge(t *testing.T) {
	for _, c := range []struct {
		of   []Verdict
		want Verdict
	}{
		{nil, Unknown},
		{[]Verdict{Valid}, Valid},
		{[]Verdict{Valid, Valid}, Valid},
		{[]Verdict{Valid, Unknown, Valid}, Unknown},
		{[]Verdict{Unknown, Valid}, Unknown},
		{[]Verdict{Valid, Unknown, Invalid}, Invalid},
		{[]Verdict{Invalid, Unknown}, Invalid},
	} {
		if got := Merge(c.of...); got != c.want {
			t.Errorf("%v: %s, not %s", c.of, got, c.want)
		}
	}
}

func TestVerdictText(t *testing.T) {
	for _, v := range []Verdict{Unknown, Valid, Invalid} {
		b, _ := json.Marshal(v)
		var back Verdict
		if err := json.Unmarshal(b, &back); err != nil || back != v {
			t.Errorf("%s: %v, %v", b, back, err)
		}
	}
	var v Verdict
	if err := v.UnmarshalText([]byte("perhaps")); err == nil || !strings.Contains(err.Error(), `"perhaps" given`) {
		t.Error(err)
	}
}

// fixed is a checker that always finds the same, or panics.
type fixed struct {
	Result
	panics bool
}

func (f fixed) Check(context.Context, history.History) Result {
	if f.panics {
		panic("a bug")
	}
	return f.Result
}

func TestRun(t *testing.T) {
	results := Run(context.Background(), nil, []Named{
		{"first", fixed{Result: Result{Verdict: Valid, Summary: "fine"}}},
		{"broken", fixed{panics: true}},
		{"last", fixed{Result: Result{Checker: "its own name", Verdict: Valid}}},
	})
	if results[0].Checker != "first" || results[2].Checker != "its own name" {
		t.Errorf("%+v", results)
	}
	if r := results[1]; r.Verdict != Unknown || !strings.Contains(r.Summary, "broke down") || !strings.Contains(r.Summary, "a bug") {
		t.Errorf("%+v", r)
	}
	report := NewReport(results, []string{"a note"})
	if report.Verdict != Unknown || report.Reason != results[1].Summary {
		t.Errorf("%+v", report)
	}
	b, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseReport(b)
	if err != nil || back.Verdict != Unknown || len(back.Results) != 3 {
		t.Errorf("%+v, %v", back, err)
	}
	if _, err := ParseReport([]byte("{")); err == nil {
		t.Error("half a report was read")
	}
}

// meeting counts how many of its kind are inside at once.
type meeting struct{ inside, most *atomic.Int32 }

func (m meeting) Check(context.Context, history.History) Result {
	n := m.inside.Add(1)
	for most := m.most.Load(); n > most && !m.most.CompareAndSwap(most, n); most = m.most.Load() {
	}
	runtime.Gosched()
	m.inside.Add(-1)
	return Result{Verdict: Valid}
}

func TestRunHasABoundOnHowManyRunAtOnce(t *testing.T) {
	var inside, most atomic.Int32
	many := make([]Named, 200)
	for i := range many {
		many[i] = Named{"meeting", meeting{&inside, &most}}
	}
	for i, r := range Run(context.Background(), nil, many) {
		if r.Verdict != Valid {
			t.Fatalf("checker %d was left out: %+v", i, r)
		}
	}
	if bound := int32(runtime.GOMAXPROCS(0)); most.Load() > bound {
		t.Errorf("%d ran at once, %d allowed", most.Load(), bound)
	}
}

func TestRunSaysWhatWasGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r := Run(ctx, nil, []Named{{"late", fixed{Result: Result{Verdict: Valid}}}})[0]
	if r.Checker != "late" || r.Verdict != Unknown || !strings.Contains(r.Summary, "given up") {
		t.Errorf("%+v", r)
	}
}
