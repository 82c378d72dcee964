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

// argUp is how long a node lives each time.
const argUp = "up"

var crashLoopKind = Kind{
	Name:    "crash-loop",
	Doc:     "Kills nodes again and again, each time soon after their start, as a supervisor does with a program that keeps crashing.",
	Targets: NodeTargets,
	How:     "SIGKILL, a start on the data left, a life of a given length, and again",
	Needs:   "",
	Proof:   "each end is seen through the process's pidfd; every node has crashed twice before the fault counts as in; after the heal a process runs",
	Draw: func(r *rand.Rand, allowed []string) history.PlannedFault {
		p := drawAimed(r, allowed)
		up := between(r, lives.least, 2*time.Second)
		p.For += history.Duration(2 * up) // two lives at least
		p.Args = map[string]string{argUp: up.String()}
		return p
	},
	New: func(p history.PlannedFault) (Fault, error) {
		if err := checkPlanned(p, NodeTargets, []string{argUp}); err != nil {
			return nil, err
		}
		up, err := lives.parse(p, argUp)
		if err != nil {
			return nil, err
		}
		return &crashLoop{planned: p, up: up}, nil
	},
}

// lives are how long a node may live between its start and its end. A shorter life than the least would often end before the program has begun.
var lives = span{200 * time.Millisecond, 10 * time.Second}

// crashTime bounds how long two crashes may take, beyond the life between them.
const crashTime = 20 * time.Second

type crashLoop struct {
	planned history.PlannedFault
	up      time.Duration
	nodes   []string // nodes that it has taken and not given back
	loop    *background

	mu      sync.Mutex
	crashes map[string]int
}

// Inject takes the nodes, and returns when each has crashed twice.
func (f *crashLoop) Inject(ctx context.Context, c Cluster, r *rand.Rand) (history.Evidence, error) {
	hosts, err := takeHosts(ctx, c, f.planned, "crashing", r)
	if err != nil {
		return history.Evidence{}, err
	}
	if len(hosts) == 0 {
		return skipTarget(c, f.planned.Target), nil
	}
	f.crashes = make(map[string]int)
	for _, h := range hosts {
		f.nodes = append(f.nodes, h.Node)
	}
	e := history.Evidence{Nodes: slices.Clone(f.nodes)}
	start := time.Now()
	first := make([]time.Duration, len(hosts))
	if err := each(len(hosts), func(i int) (err error) {
		first[i], err = killHost(ctx, c, hosts[i])
		return err
	}); err != nil {
		return e, err
	}
	e.Applied = time.Since(start)
	twice := make(chan struct{}, len(hosts)) // a token for each node that has crashed twice
	f.loop = inBackground(ctx, func(ctx context.Context, stop <-chan struct{}) error {
		return each(len(hosts), func(i int) error {
			return f.crash(ctx, c, hosts[i].Node, stop, func() { twice <- struct{}{} })
		})
	})
	e.Proven = f.await(ctx, twice, len(hosts))
	took := milliseconds(slices.Max(first))
	e.Measures = map[string]float64{"ended_ms": took}
	e.Summary = fmt.Sprintf("killed %s, gone within %.1f ms, and again after a life of %s", named(f.planned.Target, e.Nodes), took, f.up)
	if !e.Proven {
		e.Summary = fmt.Sprintf("killed %s, but not every node was started and killed again within %s", named(f.planned.Target, e.Nodes), f.up+crashTime)
	}
	return e, nil
}

// await waits for so many tokens; false if the loop ended, or the time, before they came.
func (f *crashLoop) await(ctx context.Context, tokens <-chan struct{}, n int) bool {
	late := time.NewTimer(f.up + crashTime)
	defer late.Stop()
	for range n {
		select {
		case <-tokens:
		case err := <-f.loop.ended:
			f.loop.ended <- err // for the heal
			return false
		case <-late.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// crash starts a node that has crashed, lets it live and kills it, until stop is closed. It calls again when it has killed it for the first time.
func (f *crashLoop) crash(ctx context.Context, c Cluster, node string, stop <-chan struct{}, again func()) error {
	for crashes := 1; ; crashes++ {
		f.mu.Lock()
		f.crashes[node] = crashes
		f.mu.Unlock()
		if crashes == 2 {
			again()
		}
		if stopped(stop) {
			return nil
		}
		if _, err := startNode(ctx, c, node); err != nil {
			return err
		}
		if !rest(stop, f.up) {
			return nil
		}
		if h, up := c.Host(node); up { // else it has crashed by itself
			if _, err := killHost(ctx, c, h); err != nil {
				return err
			}
		}
	}
}

// Heal ends the loop and leaves the nodes running.
func (f *crashLoop) Heal(ctx context.Context, c Cluster) (history.Evidence, error) {
	if len(f.nodes) == 0 {
		return Skip("nothing was killed"), nil
	}
	e := history.Evidence{Nodes: slices.Clone(f.nodes)}
	var trouble error
	if f.loop != nil {
		if trouble = f.loop.end(ctx); errors.Is(trouble, errStillGoing) {
			return e, trouble
		}
		f.loop = nil
	}
	start := time.Now()
	if err := each(len(f.nodes), func(i int) error {
		_, err := startNode(ctx, c, f.nodes[i])
		return err
	}); err != nil {
		return e, errors.Join(trouble, err)
	}
	e.Applied, e.Proven = time.Since(start), true
	e.Measures = make(map[string]float64)
	e.Summary = fmt.Sprintf("left %s running", joined(f.nodes))
	for _, node := range f.nodes {
		c.Board().Release(node, f.planned.ID)
		e.Measures[node+"_crashes"] = float64(f.crashes[node])
		e.Summary += fmt.Sprintf("; %s crashed %d times", node, f.crashes[node])
	}
	if trouble != nil {
		e.Summary += fmt.Sprintf("; the loop ended early: %v", trouble)
	}
	f.nodes = nil
	return e, nil
}
