package nemesis

import (
	"context"
	"fmt"
	"math/rand/v2"

	"rift/harness/history"
)

// AimLinks finds the links that a planned fault of the network is about: a partition's cuts, or the links on which packets are disturbed, directed, with the nodes
// that it is about and what that is for people. It asks the cluster for its nodes, which of them run, and who leads.
func AimLinks(ctx context.Context, c Cluster, p history.PlannedFault, r *rand.Rand) (nodes []string, links [][2]string, what string, err error) {
	kind, err := Find(p.Kind)
	if err != nil {
		return nil, nil, "", err
	}
	fault, err := kind.New(p)
	if err != nil {
		return nil, nil, "", err
	}
	aimed, ok := fault.(interface {
		choose(ctx context.Context, c Cluster, r *rand.Rand) (cutting, error)
	})
	if !ok {
		return nil, nil, "", fmt.Errorf("%s is no fault of the network", p.Kind)
	}
	found, err := aimed.choose(ctx, c, r)
	return found.nodes, found.links, found.what, err
}
