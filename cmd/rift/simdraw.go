package main

import (
	"maps"
	"strconv"

	"rift/harness"
	"rift/harness/history"
	"rift/workloads"
)

// drawOptions draws, for one seed of a search, what the system is told and nobody has said: how soon snapshots are taken, and how little of the log is kept behind
// them. With the usual values a short run sees no snapshot. Half of the seeds keep the usual ones.
func drawOptions(seed int64, s harness.System, set map[string]string) map[string]string {
	r := history.Rand(seed, "search/options")
	drawn := maps.Clone(set)
	if r.IntN(2) == 0 {
		return drawn
	}
	often := map[string]int{"snapshot-threshold": 50 + r.IntN(350), "trailing-logs": 10 + r.IntN(190)}
	for _, o := range optionsOf(workloads.Workload{}, s) {
		if n, ok := often[o.Name]; ok && drawn[o.Name] == "" {
			drawn[o.Name] = strconv.Itoa(n)
		}
	}
	return drawn
}
