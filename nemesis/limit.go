package nemesis

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"rift/harness/history"
)

// limit is a fault that leaves nodes running with less than they need. On the board it impairs them, and takes none: such a node can be killed
// or paused all the same. One that ends because of the limit is started again by the heal.
type limit struct {
	planned  history.PlannedFault
	did      string // what was done to the nodes, for summaries
	restrain func() restraint
	hit      map[string]restraint // by node
}

// restraint is a limit on one node. What it was before is kept from the first time that it was lowered.
type restraint interface {
	// lower lowers the limit on a node's running process, and shows that it is felt.
	lower(ctx context.Context, h Host) (proof, error)
	// raise gives a node back what it had, and shows that it has it, also if it is down by now.
	raise(ctx context.Context, c Cluster) (proof, error)
}

// newLimit makes the fault from what it does to one node.
func newLimit(p history.PlannedFault, did string, restrain func() restraint) Fault {
	return &limit{planned: p, did: did, restrain: restrain, hit: make(map[string]restraint)}
}

// Inject lowers the limit on all nodes at once.
func (f *limit) Inject(ctx context.Context, c Cluster, r *rand.Rand) (history.Evidence, error) {
	nodes, err := Pick(ctx, c, f.planned.Target, r)
	if err != nil {
		return history.Evidence{}, err
	}
	nodes = slices.DeleteFunc(nodes, func(node string) bool { return c.Board().Impair(node, f.planned.ID) != nil })
	if len(nodes) == 0 {
		return skipTarget(c, f.planned.Target), nil
	}
	for _, node := range nodes {
		f.hit[node] = f.restrain()
	}
	return measure(ctx, nodes, f.did+" "+named(f.planned.Target, nodes), f.lower(c))
}

// Reapply lowers the limit on a node that was started since.
func (f *limit) Reapply(ctx context.Context, c Cluster, node string) (history.Evidence, bool, error) {
	if _, hit := f.hit[node]; !hit {
		return history.Evidence{}, false, nil
	}
	e, err := measure(ctx, []string{node}, f.did+" "+node+" again", f.lower(c))
	return e, true, err
}

func (f *limit) lower(c Cluster) func(context.Context, string) (proof, error) {
	return func(ctx context.Context, node string) (proof, error) {
		h, up := c.Host(node)
		if !up {
			return proof{saw: "it went down"}, nil
		}
		return f.hit[node].lower(ctx, h)
	}
}

// Heal raises the limits again, and then starts those nodes that have ended and that no other fault has.
func (f *limit) Heal(ctx context.Context, c Cluster) (history.Evidence, error) {
	if len(f.hit) == 0 {
		return Skip("nothing was limited"), nil
	}
	nodes := slices.Sorted(maps.Keys(f.hit))
	e, err := measure(ctx, nodes, "healed "+joined(nodes), func(ctx context.Context, node string) (proof, error) {
		return f.hit[node].raise(ctx, c)
	})
	if err != nil {
		return e, err
	}
	for _, node := range nodes {
		took, started, err := f.revive(ctx, c, node)
		if err != nil {
			e.Proven = false
			return e, err
		}
		if started {
			e.Measures[node+"_started_ms"] = milliseconds(took)
			e.Summary += fmt.Sprintf("; %s had ended by itself, and was started again", node)
		}
	}
	return e, nil
}

// revive starts a node that has ended without a fault that took it.
func (f *limit) revive(ctx context.Context, c Cluster, node string) (took time.Duration, started bool, err error) {
	if _, up := c.Host(node); up || c.Board().Claim(node, f.planned.ID, "down") != nil {
		return 0, false, nil
	}
	defer c.Board().Release(node, f.planned.ID)
	took, err = startNode(ctx, c, node)
	return took, err == nil, err
}
