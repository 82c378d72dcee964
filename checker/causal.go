package checker

import (
	"context"
	"fmt"

	"rift/harness/history"
)

// Causal checks causal consistency of registers: a read that has seen an effect, its own process's or another's, sees everything that led
// to it. It looks for the bad patterns of Bouajjani, Enea, Guerraoui & Hamza, "On verifying causal consistency", POPL
// 2017, which are complete where each value is written once; the anomalies bear that paper's names. With n operations by p processes it takes
// O(n·p) time and space.
type Causal struct {
	// Convergent asks for causal convergence, also known as causal+, as well: conflicting writes are ordered in one way everywhere.
	Convergent bool
}

const (
	writeCORead     = "WriteCORead"     // a read missed a write that it causally depends on
	writeCOInitRead = "WriteCOInitRead" // and even saw the initial value
	cyclicCF        = "CyclicCF"        // two orders of the same writes were seen
)

var causalPromises = append([]promise{
	{writeCOInitRead, "A read that causally follows a write does not answer the initial value."},
	{writeCORead, "A read does not answer a value that is overwritten by a write which it causally follows."},
	{cyclicCF, "All processes see conflicting writes in one order, which respects causality."},
}, soundReads...)

// Check implements Checker.
func (c Causal) Check(_ context.Context, h history.History) Result {
	r := Result{Checker: "causal", Method: "bad patterns of causal consistency, by vector clocks"}
	b := newBreaches(causalPromises...)
	a, p, ok := readPrecedence(h, b, &r)
	if !ok {
		return r
	}
	for i, x := range a.all {
		if !x.write {
			c.judge(p, int32(i), b)
		}
	}
	if c.Convergent && b.total() == 0 {
		if stuck := p.settle(); stuck != nil {
			b.cycle(p, stuck, cyclicCF)
		}
	}
	switch {
	case b.settle(&r):
	case !a.shared():
		r.Summary = nothingShared
	default:
		r.Verdict = Valid
		r.Summary = fmt.Sprintf("Each of %s saw everything that led to what it saw, over %s and %d processes.",
			count(a.reads, "read"), count(len(a.keys), "key"), len(a.sequences))
	}
	return r
}

// readPrecedence takes a history in and works out what precedes what. False if it cannot be judged, as the result then says.
func readPrecedence(h history.History, b *breaches, r *Result) (*accesses, *precedence, bool) {
	a, err := readAccesses(h, b)
	if err != nil {
		r.Summary = fmt.Sprintf("The history cannot be judged: %v.", err)
		return nil, nil, false
	}
	r.Counts = map[string]int{CountOperations: a.total, CountKeys: len(a.keys), "reads": a.reads, "processes": len(a.sequences)}
	p, ok := newPrecedence(a)
	if !ok {
		r.Summary = fmt.Sprintf("The history is too long to be judged: %s by %d processes, where their product may be %s at most.",
			count(len(a.all), "operation"), len(a.sequences), thousands(maxClocks))
		return nil, nil, false
	}
	p.settle() // never stuck: no read is over before its write is invoked, so without links all goes forward in time
	return a, p, true
}

const nothingShared = "No read saw a write of another process, so nothing was put to the test."

// shared says whether any process saw a write of another one.
func (a *accesses) shared() bool {
	for _, x := range a.all {
		if !x.write && x.source != initial && a.all[x.source].process != x.process {
			return true
		}
	}
	return false
}

// judge looks at one read. Other writes to its key that it follows must come before the write that it saw: a link says so.
func (c Causal) judge(p *precedence, read int32, b *breaches) {
	source := p.all[read].source
	p.rivals(read, func(w int32) {
		switch {
		case source == initial:
			if b.wants(writeCOInitRead) {
				b.missed(p, writeCOInitRead, w, read, nil)
			}
		case p.precedes(source, w):
			if b.wants(writeCORead) {
				b.missed(p, writeCORead, w, read, p.shorten(p.path(source, w, 1, nil)))
			}
		default:
			p.link(link{from: w, to: source, read: read, round: 1})
		}
	})
}

// missed adds a read that follows a write and missed it. before leads to that write from the one that the read saw, if it saw one.
func (b *breaches) missed(p *precedence, kind string, write, read int32, before []int32) {
	way := p.shorten(p.path(write, read, 1, nil))
	if len(before) > 0 {
		way = append(before, way[1:]...)
	}
	x, o := p.all[read], p.operation(p.all[read].span)
	b.put(kind, p.operations(way...), p.narrate(way),
		fmt.Sprintf("%s answered %s to a read of %s by process %d %s, although the read causally follows the write of %s, which came after that.",
			who(o), p.value(x), p.object(x.key), o.Process, at(o.Completed), p.value(p.all[write])))
}
