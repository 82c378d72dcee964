package nemesis

import (
	"fmt"
	"slices"
	"time"

	"rift/harness/history"
)

// lasting are the kinds that take a node away for as long as they are in.
var lasting = []string{killKind.Name, pauseKind.Name, partitionKind.Name}

// Liveness draws a core of the nodes, the smallest majority, and a fault for each of the others that takes it away for the length of the liveness
// phase. The faults' lanes are their own, so that all are in at once; they want numbers that the plan has not given yet. It is a pure function of
// its arguments.
func Liveness(seed int64, length time.Duration, nodes []string) (core []string, faults []history.PlannedFault) {
	r := history.Rand(seed, "nemesis/liveness")
	order := r.Perm(len(nodes))
	for _, i := range order[:len(nodes)/2+1] {
		core = append(core, nodes[i])
	}
	others := order[len(nodes)/2+1:]
	slices.Sort(others)
	slices.Sort(core)
	for _, i := range others {
		faults = append(faults, history.PlannedFault{
			Phase: history.LivenessPhase, Lane: fmt.Sprintf("%s-%s", history.LivenessPhase, nodes[i]),
			Kind: lasting[r.IntN(len(lasting))], Target: nodes[i],
			For: history.Duration(length), Seed: int64(r.Uint64() >> 12),
		})
	}
	return core, faults
}
