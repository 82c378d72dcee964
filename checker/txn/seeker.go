package txn

import (
	"context"
	"slices"
)

// seeker looks for cycles in one component. Paths are over pairs node*2+state, see walk.
type seeker struct {
	*component
	ctx    context.Context
	steps  *int64    // edges that may still be looked at
	met    []int32   // pair -> the last search that met it
	parent []arrival // pair -> how that search came to it
	search int32
	level  [2][]int32
}

type arrival struct {
	pair int32
	kind edgeKind
}

// origin is an edge that is to be on a cycle, by its place, and the node that it is from.
type origin struct{ node, edge int32 }

// closed says what cycles without a real-time edge are looked for.
type closed struct {
	exists walk   // an edge of the kinds in first within a component of this walk is on such a cycle, perhaps (for G-single) or surely
	first  uint16 // kinds
	path   walk   // how the cycle goes on after that edge
}

// openings is the number of cycles that are looked for without a limit to their lengths, before the search for shorter ones.
const openings = 3

// closedCycle finds a shortest cycle without a real-time edge.
//
// First it takes an edge, finds the shortest cycle over it, and deletes it, a few times. If that breaks all cycles, as with one long ring,
// the search is complete. Else it looks around each edge for cycles of length 2, 3, 5, 9, ... until there is one. So it
// is fast where the shortest cycle is short, however large the component, and where it is long because there are few.
func (s *seeker) closedCycle(q closed) (best *cycle, decided bool) {
	cut := make(map[int32]packed)
	defer func() {
		for at, e := range cut {
			s.edges[at] = e
		}
	}()
	for {
		origins := s.origins(q)
		if len(origins) == 0 {
			return best, true
		}
		rank := s.components(q.path)
		if len(cut) == openings {
			return s.shorter(q.path, origins, rank, best)
		}
		o := origins[0]
		s.afford()
		if found := s.around(q.path, o, rank, 2*s.nodes); found != nil && (best == nil || len(found.edges) < len(best.edges)) {
			best = found
		}
		if *s.steps < 0 {
			return best.unproven(), best != nil
		}
		cut[o.edge] = s.edges[o.edge]
		s.edges[o.edge] = pack(s.edges[o.edge].to(), gone)
	}
}

// afford makes sure that the budget is enough to look at everything once, so that whatever exists gets a witness.
func (s *seeker) afford() { *s.steps = max(*s.steps, int64(2*len(s.edges)+1)) }

// unproven is the cycle without the claim that it is a shortest one.
func (c *cycle) unproven() *cycle {
	if c != nil {
		c.shortest = false
	}
	return c
}

// origins are the edges of the wanted kinds that stay within a component of the walk.
func (s *seeker) origins(q closed) (out []origin) {
	number := s.component.components(q.exists)
	for v := range int32(len(s.txns)) {
		for at := s.start[v]; at < s.start[v+1]; at++ {
			e := s.edges[at]
			if q.first>>e.kind()&1 == 0 {
				continue
			}
			for state := range int32(2) {
				next := q.exists.step(state, e.kind())
				if next >= 0 && number[v<<1|state] == number[e.to()<<1|next] {
					out = append(out, origin{v, int32(at)})
					break
				}
			}
		}
	}
	return out
}

// shorter looks around all origins for a cycle shorter than best, with growing limits.
func (s *seeker) shorter(w walk, origins []origin, rank []int32, best *cycle) (*cycle, bool) {
	for limit := 1; limit < 2*s.nodes; limit *= 2 {
		round := limit
		for _, o := range origins {
			if best != nil {
				round = min(round, len(best.edges)-2)
			}
			if round < 1 {
				return best, true
			}
			if found := s.around(w, o, rank, round); found != nil {
				best = found
			}
			if *s.steps < 0 || s.ctx.Err() != nil {
				return best.unproven(), best != nil
			}
		}
		if best != nil && len(best.edges)-1 <= limit {
			break
		}
	}
	return best, true
}

// around finds a shortest cycle from an origin whose path has at most limit edges. The rank of a pair, its component's number, cannot
// rise on a path; that tells early which ways cannot lead back.
func (s *seeker) around(w walk, o origin, rank []int32, limit int) *cycle {
	first, goal := s.edges[o.edge], o.node<<1
	from := first.to()<<1 | max(0, w.step(0, first.kind()))
	end := s.path(w, from, limit, func(pair int32) bool { return pair == goal }, func(pair int32) bool { return rank[pair] >= rank[goal] })
	if end < 0 {
		return nil
	}
	return s.trace(arrival{goal, first.kind()}, from, end)
}

