package nemesis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"rift/harness/history"
	"rift/nemesis/lossyfs"
)

// decayTargets are the targets of faults that damage data: never more than a minority.
var decayTargets = []string{One, Leader, Minority}

// refuses is why a node stays down after its data was damaged.
const refuses = "it does not start on its damaged data"

// refuseTime bounds how long a node may take to find its data damaged and end.
const refuseTime = 2 * time.Second

// decay damages a file of nodes while they are stopped, so that they meet it when they start. What is damaged stays damaged: the heal starts the nodes,
// and those that find the damage and refuse stay down. Over the whole run at most a minority is hit.
type decay struct {
	planned history.PlannedFault
	harm    func(disk *lossyfs.FS, r *rand.Rand) (lossyfs.Damage, error)
	tell    func(d lossyfs.Damage) string
	proven  func(disk *lossyfs.FS, d lossyfs.Damage) bool // read through the mount, as the node will
	down    []string                                      // nodes that it has taken and not given back
}

// damageable are the nodes whose data the fault may damage, of which it has then a mark; why says why it may not damage the others.
func damageable(c Cluster, nodes []string, fault int) (allowed []string, why error) {
	for _, node := range nodes {
		if err := c.Board().Damage(node, fault, len(c.Nodes())); err != nil {
			why = err
			continue
		}
		allowed = append(allowed, node)
	}
	return allowed, why
}

// Inject kills the nodes and damages a file of each.
func (f *decay) Inject(ctx context.Context, c Cluster, r *rand.Rand) (history.Evidence, error) {
	hosts, err := takeHosts(ctx, c, f.planned, "down", r)
	if err != nil {
		return history.Evidence{}, err
	}
	var why error
	hosts = slices.DeleteFunc(hosts, func(h Host) bool {
		allowed, refused := damageable(c, []string{h.Node}, f.planned.ID)
		if len(allowed) == 0 {
			why = refused
			c.Board().Release(h.Node, f.planned.ID)
		}
		return len(allowed) == 0
	})
	switch {
	case len(hosts) == 0 && why != nil:
		return Skip(why.Error()), nil
	case len(hosts) == 0:
		return skipTarget(c, f.planned.Target), nil
	}
	e, start := history.Evidence{Proven: true}, time.Now()
	for _, h := range hosts {
		e.Nodes = append(e.Nodes, h.Node)
	}
	f.down = slices.Clone(e.Nodes)
	var said []string
	for _, h := range hosts {
		d, proven, err := f.damage(ctx, c, h, r)
		if err != nil {
			return e, err
		}
		e.Proven = e.Proven && proven
		said = append(said, fmt.Sprintf("%s of %s %s", d.Path, h.Node, f.tell(d)))
	}
	e.Applied = time.Since(start)
	e.Summary = fmt.Sprintf("killed %s, and damaged: %s", named(f.planned.Target, e.Nodes), strings.Join(said, "; "))
	return e, nil
}

// damage damages a file of one node, and says whether it was seen.
func (f *decay) damage(ctx context.Context, c Cluster, h Host, r *rand.Rand) (d lossyfs.Damage, proven bool, err error) {
	disk, err := diskOf(c, h.Node)
	if err != nil {
		return d, false, err
	}
	if _, err := killHost(ctx, c, h); err != nil {
		return d, false, err
	}
	if d, err = f.harm(disk, r); err != nil {
		return d, false, fmt.Errorf("%s: %w", h.Node, err)
	}
	return d, f.proven(disk, d), nil
}

// Heal starts the nodes on their damaged data. Those that it could not even try to start stay its own, so that it can be called again.
func (f *decay) Heal(ctx context.Context, c Cluster) (history.Evidence, error) {
	if len(f.down) == 0 {
		return Skip("nothing was damaged"), nil
	}
	nodes := f.down
	var err error
	_, f.down, err = bringBack(c, f.planned.ID, nodes, func(node string) (time.Duration, error) { return startNode(ctx, c, node) })
	e := history.Evidence{Nodes: nodes, Proven: err == nil}
	if err != nil {
		return e, err
	}
	e.Summary = fmt.Sprintf("started %s on damaged data%s", joined(nodes), stayDown(c, nodes))
	return e, nil
}

// ends says whether a node ends by itself within a time. If it does, it returns once the cluster has noticed.
func ends(ctx context.Context, c Cluster, node string, within time.Duration) bool {
	h, up := c.Host(node)
	if !up {
		return true
	}
	p, err := openProcess(h.PID)
	if err != nil {
		return true
	}
	defer p.close()
	return p.ended(ctx, within) && seen(ctx, func() bool {
		now, up := c.Host(node)
		return !up || now.PID != h.PID
	})
}

// stayDown tells, as the end of a summary, which of the nodes stay down for the rest of the run; nothing if none does.
func stayDown(c Cluster, nodes []string) string {
	var said strings.Builder
	for _, node := range nodes {
		if why := c.Board().Kept(node); why != "" {
			fmt.Fprintf(&said, "; %s stays down: %s", node, why)
		}
	}
	return said.String()
}
