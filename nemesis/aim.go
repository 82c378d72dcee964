package nemesis

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"rift/harness/history"
)

// Lengths of the faults that last, drawn evenly. An election takes a few hundred milliseconds, so that the shortest still
// sees a new leader, and the longest several.
const (
	faultLeast = 1 * time.Second
	faultMost  = 6 * time.Second
)

// drawAimed draws a fault that has a target, a length and no arguments.
func drawAimed(r *rand.Rand, allowed []string) history.PlannedFault {
	return history.PlannedFault{
		Target: drawTarget(r, allowed),
		For:    history.Duration(between(r, faultLeast, faultMost)),
	}
}

// drawTarget draws a target. One that leaves no majority is drawn less often: a system that cannot answer shows little else.
func drawTarget(r *rand.Rand, allowed []string) string {
	var urn []string
	for _, target := range allowed {
		tickets := 4
		if target == Majority || target == All {
			tickets = 1
		}
		urn = append(urn, slices.Repeat([]string{target}, tickets)...)
	}
	return urn[r.IntN(len(urn))]
}

// checkPlanned refuses a planned fault with a target or an argument that its kind does not have.
func checkPlanned(p history.PlannedFault, targets, args []string) error {
	if !slices.Contains(targets, p.Target) {
		return UnknownError{Field: "target of " + p.Kind, Given: p.Target, Allowed: targets}
	}
	for name := range p.Args {
		if !slices.Contains(args, name) {
			allowed := args
			if len(allowed) == 0 {
				allowed = []string{"none"}
			}
			return UnknownError{Field: "argument of " + p.Kind, Given: name, Allowed: allowed}
		}
	}
	return nil
}

// takeHosts picks the nodes that a planned fault aims at, takes on the board those that no other fault has, and returns the
// hosts of those that are up, none if there are none.
func takeHosts(ctx context.Context, c Cluster, p history.PlannedFault, state string, r *rand.Rand) ([]Host, error) {
	nodes, err := Pick(ctx, c, p.Target, r)
	if err != nil {
		return nil, err
	}
	var hosts []Host
	for _, node := range nodes {
		if c.Board().Claim(node, p.ID, state) != nil {
			continue // another lane was quicker
		}
		host, up := c.Host(node)
		if !up {
			c.Board().Release(node, p.ID)
			continue
		}
		hosts = append(hosts, host)
	}
	return hosts, nil
}
