// Package checker judges histories: it owns verdicts, models and algorithms.
//
// The one idea behind it: a verdict must be earned. Valid means that the promise was put to the
// test and held; what proved nothing, gave up or broke down is unknown, which is also the zero
// value. Budgets are counted in steps and bytes, never in seconds, so that the same history gets the
// same verdict on every machine.
package checker

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"

	"rift/harness/history"
)

// Verdict is what a checker found.
type Verdict uint8

// Verdicts merge as Invalid over Unknown over Valid, see Merge.
const (
	Unknown Verdict = iota
	Valid
	Invalid
)

var verdictNames = [...]string{Unknown: "unknown", Valid: "valid", Invalid: "invalid"}

// String is the verdict's name in results.json.
func (v Verdict) String() string {
	if int(v) >= len(verdictNames) {
		return fmt.Sprintf("verdict(%d)", uint8(v))
	}
	return verdictNames[v]
}

// MarshalText writes the verdict's name.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads the verdict's name.
func (v *Verdict) UnmarshalText(b []byte) error {
	for i, name := range verdictNames {
		if name == string(b) {
			*v = Verdict(i)
			return nil
		}
	}
	return fmt.Errorf("verdict: %q given, one of valid, invalid, unknown allowed", b)
}

// Merge is the verdict over several: invalid if one is invalid, else unknown if one is unknown or there is none.
func Merge(verdicts ...Verdict) Verdict {
	merged := Unknown
	for i, v := range verdicts {
		switch {
		case v == Invalid:
			return Invalid
		case i == 0:
			merged = v
		case v == Unknown:
			merged = Unknown
		}
	}
	return merged
}

// Checker judges one promise. Check must not keep or change the history. Its result is a function of the history
// and of the checker's own fields; if the context ends, the verdict is unknown.
type Checker interface {
	Check(ctx context.Context, h history.History) Result
}

// Result is one checker's finding, part of results.json.
type Result struct {
	Checker   string         `json:"checker"`             // its name: "linearizable", "set", "stats", ...
	Verdict   Verdict        `json:"verdict"`             //
	Summary   string         `json:"summary"`             // one sentence that a newcomer understands
	Method    string         `json:"method,omitempty"`    // which algorithm gave the verdict
	Anomalies []Anomaly      `json:"anomalies,omitempty"` // severest first
	Counts    map[string]int `json:"counts,omitempty"`    // figures by name; names end in their unit where they have one
	Table     *Table         `json:"table,omitempty"`     // figures that want rows, such as outcomes by function
	Parts     []Result       `json:"parts,omitempty"`     // the results that were merged into this one
}

// Table is a small table of a result, for reports.
type Table struct {
	Columns []string   `json:"columns"`
	Rows    [][]string `json:"rows"`
}

// Anomaly is one broken promise, explained. Ops are indexes of invocations in the history: the
// fewest operations that show it.
type Anomaly struct {
	Kind     string    `json:"kind"`              // the field's term: "nonlinearizable", "lost", "stale", "G1c", ...
	Key      string    `json:"key,omitempty"`     // the object that it is about
	Rule     string    `json:"rule"`              // the promise that was broken, in a sentence
	Summary  string    `json:"summary"`           // what happened, in a sentence with values, nodes and times
	Steps    []string  `json:"steps,omitempty"`   // the proof, a sentence a step
	Ops      []int     `json:"ops,omitempty"`     // invocations to be shown
	Context  []int     `json:"context,omitempty"` // further invocations of the same key around them, for the timeline
	Frontier *Frontier `json:"frontier,omitempty"`
	Node     string    `json:"node,omitempty"` // the node that gave the wrong answer, if one did
	SVG      string    `json:"svg,omitempty"`  // a drawing, self-contained
}

// Frontier is where a linearization stops: the longest one that could be built, the state that it leads
// to, and the operations that could come next but fit in no way.
type Frontier struct {
	Linearized []int  `json:"linearized"`        // invocations in an order that is allowed, the longest found; of a long one the last
	Earlier    int    `json:"earlier,omitempty"` // how many come before Linearized and are left out
	State      string `json:"state"`             // the model's states that are possible after them
	Stuck      []int  `json:"stuck"`             // invocations of which one must come next, and none can
}

// Names of the counts that reports print first.
const (
	CountOperations = "operations"
	CountKeys       = "keys"
)

// Report is results.json: the verdict of a run and what it rests on.
type Report struct {
	Version int      `json:"version"` // of this form: 1
	Verdict Verdict  `json:"verdict"`
	Reason  string   `json:"reason"` // why, in a sentence that a newcomer understands
	Notes   []string `json:"notes,omitempty"`
	Results []Result `json:"results"`
}

// NewReport merges results into the run's verdict. The reason is the summary of the first result that
// has the merged verdict; for a valid run it is the first one's.
func NewReport(results []Result, notes []string) Report {
	verdicts := make([]Verdict, len(results))
	for i, r := range results {
		verdicts[i] = r.Verdict
	}
	report := Report{Version: 1, Verdict: Merge(verdicts...), Reason: "no checker ran", Notes: notes, Results: results}
	for _, r := range results {
		if r.Verdict == report.Verdict {
			report.Reason = r.Summary
			break
		}
	}
	return report
}

// Named is a checker with the name under which a result of it is reported if it breaks down.
type Named struct {
	Name string
	Checker
}

// Run runs the checkers side by side on the same history, and gives their results in the order of the checkers. No more than one
// for each CPU run at once, since each may hold an analysis of the whole history. One that panics is unknown and says
// so, and so is one whose turn had not come when the context ended.
func Run(ctx context.Context, h history.History, checkers []Named) []Result {
	results := make([]Result, len(checkers))
	queue := make(chan int)
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(checkers)) {
		wg.Go(func() {
			for i := range queue {
				results[i] = Safely(ctx, h, checkers[i])
			}
		})
	}
	for i := range checkers {
		queue <- i
	}
	close(queue)
	wg.Wait()
	return results
}

// Safely runs one checker, and turns a panic, or a context that has ended before, into an unknown result.
func Safely(ctx context.Context, h history.History, c Named) (r Result) {
	defer func() {
		if p := recover(); p != nil {
			r = Result{
				Checker: c.Name, Verdict: Unknown,
				Summary: fmt.Sprintf("The %s checker broke down, so it proves nothing: %v.", c.Name, p),
				Table:   &Table{Columns: []string{"stack"}, Rows: [][]string{{string(debug.Stack())}}},
			}
		}
	}()
	if err := ctx.Err(); err != nil {
		return Result{Checker: c.Name, Summary: fmt.Sprintf("The %s checker was given up before it began, so it proves nothing: %v.", c.Name, err)}
	}
	r = c.Check(ctx, h)
	if r.Checker == "" {
		r.Checker = c.Name
	}
	return r
}

// ParseReport reads results.json.
func ParseReport(b []byte) (Report, error) {
	var r Report
	if err := json.Unmarshal(b, &r); err != nil {
		return Report{}, fmt.Errorf("read results: %w", err)
	}
	return r, nil
}
