// Package shrink makes failing runs small: it owns the search for the smallest schedule of faults and operations that still shows a violation,
// and what may be said of how often a run shows it.
//
// The one idea behind it is that only schedules are shrunk, never histories: each candidate is a plan that is carried out, and it counts only if
// the system breaks the same promise again. Removing something shifts what is drawn later, so a candidate is tried under a few seeds, and the one that
// fails becomes its seed. How a candidate is tried is the caller's: the search is a pure function of the answers.
package shrink

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"rift/harness/history"
)

// Case is a schedule, and what it is carried out on.
type Case struct {
	Faults  []history.PlannedFault
	Ops     []history.TimedOp // nil: those that the workload draws
	Time    time.Duration     // length of the main phase
	Nodes   int
	Clients int
	Seed    int64
}

// Found is what came of carrying out a case.
type Found struct {
	Fails   bool          // the same promise was broken
	Witness time.Duration // when the last operation of the violation began, since the start of the main phase; 0: not known
	Key     string        // what the violation is about; empty: everything
}

// Search looks for a smaller case.
type Search struct {
	// Try carries a case out. An error ends the search; that of the context, because the budget is spent, ends it with the best case so far.
	Try   func(ctx context.Context, c Case) (Found, error)
	Seeds int // under how many seeds a candidate is tried before it is given up: 1 or more
	// Tell is called after each step with the smallest case so far and the number of runs that it took. It may be nil.
	Tell func(step string, c Case, runs int)
}

// Result is the smallest case that was found.
type Result struct {
	Case
	Runs    int
	Minimal bool // nothing that could be taken away was left; else the budget was spent
}

// ErrNotReproduced says that the case to begin with does not fail again, nor any that is smaller.
var ErrNotReproduced = errors.New("the violation is not shown again")

// Smallest shrinks a case that has failed, and of which it is known how. The others are the same case told in another way: one of them is begun with if
// nothing can be taken from those before it.
func (s Search) Smallest(ctx context.Context, found Found, starts ...Case) (Result, error) {
	h := &hunt{Search: s, ctx: ctx}
	for _, c := range starts {
		h.best, h.found = c, found
		h.window()
		if !h.accepted {
			h.cut()
		}
		if h.accepted {
			break
		}
	}
	for _, c := range starts { // as they are: at worst, nothing can be taken away
		if h.accepted || h.accept(c) {
			break
		}
	}
	if !h.accepted {
		return Result{Runs: h.runs}, cmp.Or(h.err, ErrNotReproduced)
	}
	h.tell("around the violation")
	h.shrink()
	return Result{Case: h.best, Runs: h.runs, Minimal: h.err == nil}, h.serious()
}

// hunt is a search that goes on.
type hunt struct {
	Search
	ctx      context.Context
	best     Case
	found    Found
	runs     int
	err      error // why no more cases are tried
	accepted bool  // some case was
}

// serious is the error of a search that was ended by more than its budget.
func (h *hunt) serious() error {
	if h.ctx.Err() != nil {
		return nil
	}
	return h.err
}

// accept tries a candidate that is smaller than the best case, and makes it that if it fails.
func (h *hunt) accept(c Case) bool {
	for range h.Seeds {
		if h.err == nil {
			h.err = h.ctx.Err()
		}
		if h.err != nil {
			return false
		}
		found, err := h.Try(h.ctx, c)
		h.runs++
		if h.err = err; err == nil && found.Fails {
			h.best, h.found, h.accepted = c, found, true
			return true
		}
		c.Seed++
	}
	return false
}

func (h *hunt) tell(step string) {
	if h.Tell != nil && h.err == nil {
		h.Tell(step, h.best, h.runs)
	}
}

