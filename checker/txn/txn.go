// Package txn judges histories of transactions: which isolation a database kept, and where it broke its promise.
//
// The one idea behind it is Elle's (Kingsbury & Alvaro, "Elle: Inferring Isolation Anomalies from Experimental Observations", VLDB
// 2020): clients write values that are unique, so that each read names the write that it saw; appended lists even show the order of
// all writes before it. From that follow dependencies between transactions, and a cycle of dependencies proves, whatever the
// database is like inside, that no order of the transactions explains what the clients saw. What is on the cycle says which
// models are ruled out (Adya, "Weak Consistency", 1999).
//
// An operation has the function "txn" and, as its value, an array of micro-operations [function, key, value]:
//
//	[["append","x",3], ["r","y",[1,2]], ["r","z",null]]    list-append
//	[["w","x",3], ["r","y",2], ["r","z",null]]             rw-register
//
// Keys and values are strings or numbers. In an invocation the values of reads are null; in an ok completion null is the initial state. No two
// transactions may write the same value to the same key. A failed transaction did not happen; an indeterminate one counts as committed if
// somebody saw a write of it, and else as one that never was.
//
// The way through the package: parser and lists read the micro-operations, versions and listOrder or registerOrder find the order of each
// key's versions, graph the dependencies, component and seeker the cycles, and words and drawing explain them. All of it is a
// function of the history: work is bounded in steps, never in seconds.
package txn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"rift/checker"
	"rift/harness/history"
)

// Kind says what transactions write.
type Kind uint8

// Appends show more than register writes do: a read of a list shows all writes before it, a register read only the last one.
const (
	ListAppend Kind = iota // "append" and "r" of lists
	Register               // "w" and "r" of single values
)

// String is the name of the kind of history in Elle's words, and of its checker.
func (k Kind) String() string {
	if k == Register {
		return "rw-register"
	}
	return "list-append"
}

// write is the JSON text of the kind's writing function.
func (k Kind) write() string {
	if k == Register {
		return `"w"`
	}
	return `"append"`
}

// nothing is a read's argument for the initial state.
func (k Kind) nothing() int64 {
	if k == Register {
		return noValue
	}
	return emptyList
}

// KeyAssumption is what the caller vouches for about each single key. For registers more of the version order follows from it,
// and every anomaly found rests on it. The models strong-session-... and strict-serializable imply the same
// of their own, so nothing need be assumed to judge by them.
type KeyAssumption uint8

// Each includes the ones before it.
const (
	NoAssumption     KeyAssumption = iota
	SequentialKeys                 // each process meets the versions of a key in their order
	LinearizableKeys               // and so does real time
)

// DefaultSteps is the budget of a Checker that has none: a few seconds' work.
const DefaultSteps = 1 << 28

// Checker judges the transactions of a history by a model.
type Checker struct {
	Kind   Kind
	Expect Model         // what the database promises; empty: StrictSerial
	Keys   KeyAssumption // for registers only
	Steps  int64         // how many edges the search for cycles may look at; 0: DefaultSteps
}

// Check gives the verdict. It is unknown if the history cannot be read, if too few dependencies could be inferred to
// mean anything, or if the step budget ran out before the expected model was decided.
func (c Checker) Check(ctx context.Context, h history.History) checker.Result {
	if c.Expect == "" {
		c.Expect = StrictSerial
	}
	if c.Steps == 0 {
		c.Steps = DefaultSteps
	}
	result := checker.Result{Checker: c.Kind.String(), Method: c.method()}
	a, err := c.judge(ctx, h)
	if err != nil {
		result.Summary = fmt.Sprintf("The transactions could not be judged: %v.", err)
		return result
	}
	broken := a.broken()
	out := ruledOut(broken)
	result.Counts = a.counts()
	result.Table = a.table(out)
	unsure := a.unsure(c)
	switch {
	case out[c.Expect]:
		result.Verdict = checker.Invalid
		result.Summary = a.accusation(c.Expect, out)
		result.Anomalies = a.explain(c.Expect)
	case unsure != "":
		result.Summary = fmt.Sprintf("Nothing contradicts %s, but that means little: %s.", c.Expect, unsure)
	default:
		result.Verdict = checker.Valid
		result.Summary = fmt.Sprintf("%d committed transactions show nothing that %s forbids.", result.Counts["committed"], c.Expect)
		if len(a.found) > 0 {
			result.Summary += fmt.Sprintf(" It allows what stronger models forbid: %s.", strings.Join(a.kindsSeen(), ", "))
		}
	}
	return result
}

func (c Checker) judge(ctx context.Context, h history.History) (*analysis, error) {
	if !slices.Contains(Models(), c.Expect) {
		return nil, fmt.Errorf("expected model: %q given, one of %v allowed", c.Expect, Models())
	}
	r, err := read(ctx, h, c.Kind)
	if err != nil {
		return nil, err
	}
	if len(r.calls) == 0 {
		return nil, errors.New("the history has no operation with the function \"txn\"")
	}
	return analyze(ctx, r, c)
}

// method names the algorithm and what it infers version orders from.
func (c Checker) method() string {
	if c.Kind == ListAppend {
		return "cycles in the dependency graph (Elle); version orders from the longest read of each key"
	}
	from := "cycles in the dependency graph (Elle); version orders from initial states, writes that follow reads, and, for the -process and -realtime anomalies, the orders that they are about"
	switch c.Keys {
	case SequentialKeys:
		return from + "; assumed: each key is sequential"
	case LinearizableKeys:
		return from + "; assumed: each key is linearizable"
	}
	return from
}

// unsure says why the absence of anomalies proves nothing, or is empty.
func (a *analysis) unsure(c Checker) string {
	g := a.depends
	anti := g.count[rw] + g.count[rwProcess] + g.count[rwRealTime]
	switch {
	case slices.ContainsFunc(a.undecided, func(m []Model) bool { return ruledOut(m)[c.Expect] }):
		return strings.Join(a.notes, "; ")
	case anti+g.count[ww]+g.count[wr] == 0:
		return "no transaction is known to depend on another one"
	case anti == 0 && c.Kind == Register && c.Expect != ReadUncommitted && c.Expect != ReadCommitted:
		return "no version order of any key could be inferred, so only what read-committed forbids could have been found"
	}
	return ""
}
