package reports

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rift/checker"
	"rift/harness/history"
)

// pageData is all that the reports for people show. What stands still is written by the template; Data is for the
// timeline and the plots.
type pageData struct {
	Name      string // of the test
	Verdict   checker.Verdict
	Reason    string
	Gloss     string
	Facts     []fact
	Commands  []fact
	Notes     []string
	Anomalies []violation
	Found     int // anomalies; those that are not shown are in results.json
	Latencies []series
	Reigns    []reign
	Faults    []fault // of which OmittedFaults proven ones are left out
	Tallies   []tally

	OmittedFaults int

	Results []result
	Logs    []excerpt
	Plan    history.Plan
	Phases  []history.Phase
	Data    data
}

// violation is an anomaly with its place on the timeline and the operations that show it.
type violation struct {
	checker.Anomaly
	Number   int
	InReason bool // the report's reason says the same
	Rows     []row
}

// row is one operation of a violation, in words.
type row struct {
	Index, Process     int
	Node, Key          string
	Label, Type, Error string
	Invoked, Took      string
	From, To           time.Duration
	Order              int // its number in the linearization, from 1; 0: it is not in it
	Stuck              bool
}

// data is the page's data block. Times are nanoseconds since the run's start.
type data struct {
	Length     int64    `json:"length"`
	Ops        *columns `json:"ops"`
	Violations []focus  `json:"violations"`
	Bands      []band   `json:"bands"`
	Plots      plots    `json:"plots"`
	Leaders    []strip  `json:"leaders"`
	Phases     []period `json:"phases"`
}

// period is a phase of the run.
type period struct {
	Name string `json:"name"`
	From int64  `json:"from"`
	To   int64  `json:"to"`
}

// focus is what the timeline emphasises for one violation.
type focus struct {
	Kind       string `json:"kind"`
	Key        string `json:"key"`
	Ops        []int  `json:"ops"`
	Stuck      []int  `json:"stuck"`
	Linearized []int  `json:"linearized"` // the end of the linearization
	First      int    `json:"first"`      // the order number of the first of them
	At         int64  `json:"at"`         // where no linearization continues; -1: not known
	From       int64  `json:"from"`       // the part of the run to look at
	To         int64  `json:"to"`
}

func newPage(run *history.Run, rep checker.Report) pageData {
	ops, err := run.History.Operations()
	found := anomalies(rep.Results)
	shown := found[:min(len(found), maxAnomalies)]
	list := faults(run)
	p := pageData{
		Name:    fmt.Sprintf("%s, seed %d", run.Test.Name, run.Test.Seed),
		Verdict: rep.Verdict, Reason: rep.Reason, Gloss: gloss(rep.Verdict),
		Facts: facts(run), Commands: commands(run), Notes: slices.Concat(rep.Notes, run.Problems),
		Found:   len(found),
		Tallies: tallies(list),
		Results: shorten(rep.Results), Plan: run.Plan, Phases: run.Phases,
	}
	if err != nil {
		p.Notes = append(p.Notes, fmt.Sprintf("The operations cannot be drawn: %v.", err))
	}
	p.Faults, p.OmittedFaults = worthShowing(list)
	drawn := plot(ops, run.Length())
	p.Latencies = drawn.Series
	p.Data = data{
		Length: int64(run.Length()), Ops: choose(ops, shown).table(ops), Violations: []focus{},
		Bands: bands(list), Plots: drawn.drawn(), Leaders: leaders(run.Views), Phases: []period{},
	}
	for _, ph := range run.Phases {
		p.Data.Phases = append(p.Data.Phases, period{ph.Name, int64(ph.Start), int64(ph.End)})
	}
	p.Reigns = reigns(p.Data.Leaders)
	for i, a := range shown {
		p.Anomalies = append(p.Anomalies, violation{a, i + 1, strings.HasPrefix(rep.Reason, a.Summary), rows(ops, a)})
		p.Data.Violations = append(p.Data.Violations, newFocus(ops, a))
	}
	p.Logs = excerpts(run.Logs, p.logWindow(run.Test.Started))
	for i := range p.Logs {
		p.Logs[i].Open = len(shown) > 0 && p.Logs[i].Node == shown[0].Node
	}
	return p
}

// logWindow is the time of the severest violation.
func (p pageData) logWindow(started time.Time) window {
	if len(p.Data.Violations) == 0 || len(p.Anomalies[0].Rows) == 0 || started.IsZero() {
		return window{}
	}
	v := p.Data.Violations[0]
	return window{started.Add(time.Duration(v.From) - logSlack), started.Add(time.Duration(v.To) + logSlack)}
}

// rows are the operations that show the anomaly, in the order of invocation.
func rows(ops []history.Operation, a checker.Anomaly) []row {
	order := make(map[int]int)
	stuck := []int{}
	if a.Frontier != nil {
		stuck = a.Frontier.Stuck
		for i, index := range a.Frontier.Linearized {
			order[index] = i + 1
		}
	}
	list := proofOf(a)
	slices.Sort(list)
	var out []row
	for _, index := range slices.Compact(slices.Clone(list)) {
		at, ok := placeOf(ops, index)
		if !ok {
			continue
		}
		o := &ops[at]
		took, to := "never returned", o.Invoked
		if o.Completed != history.Never {
			took, to = seconds(o.Completed-o.Invoked), o.Completed
		}
		out = append(out, row{
			Index: o.Index, Process: o.Process, Node: o.Node, Key: o.Key, Label: label(o), Type: o.Type.String(), Error: o.Error,
			Invoked: seconds(o.Invoked), Took: took, From: o.Invoked, To: to, Order: order[index], Stuck: slices.Contains(stuck, index),
		})
	}
	return out
}

// newFocus finds the anomaly's part of the run: from the first of its operations to the last, with a margin.
func newFocus(ops []history.Operation, a checker.Anomaly) focus {
	f := focus{Kind: a.Kind, Key: a.Key, Ops: orEmpty(a.Ops), Stuck: []int{}, Linearized: []int{}, First: 1, At: -1, From: -1}
	for _, index := range proofOf(a) {
		at, ok := placeOf(ops, index)
		if !ok {
			continue
		}
		o := &ops[at]
		end := int64(o.Invoked)
		if o.Completed != history.Never {
			end = int64(o.Completed)
		}
		if f.From < 0 {
			f.From = int64(o.Invoked)
		}
		f.From, f.To = min(f.From, int64(o.Invoked)), max(f.To, end)
	}
	margin := max((f.To-f.From)/6, int64(time.Millisecond))
	f.From, f.To = max(0, f.From-margin), f.To+margin
	if a.Frontier != nil {
		f.Stuck = orEmpty(a.Frontier.Stuck)
		f.At = stop(ops, f.Stuck)
		from := max(0, len(a.Frontier.Linearized)-nearOps)
		f.Linearized, f.First = orEmpty(a.Frontier.Linearized[from:]), from+1
	}
	return f
}

// stop is the instant by which one of the stuck operations must have taken effect: the first of their completions.
func stop(ops []history.Operation, stuck []int) int64 {
	first := int64(-1)
	for _, index := range stuck {
		at, ok := placeOf(ops, index)
		if !ok || ops[at].Completed == history.Never {
			continue
		}
		if end := int64(ops[at].Completed); first < 0 || end < first {
			first = end
		}
	}
	return first
}

func orEmpty(list []int) []int {
	if list == nil {
		return []int{}
	}
	return list
}
