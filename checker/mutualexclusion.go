package checker

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sort"

	"rift/harness/history"
)

// MutualExclusion checks locks by key, in O(n log n): "acquire" and "release" are as for the model OwnedMutex. From the acknowledgement of an
// acquire until its holder asks to release, the lock is certainly held, and no two such times may overlap. If acquires answer fences (fencing tokens,
// whole numbers), a lock that was acquired later must have the larger one, whoever still believes to hold it: that is what protects what the
// lock is for (Kleppmann, "How to do distributed locking", 2016).
type MutualExclusion struct {
	Fenced bool // acquires answer fences
	Leased bool // locks expire, so two may believe that they hold one: only the fences count
}

const (
	twoHolders  = "two-holders"
	fenceReused = "fence-not-above"
)

// hold is one time in which a lock was certainly held.
type hold struct {
	acquire span
	until   int32 // the place of the request to release it; never if there is none
	fence   int
}

// Check implements Checker.
func (c MutualExclusion) Check(_ context.Context, h history.History) Result {
	r := Result{Checker: "mutual-exclusion", Method: "times in which a lock was certainly held, and their fences"}
	v := view{h}
	all, err := v.spans()
	if err != nil {
		return r.unreadable(err)
	}
	b := newBreaches(
		promise{twoHolders, "A lock has one holder at a time."},
		promise{fenceReused, "Whoever acquires a lock later gets a larger fence."},
	)
	holds, handed := 0, 0
	locks := v.objects(all)
	for _, o := range locks {
		held, err := c.holds(v, o.spans)
		if err != nil {
			return r.unreadable(err)
		}
		holds += len(held)
		handed += max(0, len(held)-1)
		if !c.Leased {
			overlapping(v, held, b)
		}
		if c.Fenced {
			growing(v, held, b)
		}
	}
	r.Counts = map[string]int{CountOperations: len(all), CountKeys: len(locks), "acquired": holds}
	switch {
	case b.settle(&r):
	case handed == 0:
		r.Summary = "No lock was acquired twice, so nothing was put to the test."
	default:
		r.Verdict = Valid
		r.Summary = fmt.Sprintf("%s acquired %s, and never had two holders", was(len(locks), "lock"), times(holds))
		if c.Fenced {
			r.Summary += "; each later fence is larger"
		}
		r.Summary += "."
	}
	return r
}

// holds lists the times in which a lock was certainly held, by their beginning.
func (c MutualExclusion) holds(v view, spans []span) ([]hold, error) {
	var held []hold
	asked := make(map[string]releases) // by holder
	for _, s := range spans {
		o := v.operation(s)
		switch {
		case o.F == "release":
			if o.Type != history.Fail {
				if o.Type == history.Info {
					s.ret = never
				}
				asked[holder(o)] = append(asked[holder(o)], s)
			}
		case o.F != "acquire":
			return nil, bad(o, unknownFunction(o.F, "acquire", "release"))
		case o.Type == history.OK:
			h := hold{acquire: s}
			if c.Fenced {
				var err error
				if h.fence, err = whole(o.Output, 0); err != nil || h.fence < 1 {
					return nil, bad(o, fmt.Errorf("value: %s given, a fence above 0 allowed", text(o.Output)))
				}
			}
			held = append(held, h)
		}
	}
	for who := range asked {
		asked[who].sort()
	}
	for i := range held {
		held[i].until = asked[holder(v.operation(held[i].acquire))].after(held[i].acquire)
	}
	slices.SortFunc(held, func(a, b hold) int { return cmp.Compare(a.acquire.ret, b.acquire.ret) })
	return held, nil
}

// releases are a holder's releases that may have taken effect. Once they are sorted, it is by their ends, and
// each has the earliest invocation of itself and all that end later.
type releases []span

func (r releases) sort() {
	slices.SortFunc(r, func(a, b span) int { return cmp.Compare(a.ret, b.ret) })
	for i := len(r) - 2; i >= 0; i-- {
		r[i].call = min(r[i].call, r[i+1].call)
	}
}

// after is the earliest moment at which a release may have ended what an acquire began.
func (r releases) after(acquire span) int32 {
	i := sort.Search(len(r), func(i int) bool { return r[i].ret > acquire.call })
	if i == len(r) {
		return never
	}
	return r[i].call
}

// overlapping finds times that began while an earlier one lasted: of the earlier ones, that which lasted longest tells.
func overlapping(v view, held []hold, b *breaches) {
	held = slices.DeleteFunc(slices.Clone(held), func(h hold) bool { return h.until < h.acquire.ret }) // over, perhaps, before it was known
	for i, longest := 1, 0; i < len(held); i++ {
		if first := held[longest]; first.until > held[i].acquire.ret {
			one, two := v.operation(first.acquire), v.operation(held[i].acquire)
			lasted := "and never asked to release it"
			if first.until != never {
				lasted = fmt.Sprintf("and asked to release it only %s", at(v.h[first.until].Time))
			}
			again := holder(two) + " acquired it as well"
			if holder(one) == holder(two) {
				again = "it acquired it again"
			}
			b.add(twoHolders, []history.Operation{one, two}, "%s acquired the lock%s at %s %s, %s; meanwhile %s, at %s %s.",
				capital(holder(one)), ofLock(one), who(one), at(one.Completed), lasted, again, who(two), at(two.Completed))
		}
		if held[i].until > held[longest].until {
			longest = i
		}
	}
}

// growing finds acquires that got a fence which another one had, or none larger than that of one acknowledged before they began.
func growing(v view, held []hold, b *breaches) {
	later := slices.Clone(held)
	slices.SortFunc(later, func(a, b hold) int { return cmp.Compare(a.acquire.call, b.acquire.call) })
	given := make(map[int]hold)
	var largest hold
	n := 0
	for _, h := range later {
		for ; n < len(held) && held[n].acquire.ret < h.acquire.call; n++ {
			if held[n].fence > largest.fence {
				largest = held[n]
			}
		}
		rival, reused := given[h.fence]
		given[h.fence] = h
		if largest.fence >= h.fence {
			rival, reused = largest, true
		}
		if reused {
			one, two := v.operation(rival.acquire), v.operation(h.acquire)
			b.add(fenceReused, []history.Operation{one, two}, "%s got fence %d for the lock%s %s, although %s got %d %s.",
				capital(holder(two)), h.fence, ofLock(two), at(two.Completed), holder(one), rival.fence, at(one.Completed))
		}
	}
}

// ofLock is the lock in words.
func ofLock(o history.Operation) string {
	if o.Key == "" {
		return ""
	}
	return " " + o.Key
}
