package checker

import (
	"context"
	"encoding/json"
	"strings"
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
