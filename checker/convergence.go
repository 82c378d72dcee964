package checker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"rift/harness/history"
)

// Convergence checks that replicas hold the same: whenever two nodes told the same revision, their state hashes must be equal; at the end, when every
// fault is healed, all nodes must be at one revision; and what they answered to final lists must be the same, but for elements of which nobody
// knows. It takes O(n) for n views and operations. A system whose nodes tell no hash can only be judged by lists.
type Convergence struct {
	Views  []history.View
	Phases []history.Phase
}

const (
	diverged      = "diverged"
	divergedLists = "diverged-lists"
)

// Check implements Checker.
func (c Convergence) Check(_ context.Context, h history.History) Result {
	r := Result{Checker: "convergence", Method: "state hashes at equal revisions, and final lists"}
	b := newBreaches(
		promise{diverged, "Replicas that have applied the same changes hold the same bytes."},
		promise{divergedLists, "When every fault is healed, all replicas show the same."},
	)
	compared := c.hashes(b)
	lists, err := c.lists(h, b)
	if err != nil {
		return r.unreadable(err)
	}
	behind := c.behind()
	r.Counts = map[string]int{"views": len(c.Views), "revisions_compared": compared, "lists_compared": lists}
	switch {
	case b.settle(&r):
	case compared == 0 && lists == 0:
		r.Summary = "No two nodes told what they hold at the same revision, and no two listed it at the end, so nothing was put to the test."
	case behind != "":
		r.Summary = behind
	default:
		r.Verdict = Valid
		r.Summary = fmt.Sprintf("Nodes were seen together at %s and at the end, and always held the same bytes.", count(compared, "revision"))
		if compared == 0 {
			r.Summary = fmt.Sprintf("All nodes answered the same to %s at the end.", count(lists, "list"))
		}
	}
	return r
}

// hashes compares the nodes wherever two were seen at one revision, and counts these revisions.
func (c Convergence) hashes(b *breaches) (compared int) {
	states := make(map[uint64]map[string][]history.View) // revision -> hash -> one view of each node
	for _, v := range c.Views {
		if v.StateHash == "" || v.State == history.Unreachable {
			continue
		}
		if states[v.Revision] == nil {
			states[v.Revision] = make(map[string][]history.View)
		}
		same := states[v.Revision][v.StateHash]
		if !slices.ContainsFunc(same, func(o history.View) bool { return o.Node == v.Node }) {
			states[v.Revision][v.StateHash] = append(same, v)
		}
	}
	for _, revision := range slices.Sorted(maps.Keys(states)) {
		hashes := states[revision]
		if len(hashes) > 1 {
			b.merge(diverged, 1, func() Anomaly { return divergence(revision, hashes) })
		}
		for _, views := range hashes {
			if len(views) > 1 || len(hashes) > 1 {
				compared++
				break
			}
		}
	}
	return compared
}

// divergence tells who holds what at a revision. The fewest are blamed.
func divergence(revision uint64, hashes map[string][]history.View) Anomaly {
	groups := slices.Collect(maps.Values(hashes))
	slices.SortFunc(groups, func(a, b []history.View) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a[0].Node+a[0].StateHash, b[0].Node+b[0].StateHash)
	})
	var who []string
	var steps []string
	for _, g := range groups {
		var nodes []string
		for _, v := range g {
			nodes = append(nodes, v.Node)
			steps = append(steps, fmt.Sprintf("%s told %s that its state at revision %d has the hash %s.", v.Node, at(v.Time), revision, v.StateHash))
		}
		slices.Sort(nodes)
		who = append(who, strings.Join(nodes, ", "))
	}
	return Anomaly{
		Kind: diverged, Node: groups[len(groups)-1][0].Node, Steps: steps,
		Summary: fmt.Sprintf("At revision %d there are %d different states: the replicas have diverged (%s).", revision, len(groups), strings.Join(who, " | ")),
	}
}

// behind says which node was not at the last revision when it was last asked, or was not asked at the end; empty if all were.
func (c Convergence) behind() string {
	final := history.Phase{}
	for _, p := range c.Phases {
		if p.Name == "final" || p.Name == "quiesce" && final.Name == "" {
			final = p
		}
	}
	last, asked := make(map[string]history.View), make(map[string]bool)
	newest := uint64(0)
	for _, v := range c.Views {
		asked[v.Node] = v.Counts()
		if v.Time >= final.Start && v.State != history.Unreachable {
			last[v.Node] = v
			newest = max(newest, v.Revision)
		}
	}
	for _, node := range slices.Sorted(maps.Keys(asked)) {
		switch v, ok := last[node]; {
		case !asked[node]: // it was a member only for a while
		case !ok:
			return fmt.Sprintf("%s did not tell what it holds once every fault was healed, so nobody knows whether it came to hold the same.", node)
		case v.Revision < newest:
			return fmt.Sprintf("%s was at revision %d when it was last asked, %s, where others were at %d: it may not have caught up.", node, v.Revision, at(v.Time), newest)
		}
	}
	return ""
}
