package shrink

import (
	"cmp"
	"slices"
	"time"

	"rift/harness/history"
)

// The times that a window has before its first fault or the violation, and behind its last fault.
const (
	leadIn  = 300 * time.Millisecond
	leadOut = 300 * time.Millisecond
	instant = time.Millisecond // so that what begins at a time is within it
)

// window takes nothing but what was just before and after the violation: with none of the faults, with the last one before it, with the last two,
// and so on, doubling. Most of what a run did has nothing to do with what it shows, and short runs are tried fast.
func (h *hunt) window() {
	if h.found.Witness == 0 {
		return
	}
	began := slices.DeleteFunc(slices.Clone(h.best.Faults), func(f history.PlannedFault) bool { return time.Duration(f.At) > h.found.Witness })
	slices.SortStableFunc(began, func(a, b history.PlannedFault) int { return cmp.Compare(a.At, b.At) })
	for n := 0; n < len(h.best.Faults); n = max(1, 2*n) {
		last := began[max(0, len(began)-n):]
		from, healed := h.found.Witness, h.found.Witness
		for _, f := range last {
			from, healed = min(from, time.Duration(f.At)), max(healed, time.Duration(f.At+f.For))
		}
		from = max(0, from-leadIn)
		if to := healed + leadOut; to-from < h.best.Time && h.accept(h.best.between(from, to, last)) {
			return
		}
	}
}

// between is the case with some faults, and with the operations that begin between two times.
func (c Case) between(from, to time.Duration, faults []history.PlannedFault) Case {
	c.Faults = faults
	if c.Ops == nil {
		from = 0 // nobody knows what the workload would have gone on with
	}
	c = c.until(min(to, c.Time))
	c.Time -= from
	for i := range c.Faults {
		c.Faults[i].At -= history.Duration(from)
	}
	c.Ops = slices.DeleteFunc(c.Ops, func(o history.TimedOp) bool { return time.Duration(o.At) < from })
	for i := range c.Ops {
		c.Ops[i].At -= history.Duration(from)
	}
	return c
}
