package checker

import (
	"cmp"
	"slices"
	"sort"
)

// zones decides for a register whose values were each written once, in time O(n log n).
//
// Without cas it is the method of Gibbons and Korach ("Testing Shared Memories", 1997). A write and the reads of its
// value stand together in every order that explains them: a cluster. Let m be the earliest response in a cluster
// and M the latest invocation. Cluster A must come before B if m(A) < M(B), so the history is linearizable if and only if no read
// responded before its write was invoked, and no two clusters must both come before each other.
//
// A cas that succeeded names its predecessor, and nothing can come between the two: clusters become links
// of chains, and chains take the place of clusters, their inner order being given. A cas that was refused saw no more than that one
// cluster was not there; observed places it, if it can.
//
// Pending operations: one whose value nobody saw is dropped, for it can be put at the end of every order; one whose value
// was seen has happened.
func zones(v view, o object) decision {
	ops, values, ok := registerOps(v, o.spans)
	if !ok {
		return decision{}
	}
	verdict, r := explainable(ops, values, never)
	d := decision{verdict: verdict, method: "zones", steps: len(ops)}
	if slices.ContainsFunc(ops, func(o regOp) bool { return o.kind >= regCAS }) {
		d.method = "zones on chains"
	}
	if d.verdict == Unknown && r.line != nil {
		d.hint = r.hint()
	}
	if d.verdict != Invalid {
		return d
	}
	var ends []int32
	for _, o := range ops {
		if o.ret != never {
			ends = append(ends, o.ret)
		}
	}
	slices.Sort(ends)
	shortest := sort.Search(len(ends), func(i int) bool {
		d.steps += len(ops)
		verdict, _ := explainable(ops, values, ends[i])
		return verdict == Invalid
	})
	d.cut = ends[shortest]
	_, r = explainable(ops, values, d.cut)
	d.core = r.core()
	return d
}

// cluster is a value's write and its reads.
type cluster struct {
	update   int32 // the operation that writes it; -1 if there is none
	min, max int32 // m, the earliest response, and M, the latest invocation
	next     int32 // the value that a cas put in its place; 0 if none did
	included bool  // it was there
}

// register is one register's history by values.
type register struct {
	ops      []regOp
	cut      int32 // what was invoked later is left out, what completed later is pending
	clusters []cluster
	included int
	blamed   []int32 // the values that are in contradiction with each other; nil if they are not known
	refuted  *regOp  // the refused cas that cannot stand anywhere; nil if there is none
	line     []int32 // the values in an order that explains everything but refused cas; nil if there are none of these
}

// explainable gives the verdict on the operations up to cut. Unknown: the values were not unique, or refused cas are in the way.
func explainable(ops []regOp, values int, cut int32) (Verdict, *register) {
	r := &register{ops: ops, cut: cut, clusters: make([]cluster, values)}
	for i := range r.clusters {
		r.clusters[i] = cluster{update: -1, min: never, max: -1}
	}
	r.clusters[0].min, r.clusters[0].included, r.included = -1, true, 1
	if !r.unique() {
		return Unknown, r
	}
	if !r.include() || !r.gather() {
		return Invalid, r
	}
	chains, ok := r.chains()
	if !ok {
		return Invalid, r
	}
	forward, ok := r.disjoint(chains)
	if !ok {
		return Invalid, r
	}
	return r.observed(chains, forward), r
}

// each calls f for the operations before the cut, with the place of their completion or never.
func (r *register) each(f func(i int32, o *regOp, ret int32) bool) bool {
	for i := range r.ops {
		o := &r.ops[i]
		if o.call > r.cut {
			break
		}
		ret := o.ret
		if ret > r.cut {
			ret = never
		}
		if !f(int32(i), o, ret) {
			return false
		}
	}
	return true
}

// unique finds each value's write. False if there are two, or one of the first value.
func (r *register) unique() bool {
	return r.each(func(i int32, o *regOp, _ int32) bool {
		if o.kind != regWrite && o.kind != regCAS {
			return true
		}
		c := &r.clusters[o.value]
		if o.value == 0 || c.update >= 0 {
			return false
		}
		c.update = i
		return true
	})
}

// include finds the values that were certainly there. False if one of them was never written.
func (r *register) include() bool {
	return r.each(func(_ int32, o *regOp, ret int32) bool {
		if ret == never || o.kind == regMismatch {
			return true
		}
		for v := o.value; !r.clusters[v].included; v = r.ops[r.clusters[v].update].old {
			c := &r.clusters[v]
			if c.update < 0 {
				r.blamed = append(r.ancestry(o.value), v)
				return false
			}
			c.included = true
			r.included++
			if r.ops[c.update].kind == regWrite {
				break
			}
		}
		return true
	})
}

