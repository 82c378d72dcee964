package nemesis

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
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
	if err := checkTarget(p.Kind, p.Target, targets); err != nil {
		return err
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

// checkTarget refuses a target that a kind does not have. A kind that can be aimed at any one node can be aimed at nodes by their names.
func checkTarget(kind, target string, targets []string) error {
	if slices.Contains(targets, target) {
		return nil
	}
	unknown := UnknownError{Field: "target of " + kind, Given: target, Allowed: targets}
	if takesNames(targets) {
		if namedNodes(target) != nil {
			return nil
		}
		unknown.Or = "nodes such as n1,n3"
	}
	return unknown
}

func takesNames(targets []string) bool {
	return slices.Contains(targets, One) || slices.Contains(targets, IsolateOne)
}

// takeHosts picks the nodes that a planned fault aims at, takes on the board those that no other fault has, and returns the
// hosts of those that are up, sorted by node, none if there are none. Where the board keeps a quorum, it may be fewer than the target asks for.
func takeHosts(ctx context.Context, c Cluster, p history.PlannedFault, state string, r *rand.Rand) ([]Host, error) {
	nodes, err := Pick(ctx, c, p.Target, r)
	if err != nil {
		return nil, err
	}
	if c.Board().KeepsQuorum() { // let it not always be the last that are spared
		r.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	}
	var hosts []Host
	for _, node := range nodes {
		if c.Board().Claim(node, p.ID, state) != nil {
			continue // another lane was quicker, or a quorum needs it
		}
		host, up := c.Host(node)
		if !up {
			c.Board().Release(node, p.ID)
			continue
		}
		hosts = append(hosts, host)
	}
	slices.SortFunc(hosts, func(a, b Host) int { return strings.Compare(a.Node, b.Node) })
	return hosts, nil
}

// impair marks nodes on the board that a fault is about to hinder badly, and returns those that may be; if none may, it is the board's error.
func impair(c Cluster, nodes []string, fault int) (allowed []string, err error) {
	for _, node := range nodes {
		if refused := c.Board().Impair(node, fault); refused != nil {
			err = refused
			continue
		}
		allowed = append(allowed, node)
	}
	if len(allowed) > 0 {
		return allowed, nil
	}
	return nil, err
}