// timedCycle finds a shortest cycle that has a real-time edge. One such edge is enough: if a cycle has two, from a to b and from c to
// d, then a also precedes d or c precedes b, and leaves a shorter cycle. So it looks for a path from b to a where a was complete before b began.
func (s *seeker) timedCycle(w walk) *cycle {
	reach := s.earliest(w)
	var origins []int32 // transactions that lead to one which was complete before they began
	for v := range int32(len(s.txns)) {
		if reach[v<<1] <= v {
			origins = append(origins, v)
		}
	}
	if len(origins) == 0 {
		return nil
	}
	s.afford()
	best := s.backInTime(w, origins[0], reach, 2*s.nodes)
	for limit := 1; limit < 2*s.nodes; limit *= 2 {
		round := limit
		for _, v := range origins {
			if round = min(round, len(best.edges)-2); round < 1 {
				return best
			}
			if found := s.backInTime(w, v, reach, round); found != nil {
				best = found
			}
			if *s.steps < 0 || s.ctx.Err() != nil {
				return best.unproven()
			}
		}
		if len(best.edges)-1 <= limit {
			break
		}
	}
	return best
}

// earliest gives for each pair the smallest after of all transactions that it leads to.
func (s *seeker) earliest(w walk) []int32 {
	number := s.component.components(w)
	order := make([]int32, len(number)) // the pairs by their components' numbers
	from := make([]int32, len(number)+1)
	for _, n := range number {
		from[n+1]++
	}
	for n := range number {
		from[n+1] += from[n]
	}
	for pair, n := range number {
		order[from[n]] = int32(pair)
		from[n]++
	}
	reach := make([]int32, len(number)) // by component; an edge leads to a smaller number or stays, so what it leads to is known
	for n := range reach {
		reach[n] = int32(len(s.txns))
	}
	for _, pair := range order {
		v, here := pair>>1, &reach[number[pair]]
		if int(v) < len(s.txns) {
			*here = min(*here, s.after[v])
		}
		for _, e := range s.edges[s.start[v]:s.start[v+1]] {
			if state := w.step(pair&1, e.kind()); state >= 0 {
				*here = min(*here, reach[number[e.to()<<1|state]])
			}
		}
	}
	for i, n := range number {
		order[i] = reach[n]
	}
	return order
}

// backInTime finds a shortest path from a transaction to one that was complete before it began.
func (s *seeker) backInTime(w walk, v int32, reach []int32, limit int) *cycle {
	end := s.path(w, v<<1, limit,
		func(pair int32) bool { return int(pair>>1) < len(s.txns) && s.after[pair>>1] <= v },
		func(pair int32) bool { return reach[pair] <= v })
	if end < 0 {
		return nil
	}
	return s.trace(arrival{end, inTime}, v<<1, end)
}

// path searches breadth first for a pair that is a goal, over at most limit edges and pairs to keep. It gives that pair, or -1. Edges from auxiliary
// nodes have no length, so at each depth it first follows those.
func (s *seeker) path(w walk, from int32, limit int, goal, keep func(pair int32) bool) int32 {
	s.search++
	s.met[from] = s.search
	here, there := append(s.level[0][:0], from), s.level[1][:0]
	defer func() { s.level = [2][]int32{here, there} }()
	txns := int32(len(s.txns))
	follow := func(at int32, to *[]int32) (end int32) {
		v := at >> 1
		*s.steps -= int64(s.start[v+1] - s.start[v])
		for _, e := range s.edges[s.start[v]:s.start[v+1]] {
			state := w.step(at&1, e.kind())
			pair := e.to()<<1 | state
			if state < 0 || s.met[pair] == s.search || !keep(pair) {
				continue
			}
			s.met[pair], s.parent[pair] = s.search, arrival{at, e.kind()}
			if goal(pair) {
				return pair
			}
			*to = append(*to, pair)
		}
		return nobody
	}
	for depth := 0; len(here) > 0 && *s.steps >= 0; depth++ {
		for i := 0; i < len(here); i++ { // here grows meanwhile
			if here[i]>>1 >= txns {
				if end := follow(here[i], &here); end >= 0 {
					return end
				}
			}
		}
		if depth == limit {
			break
		}
		for _, at := range here {
			if at>>1 < txns {
				if end := follow(at, &there); end >= 0 {
					return end
				}
			}
		}
		here, there = there, here[:0]
	}
	return nobody
}

// trace follows a path back from its end and closes it by one more edge, to a cycle of transactions.
func (s *seeker) trace(closing arrival, from, end int32) *cycle {
	type stop struct {
		node int32
		kind edgeKind // of the edge from it
	}
	var stops []stop
	if closing.kind == inTime {
		stops = append(stops, stop{end >> 1, inTime})
	}
	for pair := end; pair != from; pair = s.parent[pair].pair {
		stops = append(stops, stop{s.parent[pair].pair >> 1, s.parent[pair].kind})
	}
	if closing.kind != inTime {
		stops = append(stops, stop{closing.pair >> 1, closing.kind})
	}
	slices.Reverse(stops)
	stops = slices.DeleteFunc(stops, func(x stop) bool { return int(x.node) >= len(s.txns) })
	c := &cycle{shortest: true}
	for i, x := range stops {
		c.edges = append(c.edges, edge{x.node, stops[(i+1)%len(stops)].node, x.kind})
	}
	return c
}
