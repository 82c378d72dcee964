package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/sys/unix"

	"rift/harness/history"
)

var killSnapshotKind = Kind{
	Name:    "kill-snapshot",
	Doc:     "Kills a node in the middle of writing a snapshot, and starts it again on the half that it left.",
	Targets: []string{Leader, One},
	How:     "the node is asked for a snapshot, and killed the moment its unfinished file appears, which inotify(7) tells",
	Needs:   "a system that says how to ask for a snapshot, and what is on the disk while it is unfinished",
	Proof:   "the unfinished file was there at the kill and is still there after the process has ended",
	Draw:    drawAimed,
	New: func(p history.PlannedFault) (Fault, error) {
		if err := checkPlanned(p, []string{Leader, One}, nil); err != nil {
			return nil, err
		}
		return &killSnapshot{kill{planned: p}}, nil
	},
	Fits: needsAbility(AbilitySnapshot),
	Able: ableToKillSnapshot,
}

// ableToKillSnapshot says why no node can be killed while it writes a snapshot; nil if each can. It has looked where they are written.
func ableToKillSnapshot(c Cluster) error {
	s, err := snapshotterOf(c)
	if err != nil {
		return err
	}
	for _, node := range c.Nodes() {
		if _, up := c.Host(node); !up {
			continue
		}
		folder, pattern, _ := s.Unfinished(node)
		a, err := awaitIn(folder, pattern)
		if err != nil {
			return fmt.Errorf("%s: %w", node, err)
		}
		a.close()
	}
	return nil
}

// snapshotterOf is the cluster as one whose nodes write snapshots on request.
func snapshotterOf(c Cluster) (Snapshotter, error) {
	s, ok := c.(Snapshotter)
	if ok {
		_, _, ok = s.Unfinished(c.Nodes()[0])
	}
	if !ok {
		return nil, errors.New("the system does not say how a node is asked for a snapshot")
	}
	return s, nil
}

const (
	// snapshotTries is how often a node is killed before the fault gives up: a small snapshot may be done before the kill is.
	snapshotTries = 5
	// snapshotTime bounds how long a node may take to write a snapshot, and to be ready for the next after a start.
	snapshotTime = 3 * time.Second
)

// killSnapshot heals as a kill does.
type killSnapshot struct{ kill }

// caught is what a kill found.
type caught struct {
	name string        // of the unfinished file; empty if none appeared
	left bool          // it was there after the kill too
	took time.Duration // from its appearance until the process had ended
}

// Inject kills the node while it writes a snapshot. A kill that came too late is tried again, with a new snapshot.
func (k *killSnapshot) Inject(ctx context.Context, c Cluster, r *rand.Rand) (history.Evidence, error) {
	s, err := snapshotterOf(c)
	if err != nil {
		return history.Evidence{}, err
	}
	hosts, err := takeHosts(ctx, c, k.planned, "down", r)
	if err != nil {
		return history.Evidence{}, err
	}
	if len(hosts) == 0 {
		return skipTarget(c, k.planned.Target), nil
	}
	node := hosts[0].Node
	k.down = []string{node}
	e := history.Evidence{Nodes: []string{node}, Measures: make(map[string]float64)}
	for try := 1; ; try++ {
		got, why, err := k.once(ctx, c, s, node)
		if err != nil {
			return e, err
		}
		if got.name == "" && try == 1 {
			c.Board().Release(node, k.planned.ID)
			k.down = nil
			return Skip(fmt.Sprintf("%s wrote no snapshot: %v", node, why)), nil
		}
		e.Measures["kills"], e.Measures["ended_ms"] = float64(try), milliseconds(got.took)
		e.Applied = got.took
		if e.Proven = got.left; e.Proven {
			e.Summary = fmt.Sprintf("killed %s at kill %d while it wrote %s; gone %.1f ms after that had appeared, and it is still there",
				named(k.planned.Target, e.Nodes), try, got.name, milliseconds(got.took))
			return e, nil
		}
		if try == snapshotTries || got.name == "" {
			e.Summary = fmt.Sprintf("killed %s %d times, but each time its snapshot was done before", node, try)
			return e, nil
		}
		if _, err := startNode(ctx, c, node); err != nil {
			return e, err
		}
	}
}

// once asks a node for a snapshot and kills it when it begins to write. If none was begun, why says what the node said, and it was not killed.
func (k *killSnapshot) once(ctx context.Context, c Cluster, s Snapshotter, node string) (got caught, why, err error) {
	h, up := c.Host(node)
	if !up {
		return got, nil, fmt.Errorf("kill %s: it ended by itself", node)
	}
	p, err := openProcess(h.PID)
	if err != nil {
		return got, nil, fmt.Errorf("kill %s: %w", node, err)
	}
	defer p.close()
	folder, pattern, _ := s.Unfinished(node)
	a, err := awaitIn(folder, pattern)
	if err != nil {
		return got, err, nil // it has not begun to keep any
	}
	defer a.close()
	asking, cancel := context.WithTimeout(ctx, snapshotTime)
	asked := make(chan error, 1)
	go func() { asked <- askForSnapshots(asking, s, node) }()
	got.name, err = a.wait(asking)
	if err == nil && got.name != "" {
		got.took, err = killAtOnce(ctx, c, node, p)
		got.left = a.has(got.name)
	}
	cancel()
	return got, <-asked, err
}

// askForSnapshots asks until the context ends, and returns what the last answer was: a node that was just started needs a while until it
// can write one, and one that has nothing new to write says that it has written it.
func askForSnapshots(ctx context.Context, s Snapshotter, node string) error {
	const between = 50 * time.Millisecond
	last := errors.New("it says that it has, and no file was seen")
	for {
		if err := s.Snapshot(ctx, node); err != nil && ctx.Err() == nil {
			last = err
		}
		if !rest(ctx.Done(), between) {
			return last
		}
	}
}

// killAtOnce kills a node's first process before the cluster does, whose own way may take longer than the snapshot. It returns how long
// it took until the process was seen to have ended.
func killAtOnce(ctx context.Context, c Cluster, node string, p process) (time.Duration, error) {
	start := time.Now()
	if err := p.signal(unix.SIGKILL); err != nil {
		return 0, err
	}
	ended := p.ended(ctx, proofTime)
	took := time.Since(start)
	if err := c.Kill(ctx, node); err != nil { // what it has left behind
		return 0, fmt.Errorf("kill %s: %w", node, err)
	}
	if !ended {
		return 0, fmt.Errorf("kill %s: process %d is still there %s after the kill", node, p.pid, proofTime)
	}
	return took, nil
}
