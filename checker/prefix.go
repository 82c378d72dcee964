package checker

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"rift/harness/history"
)

// Prefix checks consistent prefix (Terry, "Replicated data consistency explained through baseball", CACM 2013): whoever reads, from
// whichever replica and however stale, sees the first so many writes of one order. Writes are the "add"s of elements, each
// once, to a set for each key; reads are its "list"s. So all lists of a set must form a chain under inclusion, and nobody may see an
// element without those that were acknowledged before it was asked for. It takes O(n log n) for n elements listed.
type Prefix struct {
	// Sessions asks for less: an element may not be seen without what the same process had added before.
	Sessions bool
}

const (
	longFork  = "long-fork" // two lists of which neither has all of the other
	prefixGap = "gap"       // a list that has an element and not an earlier one
)

// prefixes is one set with its lists by size.
type prefixes struct {
	*setHistory
	key   string
	order []int32 // listings, the smallest first
	rank  []int32 // element -> the place in order of the smallest list that has it; never if there is none
}

// Check implements Checker.
func (c Prefix) Check(_ context.Context, h history.History) Result {
	r := Result{Checker: "prefix", Method: "lists by size, each against the next smaller one"}
	v := view{h}
	all, err := v.spans()
	if err != nil {
		return r.unreadable(err)
	}
	b := newBreaches(
		promise{setUnexpected, setRules[setUnexpected]},
		promise{longFork, "All replicas take writes over in one order: of two lists, one has everything that the other has."},
		promise{prefixGap, "Whoever sees a write sees every write that was acknowledged before it was asked for."},
	)
	lists, different, tested := 0, 0, 0
	sets := v.objects(all)
	for _, o := range sets {
		s, err := gatherSet(v, o.spans)
		if err != nil {
			return r.unreadable(err)
		}
		p := newPrefixes(s, o.key)
		lists += len(s.listings)
		if n := p.different(); n > 1 {
			different, tested = different+n, tested+1
		}
		p.unexpected(b)
		if p.chain(b) {
			for _, elements := range p.sessions(c.Sessions) {
				p.gap(elements, b)
			}
		}
	}
	r.Counts = map[string]int{CountOperations: len(all), CountKeys: len(sets), "lists": lists, "states": different}
	switch {
	case b.settle(&r):
	case tested == 0:
		r.Summary = "No set was seen in two states, so nothing was put to the test."
	default:
		r.Verdict = Valid
		r.Summary = fmt.Sprintf("Each of %s shows the first so many elements of one order, on %s in %s.",
			count(lists, "list"), count(tested, "set"), count(different, "state"))
	}
	return r
}

func newPrefixes(s *setHistory, key string) *prefixes {
	p := &prefixes{setHistory: s, key: key, rank: make([]int32, len(s.elements))}
	for k := range s.listings {
		l := &s.listings[k]
		slices.Sort(l.elements)
		l.elements = slices.Compact(l.elements)
		p.order = append(p.order, int32(k))
	}
	slices.SortStableFunc(p.order, func(a, b int32) int { return cmp.Compare(len(p.shown(a)), len(p.shown(b))) })
	for id := range p.rank {
		p.rank[id] = never
	}
	for at, k := range p.order {
		for _, id := range p.shown(k) {
			p.rank[id] = min(p.rank[id], int32(at))
		}
	}
	return p
}

// shown is what a listing shows, sorted.
func (p *prefixes) shown(listing int32) []int32 { return p.listings[listing].elements }

// different is the number of states that were seen.
func (p *prefixes) different() (n int) {
	for at, k := range p.order {
		if at == 0 || len(p.shown(k)) > len(p.shown(p.order[at-1])) {
			n++
		}
	}
	return n
}

