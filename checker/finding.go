package checker

import "context"

// reach is the farthest point that the search came to.
type reach struct {
	path      []placement
	explained int32
	states    []int32 // all states that it was reached in
}

// finding is the answer of a search.
type finding struct {
	verdict Verdict
	steps   int
	order   []span // the longest order found that explains its operations' answers
	states  []any  // invalid: every state that the object can be in when nothing fits any more
	culprit span   // invalid: the operation whose answer nothing explains
	stuck   []span // invalid: the completed operations that could have come next
}

// visitSteps is what a configuration counts: it needs memory, which nothing else does.
const visitSteps = 16

// find searches at most budget steps, a step being one comparison.
func find(ctx context.Context, m Model, ops []op, budget int) finding {
	s := newSearch(m, ops)
	s.budget = budget
	f := finding{verdict: s.run(ctx), steps: s.steps}
	placed := make(map[int32]bool)
	used := make(map[int32]int)
	for _, p := range s.best.path {
		if p.resource {
			f.order = append(f.order, s.pending[p.op].spans[used[p.op]])
			used[p.op]++
			continue
		}
		f.order = append(f.order, s.ops[p.op].span)
		placed[p.op] = true
	}
	if f.verdict != Invalid {
		return f
	}
	for _, state := range s.best.states {
		f.states = append(f.states, s.states.values[state])
	}
	f.culprit = s.ops[s.returns[s.best.explained]].span
	for i := range s.ops {
		if o := s.ops[i]; o.call < f.culprit.ret && !placed[int32(i)] {
			f.stuck = append(f.stuck, o.span)
		}
	}
	return f
}
