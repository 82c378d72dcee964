package reports

import (
	"slices"
	"sort"

	"rift/checker"
	"rift/harness/history"
)

// How many operations a page gets. Up to allOps all of them; of a longer history the violations' own without
// limit, then nearOps around each of the first violations, then an even sample.
const (
	allOps       = 5000
	nearOps      = 1000
	sampledOps   = 2500
	maxNear      = 3 // violations that get their surroundings
	longValue    = 2000
	shortValue   = 120
	maxAnomalies = 40 // violations that are shown; the others are counted
)

// sample is a choice of a history's operations, by their places, ascending.
type sample struct {
	places []int
	proof  map[int]bool // places of operations that show a violation; their values are not cut short
	total  int
}

// choose picks the operations that the page shows. Those that show a violation are always among them.
func choose(ops []history.Operation, list []checker.Anomaly) sample {
	s := sample{proof: make(map[int]bool), total: len(ops)}
	near := make(map[int]bool)
	for i, a := range list {
		for _, index := range proofOf(a) {
			if at, ok := placeOf(ops, index); ok {
				s.proof[at] = true
			}
		}
		if i < maxNear {
			around(ops, a, near)
		}
	}
	step := max(1, len(ops)/sampledOps)
	for at := range ops {
		if len(ops) <= allOps || s.proof[at] || near[at] || at%step == 0 {
			s.places = append(s.places, at)
		}
	}
	return s
}

// proofOf is the invocations that show the anomaly.
func proofOf(a checker.Anomaly) []int {
	if a.Frontier == nil {
		return a.Ops
	}
	return append(slices.Clone(a.Ops), a.Frontier.Stuck...)
}

// around marks the operations on the anomaly's key, those that the checker named as context and those it put in
// order; of too many the nearest to the violation's end.
func around(ops []history.Operation, a checker.Anomaly, near map[int]bool) {
	named := slices.Clone(a.Context)
	if a.Frontier != nil {
		named = append(named, a.Frontier.Linearized...)
	}
	for i := range ops {
		if a.Key != "" && ops[i].Key == a.Key {
			named = append(named, ops[i].Index)
		}
	}
	slices.Sort(named)
	named = slices.Compact(named)
	if len(named) > nearOps {
		end := len(named)
		if proof := proofOf(a); len(proof) > 0 {
			end, _ = slices.BinarySearch(named, slices.Max(proof))
		}
		from := min(max(0, end-nearOps*3/4), len(named)-nearOps)
		named = named[from : from+nearOps]
	}
	for _, index := range named {
		if at, ok := placeOf(ops, index); ok {
			near[at] = true
		}
	}
}

// placeOf finds the operation that was invoked at an index of the history.
func placeOf(ops []history.Operation, index int) (int, bool) {
	at := sort.Search(len(ops), func(i int) bool { return ops[i].Index >= index })
	return at, at < len(ops) && ops[at].Index == index
}

// columns are operations as the page gets them, one array a field: a third of the size of objects.
// F, Key and Node are places in the lists of names; times are nanoseconds, and -1 stands for never.
type columns struct {
	Index     []int    `json:"index"`
	End       []int    `json:"end"`
	Process   []int    `json:"process"`
	F         []int    `json:"f"`
	Key       []int    `json:"key"`
	Node      []int    `json:"node"`
	Type      []string `json:"type"`
	Invoked   []int64  `json:"invoked"`
	Completed []int64  `json:"completed"`
	Label     []string `json:"label"`
	Input     []string `json:"input"`
	Output    []string `json:"output"`
	Error     []string `json:"error"`

	Fs    []string `json:"fs"`
	Keys  []string `json:"keys"`
	Nodes []string `json:"nodes"`
	Total int      `json:"total"` // operations in the history, of which these are a sample
}

// names numbers strings in the order in which they come.
type names struct {
	list *[]string
	at   map[string]int
}

func (n names) number(s string) int {
	if at, ok := n.at[s]; ok {
		return at
	}
	n.at[s] = len(*n.list)
	*n.list = append(*n.list, s)
	return n.at[s]
}

// table puts the chosen operations into columns.
func (s sample) table(ops []history.Operation) *columns {
	c := &columns{Index: []int{}, Total: s.total, Fs: []string{}, Keys: []string{}, Nodes: []string{}}
	fs := names{&c.Fs, map[string]int{}}
	keys := names{&c.Keys, map[string]int{}}
	nodes := names{&c.Nodes, map[string]int{}}
	for _, at := range s.places {
		o, limit := &ops[at], shortValue
		if s.proof[at] {
			limit = longValue
		}
		end, completed := o.End, int64(o.Completed)
		if o.Completed == history.Never {
			end, completed = -1, -1
		}
		c.Index = append(c.Index, o.Index)
		c.End = append(c.End, end)
		c.Process = append(c.Process, o.Process)
		c.F = append(c.F, fs.number(o.F))
		c.Key = append(c.Key, keys.number(o.Key))
		c.Node = append(c.Node, nodes.number(o.Node))
		c.Type = append(c.Type, o.Type.String())
		c.Invoked = append(c.Invoked, int64(o.Invoked))
		c.Completed = append(c.Completed, completed)
		c.Label = append(c.Label, label(o))
		c.Input = append(c.Input, clip(string(o.Input), limit))
		c.Output = append(c.Output, clip(string(o.Output), limit))
		c.Error = append(c.Error, clip(o.Error, limit))
	}
	return c
}
