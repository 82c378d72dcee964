package checker

import (
	"cmp"
	"context"
	"fmt"

	"rift/harness/history"
)

// Sequential checks sequential consistency of registers (Lamport, "How to make a multiprocessor computer that correctly executes
// multiprocess programs", 1979): one order of all operations, on all keys, explains every answer, and has each process's operations in that process's order. Unlike linearizability
// it says nothing of real time, and it cannot be judged key by key.
//
// To decide it is NP-complete even if each value is written once (Gibbons & Korach, "Testing shared memories", 1997), so it is approached from both sides.
// What the reads force is derived until nothing new follows, each round in O(n·p) for n operations by p processes: a cycle proves a
// violation. Otherwise an order is built, by real time where there is a choice, and taken back where it does not go on: an order that was
// completed is a proof. If neither comes about within the budget, the verdict is unknown.
type Sequential struct {
	Steps int // how many choices more than there are operations may be made in the search for an order; 0: DefaultOrderSteps
}

// DefaultOrderSteps is a few seconds' work, and 100 MB.
const DefaultOrderSteps = 1_000_000

const nonsequential = "nonsequential"

var sequentialPromises = append([]promise{
	{nonsequential, "Sequential consistency: one order of all operations explains every answer, and keeps the order of each process."},
}, soundReads...)

// maxRounds bounds the derivation of links. It stops earlier where nothing new follows.
const maxRounds = 100

// Check implements Checker.
func (s Sequential) Check(ctx context.Context, h history.History) Result {
	r := Result{Checker: "sequential", Method: "links that reads force, then an order of all operations"}
	b := newBreaches(sequentialPromises...)
	a, p, ok := readPrecedence(h, b, &r)
	if !ok {
		return r
	}
	order, verdict := s.judge(ctx, p, b)
	r.Counts["links"], r.Counts["steps"] = len(p.links), order.steps
	switch {
	case b.settle(&r):
	case !a.shared():
		r.Summary = nothingShared
	case verdict == Valid:
		r.Verdict = Valid
		r.Summary = fmt.Sprintf("One order of %s explains all %s and keeps the order of each process.", count(len(a.all), "operation"), count(a.reads, "read"))
	case ctx.Err() != nil:
		r.Summary = "The judging was interrupted before an order was found."
	default:
		r.Summary = fmt.Sprintf("Neither an order of all operations nor a contradiction was found within %s steps.", thousands(s.steps(len(a.all))))
	}
	return r
}

func (s Sequential) steps(operations int) int { return operations + cmp.Or(s.Steps, DefaultOrderSteps) }

// judge derives links, round by round, until they contradict each other or nothing new follows. Now and then it looks whether an order can be
// built without much search: most histories need few rounds for that.
func (s Sequential) judge(ctx context.Context, p *precedence, b *breaches) (order *scheduler, verdict Verdict) {
	quick := 2 * len(p.all)
	for round, try := 1, 1; round <= maxRounds && ctx.Err() == nil; round++ {
		stuck, more := p.derive(round)
		if stuck != nil {
			b.cycle(p, stuck, nonsequential)
			return &scheduler{}, Invalid
		}
		if !more {
			break
		}
		if round == try {
			if order, verdict = p.schedule(ctx, quick); verdict == Valid {
				return order, Valid
			}
			try *= 2
		}
	}
	if order, verdict = p.schedule(ctx, s.steps(len(p.all))); verdict == Invalid {
		order.accuse(b)
	}
	return order, verdict
}

// derive adds the links that follow from the reads and from the links of earlier rounds. It says whether there are new ones; if they contradict
// each other, it gives the accesses that are tangled.
func (p *precedence) derive(round int) (stuck []int32, more bool) {
	before := len(p.links)
	for i, x := range p.all {
		if x.write {
			continue
		}
		read := int32(i)
		if x.source != initial {
			p.rivals(read, func(w int32) { p.link(link{from: w, to: x.source, read: read, round: round}) })
		}
		p.successors(read, func(w int32) { p.link(link{from: read, to: w, read: read, round: round}) })
	}
	if len(p.links) == before {
		return nil, false
	}
	return p.settle(), true
}

// accuse tells where the longest order stops, all others having been tried.
func (s *scheduler) accuse(b *breaches) {
	b.wants(nonsequential)
	steps := []string{fmt.Sprintf("The longest order that keeps the order of each process and explains every read has %s of %s. What could come next does not fit:",
		thousands(s.most), count(len(s.all), "operation"))}
	for _, i := range s.stuck {
		steps = append(steps, s.tell(i, ""))
	}
	b.put(nonsequential, s.operations(s.stuck...), steps, fmt.Sprintf("Every order of the %s that keeps the order of each process was tried, and none explains all %s.",
		count(len(s.all), "operation"), count(s.reads, "read")))
}
