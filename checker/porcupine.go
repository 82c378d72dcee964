package checker

import (
	"hash/maphash"
	"sync/atomic"

	"github.com/anishathalye/porcupine"
)

// secondOpinion asks porcupine, an independent implementation, whether operations are linearizable. An operation
// that completes after cut need not be explained yet. Unknown: it would take too many steps.
func secondOpinion(m Model, ops []op, cut int32) Verdict {
	open := make([]op, len(ops))
	copy(open, ops)
	for i := range open {
		if open[i].ret > cut {
			open[i].ret = never
		}
	}
	budget := opinionSteps(len(ops))
	verdict, steps := runPorcupine(m, open, budget)
	if steps >= budget {
		return Unknown
	}
	return verdict
}

// runPorcupine gives porcupine's verdict, which means something only if it took fewer than budget steps: porcupine knows no budget
// but time, so once it is spent no step succeeds, and the search runs dry. An operation
// that never returns can always be put last, where it does nothing if it does not fit.
func runPorcupine(m Model, ops []op, budget int) (verdict Verdict, spent int) {
	var steps atomic.Int64
	seed := maphash.MakeSeed()
	model := porcupine.Model{
		Init: func() any { return m.Init },
		Step: func(state, input, _ any) (bool, any) {
			if steps.Add(1) >= int64(budget) {
				return false, state
			}
			o := input.(op)
			next, ok := m.Step(state, o.Call)
			if !ok && o.ret == never {
				return true, state
			}
			return ok, next
		},
		Equal: func(a, b any) bool { return a == b },
		Hash:  func(state any) uint64 { return maphash.Comparable(seed, state) },
	}
	calls := make([]porcupine.Operation, len(ops))
	for i, o := range ops {
		calls[i] = porcupine.Operation{ClientId: i, Input: o, Call: int64(o.call), Return: int64(o.ret)}
	}
	verdict = Invalid
	if porcupine.CheckOperations(model, calls) {
		verdict = Valid
	}
	return verdict, int(steps.Load())
}