// gather finds each cluster's bounds and successor. False if a value was read before it was to be written, or two cas succeeded from the same.
func (r *register) gather() bool {
	return r.each(func(_ int32, o *regOp, ret int32) bool {
		c := &r.clusters[o.value]
		switch {
		case o.kind == regMismatch || !c.included || o.kind == regRead && ret == never:
			return true
		case o.kind == regRead && c.update >= 0 && ret < r.ops[c.update].call:
			r.blamed = r.ancestry(o.value)
			return false
		case o.kind == regCAS:
			was := &r.clusters[o.old]
			if was.next != 0 {
				if first := r.ops[r.clusters[was.next].update]; ret != never && first.ret <= r.cut { // else what made them happen is missing
					r.blamed = append(r.ancestry(o.value), was.next)
				}
				return false
			}
			was.next = o.value
		}
		c.min, c.max = min(c.min, ret), max(c.max, o.call)
		return true
	})
}

// ancestry lists a value and those that cas found before it, back to the one that was written.
func (r *register) ancestry(v int32) (list []int32) {
	for range r.clusters { // a ring of cas has no beginning
		list = append(list, v)
		u := r.clusters[v].update
		if u < 0 || r.ops[u].kind == regWrite {
			break
		}
		v = r.ops[u].old
	}
	return list
}

// chain is a value that was written and those that cas put in its place, one after the other.
type chain struct {
	first    int32
	min, max int32 // over all its clusters
}

// chains puts the clusters together. False if one would have to come before another that it follows, or if a cas has no
// beginning to follow.
func (r *register) chains() ([]chain, bool) {
	var all []chain
	linked := 0
	for v := range r.clusters {
		if c := &r.clusters[v]; !c.included || c.update >= 0 && r.ops[c.update].kind == regCAS {
			continue
		}
		ch := chain{first: int32(v), min: never, max: -1}
		for v := int32(v); ; {
			c := &r.clusters[v]
			if ch.max > c.min {
				r.blamed = r.values(nil, ch)
				return nil, false
			}
			ch.min, ch.max = min(ch.min, c.min), max(ch.max, c.max)
			linked++
			if v = c.next; v == 0 {
				break
			}
		}
		all = append(all, ch)
	}
	return all, linked == r.included
}

// values appends the values of a chain.
func (r *register) values(list []int32, c chain) []int32 {
	for v := c.first; ; {
		list = append(list, v)
		if v = r.clusters[v].next; v == 0 {
			return list
		}
	}
}

// core is the part of the history that is in contradiction with itself: the operations on the values that are to blame, and the cas that was
// refused in vain. The others can be taken out of a history without making it invalid: they write none of those values, and none of
// those that are left needs them. It is nil if nothing is known.
func (r *register) core() []span {
	blamed := make(map[int32]bool, len(r.blamed))
	for _, v := range r.blamed {
		blamed[v] = true
	}
	var core []span
	r.each(func(_ int32, o *regOp, ret int32) bool {
		chained := o.kind != regMismatch && blamed[o.value] && (o.kind != regRead || ret != never)
		if len(blamed) > 0 && (chained || r.refuted != nil && *o == *r.refuted) {
			core = append(core, o.span)
		}
		return true
	})
	return core
}

// disjoint says whether no two chains must both come before each other: zones that run forward, from m to M, must not overlap, and none
// that runs backward may lie inside one of them. It gives the forward ones, sorted.
func (r *register) disjoint(chains []chain) (forward []chain, ok bool) {
	for _, c := range chains {
		if c.min < c.max {
			forward = append(forward, c)
		}
	}
	slices.SortFunc(forward, func(a, b chain) int { return cmp.Compare(a.min, b.min) })
	for i := 1; i < len(forward); i++ {
		if forward[i].min < forward[i-1].max {
			r.blamed = r.values(r.values(nil, forward[i-1]), forward[i])
			return nil, false
		}
	}
	for _, c := range chains {
		if c.min >= c.max {
			if a := around(forward, c.max); a != nil && c.min < a.max {
				r.blamed = r.values(r.values(nil, *a), c)
				return nil, false
			}
		}
	}
	return forward, true
}

// around is the forward zone that begins last before the place, nil if there is none.
func around(forward []chain, place int32) *chain {
	i := sort.Search(len(forward), func(i int) bool { return forward[i].min >= place })
	if i == 0 {
		return nil
	}
	return &forward[i-1]
}
