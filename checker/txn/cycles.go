package txn

import (
	"context"
	"fmt"
)

// checkCycles finds in each component the severest classes of cycles: for the data alone, then with the processes' orders, then with real
// time, each time only what is severer than what was found before, because everything else is implied by that. Of each class
// found it explains a shortest cycle of the component.
func (a *analysis) checkCycles(ctx context.Context, steps int64) error {
	for _, c := range a.parts() {
		s := &seeker{component: c, ctx: ctx, steps: &steps, met: make([]int32, 2*c.nodes), parent: make([]arrival, 2*c.nodes)}
		worst, length := noClass, 0
		for v := plain; v <= realTime; v++ {
			for cl := g0; cl < worst; cl++ {
				cycle, decided := s.find(cl, v)
				if ctx.Err() != nil {
					return ctx.Err()
				}
				if !decided {
					a.undecide(cl, v, len(c.txns))
				}
				if cycle != nil {
					worst, length = cl, len(cycle.edges)
					a.report(c, cycle)
				}
			}
		}
		if length > plausible {
			if cycle := s.timedCycle(walk{kindsOf(worst, realTime), timedRules[worst]}); cycle != nil && len(cycle.edges) < length {
				a.report(c, cycle.unproven())
			}
		}
	}
	return nil
}

// plausible is the longest cycle that convinces. Beside a longer one, a shorter one is shown that needs real-time order, if there is one.
const plausible = 4

func (a *analysis) undecide(c class, v variant, txns int) {
	a.undecided = append(a.undecided, []Model{classModels[c][v]})
	a.notes = append(a.notes, fmt.Sprintf("whether a %s cycle exists among %d transactions that depend on one another was not decided within the step budget", cycleName(c, v), txns))
}

// report keeps a cycle as a finding.
func (a *analysis) report(c *component, found *cycle) {
	edges := found.edges
	cl, v := classify(edges)
	a.seen(cycleName(cl, v), func() finding {
		f := finding{key: -1, edges: edges, short: found.shortest}
		for i := range edges {
			edges[i].from, edges[i].to = c.txns[edges[i].from], c.txns[edges[i].to]
		}
		rotate(edges)
		for _, e := range edges {
			f.txns = append(f.txns, e.from)
		}
		return f
	})
}

// cycle is a way from a transaction back to itself.
type cycle struct {
	edges    []edge
	shortest bool
}

// classify says what a cycle is by the edges on it.
func classify(edges []edge) (class, variant) {
	v, c, rws, adjacentRWs := plain, g0, 0, 0
	for i, e := range edges {
		switch {
		case e.kind == inTime || e.kind == rwRealTime:
			v = realTime
		case e.kind == inProcess || e.kind == rwProcess:
			v = max(v, process)
		case e.kind == wr:
			c = g1c
		}
		if e.kind.isRW() {
			rws++
			if edges[(i+1)%len(edges)].kind.isRW() {
				adjacentRWs++
			}
		}
	}
	switch {
	case rws == 1:
		c = gSingle
	case adjacentRWs > 0:
		c = g2Item
	case rws > 1:
		c = gNonadjacent
	}
	return c, v
}

// rotate lets a cycle begin after its real-time edge if it has one, otherwise with its first transaction: that is how it is told best.
func rotate(edges []edge) {
	begin := 0
	for i, e := range edges {
		if e.kind == inTime {
			begin = (i + 1) % len(edges)
			break
		}
		if e.from < edges[begin].from {
			begin = i
		}
	}
	copy(edges, append(append([]edge{}, edges[begin:]...), edges[:begin]...))
}

// Kinds of edges by class and variant.
var (
	classKinds = [...]uint16{
		g0:           allow(ww),
		g1c:          allow(ww, wr),
		gSingle:      allow(ww, wr, rw),
		gNonadjacent: allow(ww, wr, rw),
		g2Item:       allow(ww, wr, rw),
	}
	variantKinds = [...]uint16{
		plain:    0,
		process:  allow(inProcess, rwProcess),
		realTime: allow(rwProcess, rwRealTime), // and the real-time order, which is not stored as edges
	}
	anyRWKind = allow(rw, rwProcess, rwRealTime)
)

// timedRules restrict the paths whose ends a real-time edge joins.
var timedRules = [...]rule{g0: anyRW, g1c: anyRW, gSingle: oneRW, gNonadjacent: apartRW, g2Item: anyRW}

// kindsOf are the kinds of stored edges that may be on a cycle.
func kindsOf(c class, v variant) uint16 {
	extra := variantKinds[v]
	if c < gSingle {
		extra &^= anyRWKind
	}
	return classKinds[c] | extra
}

// find gives a shortest cycle of a class, or nil. A severer class of the same variant, and the same class of a
// simpler variant, are not there to be found. It is undecided only for G-single, and for lack of steps.
func (s *seeker) find(c class, v variant) (found *cycle, decided bool) {
	kinds := kindsOf(c, v)
	var search closed
	switch c {
	case g0:
		search = closed{exists: walk{kinds, anyRW}, first: allow(ww)}
	case g1c:
		search = closed{exists: walk{kinds, anyRW}, first: allow(wr)}
	case gSingle: // such a cycle is one of nonadjacent rw edges, but not the other way round
		search = closed{exists: walk{kinds, apartRW}, first: anyRWKind, path: walk{kinds &^ anyRWKind, anyRW}}
	case gNonadjacent:
		search = closed{exists: walk{kinds, apartRW}, first: anyRWKind}
	case g2Item:
		search = closed{exists: walk{kinds, anyRW}, first: anyRWKind}
	}
	if search.path.kinds == 0 {
		search.path = search.exists
	}
	decided = true
	if v == plain || s.has(kinds&variantKinds[v]) {
		found, decided = s.closedCycle(search)
	}
	if found != nil || v != realTime {
		return found, decided
	}
	found = s.timedCycle(walk{kinds, timedRules[c]})
	return found, decided || found != nil
}
