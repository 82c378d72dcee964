package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"rift/harness/history"
)

var killKind = Kind{
	Name:    "kill",
	Doc:     "Ends nodes with SIGKILL and starts them again on the data they left.",
	Targets: NodeTargets,
	How:     "SIGKILL to all of a node's processes, from outside; its container or namespace and its data stay",
	Proof:   "the process is seen to end through its pidfd, and a new one to run after the heal",
	Draw:    drawAimed,
	New: func(p history.PlannedFault) (Fault, error) {
		if err := checkPlanned(p, NodeTargets, nil); err != nil {
			return nil, err
		}
		return &kill{planned: p}, nil
	},
}

type kill struct {
	planned history.PlannedFault
	down    []string // nodes that it has taken and not given back
}

// Inject kills the nodes at the same moment. Whether they have ended is not the cluster's word but that of the descriptors
// taken before.
func (k *kill) Inject(ctx context.Context, c Cluster, r *rand.Rand) (history.Evidence, error) {
	hosts, err := takeHosts(ctx, c, k.planned, "down", r)
	if err != nil {
		return history.Evidence{}, err
	}
	if len(hosts) == 0 {
		return skipTarget(c, k.planned.Target), nil
	}
	for _, h := range hosts {
		k.down = append(k.down, h.Node)
	}
	e := history.Evidence{Nodes: slices.Clone(k.down), Proven: true}
	took := make([]time.Duration, len(hosts))
	err = each(len(hosts), func(i int) (err error) {
		took[i], err = killHost(ctx, c, hosts[i])
		return err
	})
	if errors.Is(err, errEndedBefore) && len(hosts) == 1 { // just now, which other nodes of several leave open
		c.Board().Release(hosts[0].Node, k.planned.ID)
		k.down = nil
		return Skip(err.Error()), nil
	}
	if err != nil {
		return e, err
	}
	slowest := milliseconds(slices.Max(took))
	e.Applied = slices.Max(took)
	e.Measures = map[string]float64{"ended_ms": slowest}
	e.Summary = fmt.Sprintf("killed %s; gone within %.1f ms", named(k.planned.Target, e.Nodes), slowest)
	return e, nil
}

// killTime bounds how long one kill may take.
const killTime = 15 * time.Second

// errEndedBefore is the error of a kill that came too late: the node had ended by itself.
var errEndedBefore = errors.New("it had ended before")

// killHost kills one node and returns how long it took until its process was seen to have ended.
func killHost(ctx context.Context, c Cluster, h Host) (time.Duration, error) {
	p, err := openProcess(h.PID)
	if err != nil {
		return 0, fmt.Errorf("kill %s: %w", h.Node, err)
	}
	defer p.close()
	if p.ended(ctx, 0) {
		return 0, fmt.Errorf("kill %s: process %d: %w", h.Node, h.PID, errEndedBefore)
	}
	start := time.Now()
	// A kill that was given up halfway might still come, when the heal has seen the node run.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), killTime)
	defer cancel()
	if err := c.Kill(ctx, h.Node); err != nil {
		return 0, fmt.Errorf("kill %s: %w", h.Node, err)
	}
	if !p.ended(ctx, proofTime) {
		return 0, fmt.Errorf("kill %s: process %d is still there %s after the kill", h.Node, h.PID, proofTime)
	}
	return time.Since(start), nil
}

// Heal starts the nodes again. Those that it could not start stay its own, so that it can be called again.
func (k *kill) Heal(ctx context.Context, c Cluster) (history.Evidence, error) {
	if len(k.down) == 0 {
		return Skip("nothing was killed"), nil
	}
	nodes := k.down
	took, left, err := bringBack(c, k.planned.ID, nodes, func(node string) (time.Duration, error) { return startNode(ctx, c, node) })
	k.down = left
	e := history.Evidence{Nodes: nodes, Proven: err == nil, Applied: took}
	if err != nil {
		return e, err
	}
	slowest := milliseconds(took)
	e.Measures = map[string]float64{"started_ms": slowest}
	e.Summary = fmt.Sprintf("started %s; running within %.1f ms%s", joined(nodes), slowest, stayDown(c, nodes))
	return e, nil
}

// bringBack restores nodes side by side, gives those that it could back to the board, and returns how long the slowest took, and the nodes that
// it could not restore.
func bringBack(c Cluster, fault int, nodes []string, restore func(node string) (time.Duration, error)) (slowest time.Duration, left []string, err error) {
	took := make([]time.Duration, len(nodes))
	failed := make([]error, len(nodes))
	err = each(len(nodes), func(i int) error {
		took[i], failed[i] = restore(nodes[i])
		return failed[i]
	})
	for i, node := range nodes {
		if failed[i] != nil {
			left = append(left, node)
			continue
		}
		c.Board().Release(node, fault)
	}
	return slices.Max(took), left, err
}

// ErrEndedAtOnce is the error of a node that was started, and whose process ended at once.
var ErrEndedAtOnce = errors.New("it ended at once; its log says why")

// startNode starts a node unless it runs already, and returns how long it took until its process was seen to run. One whose data was damaged may refuse to
// start, and then stays down, which is no error: see stayDown.
func startNode(ctx context.Context, c Cluster, node string) (time.Duration, error) {
	took, err := runNode(ctx, c, node)
	if !c.Board().Damaged(node) || err != nil && !errors.Is(err, ErrEndedAtOnce) {
		return took, err
	}
	if err != nil || ends(ctx, c, node, refuseTime) {
		c.Board().KeepDown(node, refuses)
	}
	return took, nil
}

// StartAgain starts a node that ended by itself. One whose data was damaged may refuse to start, and then stays down, which is no error: the board tells.
func StartAgain(ctx context.Context, c Cluster, node string) error {
	_, err := startNode(ctx, c, node)
	return err
}

// runNode is startNode for a node that must run. The process that was killed was seen to end, so one that runs is another.
func runNode(ctx context.Context, c Cluster, node string) (time.Duration, error) {
	start := time.Now()
	if _, up := c.Host(node); !up {
		if err := c.Start(ctx, node); err != nil {
			return 0, fmt.Errorf("start %s: %w", node, err)
		}
	}
	h, up := c.Host(node)
	if !up {
		return 0, fmt.Errorf("start %s: %w", node, ErrEndedAtOnce)
	}
	p, err := openProcess(h.PID)
	if err != nil {
		return 0, fmt.Errorf("start %s: %w", node, err)
	}
	defer p.close()
	if p.ended(ctx, 0) {
		return 0, fmt.Errorf("start %s: process %d: %w", node, h.PID, ErrEndedAtOnce)
	}
	return time.Since(start), nil
}

// each does n things side by side and returns when all are done, with all that went wrong.
func each(n int, do func(i int) error) error {
	var wait sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		wait.Go(func() { errs[i] = do(i) })
	}
	wait.Wait()
	return errors.Join(errs...)
}
