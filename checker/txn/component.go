package txn

import (
	"slices"
	"sort"

	"rift/harness/history"
)

// component is a strongly connected component of the dependencies and real-time order together: a part of the history with some
// cycle in it. Its nodes are numbered anew, transactions first and in their old order, so that real time is a comparison again.
type component struct {
	txns  []int32 // node -> transaction; nodes from len(txns) on are auxiliary
	nodes int
	start []uint32
	edges []packed
	after []int32 // transaction's node -> the first node of a transaction invoked after its commit
}

// parts finds the components with more than one transaction, in the order of their first transactions.
//
// Real-time order enters the search through one more node for each transaction, which leads to that transaction and to the next one's
// node: so t precedes all transactions from after[t] on by a single edge.
func (a *analysis) parts() []*component {
	g := a.depends
	suffix := int32(g.nodes)
	number, count := components(g.nodes+g.txns, func(v int32, i uint32) (int32, bool) {
		if v >= suffix {
			switch t := v - suffix; i {
			case 0:
				return t, true
			case 1:
				return v + 1, int(t)+1 < g.txns
			}
			return nobody, false
		}
		if at := g.start[v] + i; at < g.start[v+1] {
			return g.edges[at].to(), true
		} else if at > g.start[v+1] || int(v) >= g.txns || int(a.after[v]) >= g.txns {
			return nobody, false
		}
		return suffix + a.after[v], true
	})
	size := make([]int32, count)
	for _, c := range number[:g.txns] {
		size[c]++
	}
	members := make(map[int32][]int32)
	var order []int32
	for v, c := range number[:g.nodes] {
		if size[c] > 1 {
			if members[c] == nil {
				order = append(order, c)
			}
			members[c] = append(members[c], int32(v))
		}
	}
	local := number // the components are copied one after the other, so their numbers can be overwritten
	parts := make([]*component, len(order))
	for i, c := range order {
		parts[i] = a.part(members[c], local)
	}
	return parts
}

// part copies the graph between some nodes, which are in ascending order. The scratch slice local may hold anything.
//
// Each transaction gets one more auxiliary node, which leads to it and to that of its process's next transaction. So the order of a
// process takes a single edge too, however far it leads.
func (a *analysis) part(nodes, local []int32) *component {
	g := a.depends
	txns := sort.Search(len(nodes), func(i int) bool { return int(nodes[i]) >= g.txns })
	c := &component{txns: nodes[:txns], nodes: len(nodes) + txns, start: make([]uint32, 1, len(nodes)+txns+1), after: make([]int32, txns)}
	for i, v := range nodes {
		local[v] = int32(i)
	}
	inside := func(v int32) bool { i := local[v]; return i >= 0 && int(i) < len(nodes) && nodes[i] == v }
	heirs := a.heirs(c.txns)
	for i, v := range nodes {
		for _, e := range g.edges[g.start[v]:g.start[v+1]] {
			if inside(e.to()) {
				c.edges = append(c.edges, pack(local[e.to()], e.kind()))
			}
		}
		if i < txns {
			if heirs[i] != nobody {
				c.edges = append(c.edges, pack(int32(len(nodes))+heirs[i], inProcess))
			}
			at, _ := slices.BinarySearch(c.txns, a.after[v])
			c.after[i] = int32(at)
		}
		c.start = append(c.start, uint32(len(c.edges)))
	}
	for i, heir := range heirs {
		c.edges = append(c.edges, pack(int32(i), tail))
		if heir != nobody {
			c.edges = append(c.edges, pack(int32(len(nodes))+heir, tail))
		}
		c.start = append(c.start, uint32(len(c.edges)))
	}
	return c
}

// heirs gives for each of some transactions the place of the next one of the same process, or nobody.
func (a *analysis) heirs(txns []int32) []int32 {
	heirs := make([]int32, len(txns))
	last := make(map[int]int32)
	for i, t := range txns {
		heirs[i] = nobody
		if before, ok := last[a.calls[t].Process]; ok {
			heirs[before] = int32(i)
		}
		if a.calls[t].Type == history.OK {
			last[a.calls[t].Process] = int32(i)
		}
	}
	return heirs
}

// walk says which cycles and paths through a component are meant.
type walk struct {
	kinds uint16 // a bit for each kind of edge that may be on it
	rule  rule
}

// rule restricts the rw edges on a path.
type rule uint8

const (
	anyRW   rule = iota
	oneRW        // at most one
	apartRW      // no two adjacent ones
)

func allow(kinds ...edgeKind) (bits uint16) {
	for _, k := range kinds {
		bits |= 1 << k
	}
	return bits
}

// step is the state of a path after one more edge, where state 1 means that rw edges are forbidden, now or for good. It is negative if
// the edge is not allowed.
func (w walk) step(state int32, kind edgeKind) int32 {
	switch {
	case kind == tail:
		return state
	case w.kinds>>kind&1 == 0:
		return nobody
	case w.rule == anyRW:
		return 0
	case !kind.isRW():
		if w.rule == apartRW {
			return 0
		}
		return state
	}
	return 1 - 2*state // 0 becomes 1, 1 is refused
}

// components finds the strongly connected components of the pairs node*2+state.
func (c *component) components(w walk) (number []int32) {
	number, _ = components(2*c.nodes, func(pair int32, i uint32) (int32, bool) {
		v := pair >> 1
		at := c.start[v] + i
		if at >= c.start[v+1] {
			return nobody, false
		}
		state := w.step(pair&1, c.edges[at].kind())
		if state < 0 {
			return nobody, true
		}
		return c.edges[at].to()<<1 | state, true
	})
	return number
}

// has says whether the component has an edge of one of some kinds.
func (c *component) has(kinds uint16) bool {
	return slices.ContainsFunc(c.edges, func(e packed) bool { return kinds>>e.kind()&1 == 1 })
}
