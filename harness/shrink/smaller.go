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
		c := h.best
		c.Nodes = nodes
		if h.accept(c) {
			break
		}
	}
	if c := h.best.packed(); c.Clients < h.best.Clients {
		h.accept(c)
	}
}

// packed is the case without the clients that have nothing to do. The others stay at their nodes.
func (c Case) packed() Case {
	if c.Ops == nil {
		return c
	}
	number := make(map[int]int) // client -> its new number
	taken := make(map[int]bool)
	c.Clients = 0
	for _, client := range slices.Sorted(slices.Values(values(c.Ops, func(o history.TimedOp) int { return o.Client }))) {
		free := client % c.Nodes
		for taken[free] {
			free += c.Nodes
		}
		taken[free], number[client] = true, free
		c.Clients = max(c.Clients, free+1)
	}
	c.Ops = slices.Clone(c.Ops)
	for i, o := range c.Ops {
		c.Ops[i].Client = number[o.Client]
	}
	return c
}
