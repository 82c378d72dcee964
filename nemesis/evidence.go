package nemesis

import (
	"context"
	"strings"
	"time"

	"rift/harness/history"
)

// proofTime bounds how long an effect may take to be seen, after what should bring it about was done. A thread in the middle of a
// write to a slow disk stops only when that returns.
const proofTime = 2 * time.Second

// seen asks again every few milliseconds whether something is so, at most for proofTime. It is for what the kernel tells nobody of: that a
// process which is no child of ours has stopped, that a host can be reached again.
func seen(ctx context.Context, so func() bool) bool {
	ctx, cancel := context.WithTimeout(ctx, proofTime)
	defer cancel()
	again := time.NewTicker(2 * time.Millisecond)
	defer again.Stop()
	for !so() {
		select {
		case <-again.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// skipTarget is the evidence of a fault whose target had no node that could be hit.
func skipTarget(c Cluster, target string) history.Evidence {
	why := "no node for target " + target + ": each is down or taken"
	if taken := c.Board().Taken(); len(taken) > 0 {
		why += " (" + joined(taken) + ")"
	}
	return Skip(why)
}

// named is the target and whom it was found to mean, for a summary: "leader n3", "n1, n4".
func named(target string, nodes []string) string {
	if target == Leader {
		return "leader " + joined(nodes)
	}
	return joined(nodes)
}

// joined is a list of nodes, for a summary.
func joined(nodes []string) string { return strings.Join(nodes, ", ") }

// milliseconds is a measured time as evidence holds it.
func milliseconds(d time.Duration) float64 {
	return float64(d.Round(10*time.Microsecond)) / float64(time.Millisecond)
}
