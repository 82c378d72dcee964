package shrink

import (
	"slices"

	"rift/harness/history"
)

// clustersTried are the numbers of nodes that a smaller cluster may have.
var clustersTried = []int{1, 3, 5, 7}

// smaller tries a cluster with fewer nodes, and then without the clients that have nothing to do.
func (h *hunt) smaller() {
	for _, nodes := range clustersTried {
		if nodes >= h.best.Nodes {
			break
		}
		if h.accept(h.best.on(nodes)) {
			break
		}
	}
	if c := h.best.on(h.best.Nodes); c.Clients < h.best.Clients {
		h.accept(c)
	}
}

// on is the case with that many nodes, and without the clients that have nothing to do. With the nodes that there were, the others stay at their nodes; with
// fewer, clients of the same node stay together, and those of different nodes apart as far as there are nodes.
func (c Case) on(nodes int) Case {
	place := make(map[int]int) // node -> where its clients go
	if c.Ops != nil {
		clients := slices.Sorted(slices.Values(values(c.Ops, func(o history.TimedOp) int { return o.Client })))
		number, taken := make(map[int]int), make(map[int]bool)
		for _, client := range clients {
			node := client % c.Nodes
			if _, known := place[node]; !known {
				place[node] = len(place) % nodes
			}
			free := node
			if nodes < c.Nodes {
				free = place[node]
			}
			for taken[free] {
				free += nodes
			}
			taken[free], number[client] = true, free
		}
		c.Ops, c.Clients = slices.Clone(c.Ops), 1
		for i, o := range c.Ops {
			c.Ops[i].Client = number[o.Client]
			c.Clients = max(c.Clients, number[o.Client]+1)
		}
	}
	c.Nodes = nodes
	return c
}
