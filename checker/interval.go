package checker

import (
	"slices"
	"time"

	"rift/harness/history"
)

// interval is a time in which a fault was on.
type interval struct{ from, to time.Duration }

// leftAlone is for how long, of some intervals, all faults together left a majority of the nodes alone. A fault that names no node
// may have hit all.
func (e Evidence) leftAlone(within []interval) (total time.Duration) {
	type hit struct {
		interval
		nodes []string
	}
	hits := make(map[int]hit)
	var edges []time.Duration
	for _, s := range e.Evidence {
		switch h, in := hits[s.Fault]; {
		case s.Step == history.StepInject && !s.Skipped:
			hits[s.Fault] = hit{interval{s.Time, history.Never}, s.Nodes}
			edges = append(edges, s.Time)
		case s.Step == history.StepHeal && in:
			h.to = s.Time + s.Took
			hits[s.Fault] = h
			edges = append(edges, h.to)
		}
	}
	for _, i := range merge(within) {
		edges = append(edges, i.from, i.to)
	}
	slices.Sort(edges)
	edges = slices.Compact(edges)
	for at := range len(edges) - 1 {
		from, to := edges[at], edges[at+1]
		during := func(i interval) bool { return i.from <= from && to <= i.to }
		if !slices.ContainsFunc(within, during) {
			continue
		}
		nodes, all := make(map[string]bool), false
		for _, h := range hits {
			if during(h.interval) {
				all = all || len(h.nodes) == 0
				for _, node := range h.nodes {
					nodes[node] = true
				}
			}
		}
		if !all && len(nodes) <= (e.Nodes-1)/2 {
			total += to - from
		}
	}
	return total
}

// events counts the clients' events of a type within any of the intervals.
func events(h history.History, of history.Type, within []interval) int {
	merged := merge(within)
	n, k := 0, 0
	for i := range h {
		if h[i].Nemesis() || h[i].Type != of {
			continue
		}
		for k < len(merged) && h[i].Time > merged[k].to {
			k++
		}
		if k < len(merged) && h[i].Time >= merged[k].from {
			n++
		}
	}
	return n
}

// length is for how long any of the intervals lasted.
func length(within []interval) (total time.Duration) {
	for _, i := range merge(within) {
		total += i.to - i.from
	}
	return total
}

// merge joins intervals that overlap, and sorts them.
func merge(within []interval) []interval {
	sorted := slices.Clone(within)
	slices.SortFunc(sorted, func(a, b interval) int { return int(a.from - b.from) })
	var merged []interval
	for _, i := range sorted {
		if n := len(merged); n > 0 && i.from <= merged[n-1].to {
			merged[n-1].to = max(merged[n-1].to, i.to)
		} else if i.to >= i.from {
			merged = append(merged, i)
		}
	}
	return merged
}