// unexpected finds elements that were listed before anybody asked to add them.
func (p *prefixes) unexpected(b *breaches) {
	for k, l := range p.listings {
		for _, id := range l.elements {
			if p.elements[id].add > int32(l.End) {
				p.flaw(setUnexpected, id, k)
			}
		}
	}
	if flaws := p.flaws[setUnexpected]; len(flaws) > 0 {
		b.merge(setUnexpected, len(flaws), func() Anomaly {
			a := p.anomaly(setUnexpected, flaws)
			a.Key = p.key
			return a
		})
	}
}

// chain looks for a list that does not have everything of the next smaller one. False if there is one.
func (p *prefixes) chain(b *breaches) bool {
	for k := 1; k < len(p.order); k++ {
		smaller, larger := p.order[k-1], p.order[k]
		common := 0 // what the smaller ones have is what has a lower rank, as long as they are a chain
		for _, id := range p.shown(larger) {
			if p.rank[id] < int32(k) {
				common++
			}
		}
		if common == len(p.shown(smaller)) {
			continue
		}
		one, two := p.listings[smaller], p.listings[larger]
		x, y := p.lacking(smaller, larger), p.lacking(larger, smaller)
		shown := p.adds(x, y)
		b.add(longFork, append(shown, one.Operation, two.Operation), "%s showed %s without %s %s, and %s showed %s without %s %s: no order of the two explains both.",
			who(one.Operation), p.elements[x].name, p.elements[y].name, at(one.Completed), who(two.Operation), p.elements[y].name, p.elements[x].name, at(two.Completed))
		return false
	}
	return true
}

// lacking is an element of listing a that listing b does not have.
func (p *prefixes) lacking(a, b int32) int32 {
	for _, id := range p.shown(a) {
		if _, has := slices.BinarySearch(p.shown(b), id); !has {
			return id
		}
	}
	return 0
}

// adds are the operations that were to add the elements.
func (p *prefixes) adds(elements ...int32) (ops []history.Operation) {
	for _, id := range elements {
		if e := p.elements[id]; e.add != never {
			ret := int32(never)
			if e.acked != never {
				ret = e.acked
			}
			ops = append(ops, p.operation(span{e.add, ret}))
		}
	}
	return ops
}

// sessions are the elements in groups, within which those that were acknowledged must be seen first: all of them, or those of each process.
func (p *prefixes) sessions(each bool) [][]int32 {
	numbers := make(map[int]int32)
	var groups [][]int32
	for id, e := range p.elements {
		if e.add == never {
			continue
		}
		group := int32(0)
		if each {
			group = numbered(numbers, p.h[e.add].Process)
		}
		if int(group) == len(groups) {
			groups = append(groups, nil)
		}
		groups[group] = append(groups[group], int32(id))
	}
	return groups
}

// gap looks for an element that some list has, while an earlier one is only in larger lists or in none. It goes from the element that was
// seen last to the first, with the earliest acknowledgement of those behind.
func (p *prefixes) gap(elements []int32, b *breaches) {
	slices.SortFunc(elements, func(x, y int32) int { return cmp.Compare(p.rank[y], p.rank[x]) })
	earliest, candidate := int32(-1), int32(-1) // of those with a higher rank; of those with the same
	for k, id := range elements {
		if k > 0 && p.rank[elements[k-1]] > p.rank[id] {
			earliest = candidate
		}
		e := p.elements[id]
		if earliest >= 0 && p.rank[id] != never && p.elements[earliest].acked < e.add {
			first, list := p.elements[earliest], p.listings[p.order[p.rank[id]]]
			ack := p.operation(span{first.add, first.acked})
			b.add(prefixGap, append(p.adds(earliest, id), list.Operation), "%s showed %s without %s %s, although %s had been acknowledged by %s %s, before anybody had asked to add %s.",
				who(list.Operation), e.name, first.name, at(list.Completed), first.name, who(ack), at(ack.Completed), e.name)
			return
		}
		if candidate < 0 || e.acked < p.elements[candidate].acked {
			candidate = id
		}
	}
}
