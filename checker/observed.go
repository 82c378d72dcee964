package checker

import (
	"cmp"
	"slices"
	"sort"
)

// observed finds a place for each refused cas. It takes one order that explains everything else, and looks for a cluster other than
// that of the cas's old value among which the cas can stand. Valid if there is one for each; Invalid if a cas certainly
// ran while its old value was there; Unknown if another order might do.
func (r *register) observed(chains, forward []chain) Verdict {
	var refused []regOp
	r.each(func(_ int32, o *regOp, ret int32) bool {
		if o.kind == regMismatch && ret != never && r.clusters[o.old].included {
			refused = append(refused, *o)
		}
		return true
	})
	if len(refused) == 0 {
		return Valid
	}
	r.line = r.order(chains, forward)
	values := r.line
	n := len(values)
	earlier, later := make([]int32, n), make([]int32, n) // latest invocation before a cluster's reads; earliest response after them
	for i, latest := 0, int32(-1); i < n; i++ {
		c := &r.clusters[values[i]]
		earlier[i] = latest
		if c.update >= 0 {
			earlier[i] = max(latest, r.ops[c.update].call)
		}
		latest = max(latest, c.max)
	}
	for i, earliest := n-1, int32(never); i >= 0; i-- {
		later[i] = earliest
		earliest = min(earliest, r.clusters[values[i]].min)
	}
	byRet := make([]int, len(refused))
	for i := range byRet {
		byRet[i] = i
	}
	slices.SortFunc(byRet, func(a, b int) int { return cmp.Compare(refused[a].ret, refused[b].ret) })
	places := make([]int, len(refused))
	ended, bound := 0, 0 // refused cas that completed before this one began stand no later than it
	for k, o := range refused {
		for ; refused[byRet[ended]].ret < o.call; ended++ {
			bound = max(bound, places[byRet[ended]])
		}
		at := max(bound, sort.Search(n, func(i int) bool { return later[i] > o.call }))
		if values[at] == o.old {
			at++
		}
		if at == n || earlier[at] > o.ret {
			return r.refute(refused, chains)
		}
		places[k] = at
	}
	return Valid
}

// order lists the included values in an order that explains all but the refused cas. Forward zones go by
// their beginning; a backward zone goes where it begins, or if that is inside a forward one, right behind it.
func (r *register) order(chains, forward []chain) []int32 {
	type placed struct {
		chain
		place int32
	}
	line := make([]placed, len(chains))
	for i, c := range chains {
		line[i] = placed{c, c.min}
		if c.min >= c.max {
			line[i].place = c.max
			if a := around(forward, c.max); a != nil {
				line[i].place = max(a.max, c.max)
			}
		}
	}
	slices.SortStableFunc(line, func(a, b placed) int { return cmp.Compare(a.place, b.place) })
	values := make([]int32, 0, r.included)
	for _, p := range line {
		values = r.values(values, p.chain)
	}
	return values
}

// refute looks for a cas that can neither stand before its old value came nor after it went: something of that value
// or of what follows in its chain completed before it began, and something of that value or of what precedes was invoked after it completed.
func (r *register) refute(refused []regOp, chains []chain) Verdict {
	before, after, of := make([]int32, len(r.clusters)), make([]int32, len(r.clusters)), make([]int32, len(r.clusters))
	var values []int32
	for i, c := range chains {
		values = r.values(values[:0], c)
		latest, earliest := int32(-1), int32(never)
		for _, v := range values {
			latest = max(latest, r.clusters[v].max)
			after[v], of[v] = latest, int32(i)
		}
		for _, v := range slices.Backward(values) {
			earliest = min(earliest, r.clusters[v].min)
			before[v] = earliest
		}
	}
	for i, o := range refused {
		if before[o.old] < o.call && after[o.old] > o.ret {
			r.refuted, r.blamed = &refused[i], r.values(nil, chains[of[o.old]])
			return Invalid
		}
	}
	return Unknown
}

// hint tells the search what is known of the order, and which pending operations happened.
func (r *register) hint() *hint {
	h := &hint{rank: make(map[int32]int32, len(r.line)), due: make(map[int32]int32), exact: true}
	due := int32(never)
	for rank := len(r.line) - 1; rank >= 0; rank-- {
		c := &r.clusters[r.line[rank]]
		if c.update < 0 {
			continue
		}
		o := &r.ops[c.update]
		h.rank[o.call] = int32(rank)
		due = min(due, c.min)
		if o.ret == never {
			h.due[o.call] = due
		}
		if o.kind == regWrite {
			due = never
		}
	}
	for i := range r.ops {
		if o := &r.ops[i]; o.ret == never && h.due[o.call] == 0 {
			h.exact = false
		}
	}
	return h
}
