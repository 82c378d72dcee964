package txn

import (
	"cmp"
	"context"
	"slices"
)

// analysis is what is known of one history while it is judged.
type analysis struct {
	*record
	*versions
	keys      KeyAssumption
	found     []finding
	count     map[string]int // kind of anomaly -> how many were seen, of which some are in found
	notes     []string       // what was left undecided
	undecided [][]Model      // the models that hang on it
	chains    []int32        // list-append: key -> the branch that gives its version order, or nobody
	place     []int32        // list-append: version -> its place on that branch from 1, or 0
	met       []meeting      // rw-register: see meetings
	slot      []int32        // rw-register: key -> its place in met, if it is there
	known     versionOrder   // the version order as far as it is known
	depends   *graph         // the dependencies between transactions
}

// finding is one anomaly before it is put into words.
type finding struct {
	kind  string
	txns  []int32 // named T1, T2, ... in the words
	key   int     // the key it is about, or -1
	text  string
	steps []string // the proof, if it is no cycle and wants one
	edges []edge   // the proof, if it is a cycle: edge i leads from txns[i] to the next one
	short bool     // the cycle is known to be the shortest of its class in its component
}

// examples is how many anomalies of a kind are explained; the others are only counted.
const examples = 8

// seen counts an anomaly, and has it explained if there are not enough examples yet.
func (a *analysis) seen(kind string, explain func() finding) {
	a.count[kind]++
	if a.count[kind] <= examples {
		f := explain()
		f.kind = kind
		a.found = append(a.found, f)
	}
}

// analyze finds the anomalies of a history, the severest first.
func analyze(ctx context.Context, r *record, c Checker) (*analysis, error) {
	v, err := newVersions(r)
	if err != nil {
		return nil, err
	}
	a := &analysis{record: r, versions: v, keys: c.Keys, count: make(map[string]int)}
	var links []link
	if r.kind == ListAppend {
		links = a.listOrder()
		a.checkLists()
	} else {
		links = a.registerOrder()
	}
	a.order(links)
	a.checkReads()
	a.checkWithin()
	a.checkFractured()
	a.checkLostUpdates()
	a.depends = a.graph()
	if err := a.checkCycles(ctx, c.Steps); err != nil {
		return nil, err
	}
	slices.SortStableFunc(a.found, func(x, y finding) int {
		return cmp.Or(severity(x.kind)-severity(y.kind), len(x.txns)-len(y.txns))
	})
	return a, nil
}