// shrink takes away what it can, the large pieces first, until nothing gets smaller any more.
func (h *hunt) shrink() {
	steps := []struct {
		name string
		do   func()
	}{
		{"cut after the violation", h.cut},
		{"fewer keys", h.fewerKeys},
		{"fewer clients", h.fewerClients},
		{"fewer faults", h.fewerFaults},
		{"earlier and shorter", h.earlier},
		{"fewer operations", h.fewerOps},
		{"a smaller cluster", h.smaller},
	}
	for h.err == nil {
		before := h.best.size()
		for _, step := range steps {
			was := h.best
			step.do()
			if h.best.size() != was.size() {
				h.tell(step.name)
			}
		}
		if h.best.size() == before {
			h.rounded()
			return
		}
	}
}

// size is what a search makes smaller.
type size struct {
	faults, ops, nodes, clients int
	time                        time.Duration
}

func (c Case) size() size { return size{len(c.Faults), len(c.Ops), c.Nodes, c.Clients, c.Time} }

// cut ends the main phase with the violation, and then as early as can be.
func (h *hunt) cut() {
	if end := h.found.Witness + instant; h.found.Witness > 0 && end+smallestGap < h.best.Time {
		h.accept(h.best.until(end))
	}
	const least = 200 * time.Millisecond // less is not worth the runs
	for least < h.best.Time && (h.accept(h.best.until(h.best.Time/2)) || h.accept(h.best.until(h.best.Time*4/5))) {
	}
}

// until is the case with what begins before a time.
func (c Case) until(end time.Duration) Case {
	c.Time = end
	c.Faults = slices.DeleteFunc(slices.Clone(c.Faults), func(f history.PlannedFault) bool { return time.Duration(f.At) >= end })
	for i, f := range c.Faults {
		c.Faults[i].For = min(f.For, history.Duration(end)-f.At)
	}
	if c.Ops != nil {
		c.Ops = slices.DeleteFunc(append([]history.TimedOp{}, c.Ops...), func(o history.TimedOp) bool { return time.Duration(o.At) >= end })
	}
	return c
}

// fewerFaults leaves faults out, all of them at best.
func (h *hunt) fewerFaults() {
	none := h.best
	if none.Faults = nil; len(h.best.Faults) == 0 || h.accept(none) {
		return
	}
	Reduce(h.best.Faults, func(faults []history.PlannedFault) bool {
		c := h.best
		c.Faults = faults
		return h.accept(c)
	})
}

// fewerOps leaves operations out.
func (h *hunt) fewerOps() {
	Reduce(h.best.Ops, func(ops []history.TimedOp) bool {
		c := h.best
		c.Ops = ops
		return h.accept(c)
	})
}

// fewerKeys leaves out all operations on some keys: at once those on all but the one that the violation is about, if that will do.
func (h *hunt) fewerKeys() {
	key := func(o history.TimedOp) string { return o.Key }
	if h.found.Key != "" && onlyOps(h, key, []string{h.found.Key}) {
		return
	}
	Reduce(values(h.best.Ops, key), func(keys []string) bool { return onlyOps(h, key, keys) })
}

// fewerClients leaves out all operations of some clients; of those that the workload draws for, half, as often as can be.
func (h *hunt) fewerClients() {
	for c := h.best; c.Ops == nil && c.Clients > 1; c = h.best {
		if c.Clients /= 2; !h.accept(c) {
			break
		}
	}
	client := func(o history.TimedOp) int { return o.Client }
	Reduce(values(h.best.Ops, client), func(clients []int) bool { return onlyOps(h, client, clients) })
}

// onlyOps tries the case with the operations that have one of some values, if those are fewer.
func onlyOps[V comparable](h *hunt, value func(history.TimedOp) V, wanted []V) bool {
	c := h.best
	c.Ops = slices.DeleteFunc(slices.Clone(c.Ops), func(o history.TimedOp) bool { return !slices.Contains(wanted, value(o)) })
	return len(c.Ops) < len(h.best.Ops) && h.accept(c)
}

// values are the different values of operations, in the order in which they come.
func values[V comparable](ops []history.TimedOp, value func(history.TimedOp) V) []V {
	var all []V
	for _, o := range ops {
		if v := value(o); !slices.Contains(all, v) {
			all = append(all, v)
		}
	}
	return all
}
