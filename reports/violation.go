package reports

import (
	"slices"
	"time"

	"rift/checker"
	"rift/harness/history"
)

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

// focus is what the timeline emphasises for one violation.
type focus struct {
	Kind       string `json:"kind"`
	Key        string `json:"key"`
	Ops        []int  `json:"ops"`
	Stuck      []int  `json:"stuck"`
	Linearized []int  `json:"linearized"` // the end of the linearization
	First      int    `json:"first"`      // the order number of the first of them
	At         int64  `json:"at"`         // where no linearization continues; -1: not known
	From       int64  `json:"from"`       // the part of the run to look at; -1: no operation is known
	To         int64  `json:"to"`
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
	list := slices.Clone(proofOf(a))
	slices.Sort(list)
	var out []row
	for _, index := range slices.Compact(list) {
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
	if f.From < 0 {
		return f
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
