package shrink

import (
	"reflect"
	"slices"
	"time"

	"rift/harness/history"
)

// smallestGap is the time in which nothing happens that is worth shortening.
const smallestGap = 100 * time.Millisecond

// earlier takes out the times in which nothing happens, the longest first: all of each, or half of it. What lies behind comes earlier, and
// a fault that is in meanwhile becomes shorter.
func (h *hunt) earlier() {
	for tried := make(map[time.Duration]bool); h.err == nil; {
		gap, ok := h.best.longestGap(tried)
		if !ok {
			return
		}
		tried[gap.length] = true
		for _, by := range []time.Duration{gap.length - time.Millisecond, gap.length / 2} {
			if h.accept(h.best.without(gap.start, by.Truncate(time.Millisecond))) {
				break
			}
		}
	}
}

// gap is a time in which nothing begins and nothing ends.
type gap struct{ start, length time.Duration }

// longestGap is the longest gap that has not been tried.
func (c Case) longestGap(tried map[time.Duration]bool) (longest gap, ok bool) {
	moments := []time.Duration{0, c.Time}
	for _, f := range c.Faults {
		moments = append(moments, time.Duration(f.At), time.Duration(f.At+f.For))
	}
	for _, o := range c.Ops {
		moments = append(moments, time.Duration(o.At))
	}
	slices.Sort(moments)
	for i := range moments[1:] {
		g := gap{moments[i], moments[i+1] - moments[i]}
		if g.length >= smallestGap && g.length > longest.length && !tried[g.length] && moments[i+1] <= c.Time {
			longest, ok = g, true
		}
	}
	return longest, ok
}

// without is the case with some time of a gap taken out.
func (c Case) without(start, by time.Duration) Case {
	after, less := history.Duration(start), history.Duration(by)
	c.Time -= by
	c.Faults, c.Ops = slices.Clone(c.Faults), slices.Clone(c.Ops)
	for i := range c.Faults {
		switch f := &c.Faults[i]; {
		case f.At > after:
			f.At -= less
		case f.At+f.For > after:
			f.For -= less
		}
	}
	for i := range c.Ops {
		if c.Ops[i].At > after {
			c.Ops[i].At -= less
		}
	}
	return c
}

// rounded gives everything times in whole milliseconds, which are easier to read.
func (h *hunt) rounded() {
	c := h.best
	c.Faults, c.Ops = slices.Clone(c.Faults), slices.Clone(c.Ops)
	for i := range c.Faults {
		c.Faults[i].At, c.Faults[i].For = whole(c.Faults[i].At), whole(c.Faults[i].For)
	}
	for i := range c.Ops {
		c.Ops[i].At = whole(c.Ops[i].At)
	}
	c.Time = time.Duration(whole(history.Duration(c.Time + time.Millisecond - 1)))
	if !reflect.DeepEqual(c, h.best) {
		h.accept(c)
	}
}

func whole(d history.Duration) history.Duration {
	return history.Duration(time.Duration(d).Truncate(time.Millisecond))
}
