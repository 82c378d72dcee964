package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	"rift/harness/history"
	"rift/nemesis/cgroup"
)

var freezeKind = Kind{
	Name:    "freeze",
	Doc:     "Freezes whole nodes at once, with all that they have started, as a container engine's pause or a snapshot of a virtual machine does.",
	Targets: NodeTargets,
	How:     "the freezer of the node's control group, in which no process gets a signal that it could see",
	Needs:   "control groups that can be written, with the freezer; pause does without",
	Proof:   "the kernel says that the group is frozen, and every thread's state is seen to be one that the freezer keeps it in; after the heal it says that it is not",
	Draw:    drawAimed,
	New: func(p history.PlannedFault) (Fault, error) {
		if err := checkPlanned(p, NodeTargets, nil); err != nil {
			return nil, err
		}
		return &freeze{planned: p}, nil
	},
	Able: func(c Cluster) error {
		if err := ableInGroups(c, cgroup.Freezer); err != nil {
			return fmt.Errorf("%w; the fault pause stops processes with signals instead", err)
		}
		return nil
	},
}

type freeze struct {
	planned history.PlannedFault
	frozen  []frozenHost // nodes that it has taken and not given back
}

type frozenHost struct {
	node  string
	group cgroup.Group
}

// Inject freezes the nodes' groups, and then waits for the kernel to say that all in them has stopped.
func (f *freeze) Inject(ctx context.Context, c Cluster, r *rand.Rand) (history.Evidence, error) {
	hosts, err := takeHosts(ctx, c, f.planned, "frozen", r)
	if err != nil {
		return history.Evidence{}, err
	}
	if len(hosts) == 0 {
		return skipTarget(c, f.planned.Target), nil
	}
	var (
		e     history.Evidence
		errs  []error
		start = time.Now()
	)
	for _, h := range hosts {
		g, err := groupOf(h)
		f.frozen = append(f.frozen, frozenHost{h.Node, g})
		e.Nodes = append(e.Nodes, h.Node)
		if err == nil {
			err = g.Freeze()
		}
		errs = append(errs, err)
	}
	var (
		failed         error
		threads, still int
	)
	e.Proven = seen(ctx, func() bool {
		var frozen bool
		if frozen, failed = f.areFrozen(); !frozen {
			return failed != nil
		}
		if e.Applied == 0 {
			e.Applied = time.Since(start)
		}
		// A thread that was just being started is frozen a little later than the group is.
		threads, still = f.threads()
		return threads > 0 && still == threads
	})
	if err := errors.Join(append(errs, failed)...); err != nil {
		return e, fmt.Errorf("freeze: %w", err)
	}
	took := milliseconds(e.Applied)
	e.Measures = map[string]float64{"frozen_ms": took, "threads": float64(threads)}
	e.Summary = fmt.Sprintf("froze %s; the kernel says so after %.1f ms, and of %d threads %d are still", named(f.planned.Target, e.Nodes), took, threads, still)
	if !e.Proven {
		e.Summary = fmt.Sprintf("froze %s, but after %s only %d of %d threads were still", named(f.planned.Target, e.Nodes), proofTime, still, threads)
	}
	return e, nil
}

// areFrozen says whether all groups are frozen.
func (f *freeze) areFrozen() (all bool, err error) {
	for _, h := range f.frozen {
		if frozen, err := h.group.Frozen(); !frozen || err != nil {
			return false, err
		}
	}
	return true, nil
}

// threads counts the threads of all processes in the groups, and those of them that are as the freezer keeps them.
func (f *freeze) threads() (all, still int) {
	for _, h := range f.frozen {
		pids, _ := h.group.Processes() // a group that has gone has none
		for _, pid := range pids {
			stats, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid)) // the pattern is well formed
			for _, path := range stats {
				switch state, _ := readStat(path); {
				case state == 'Z' || state == 'X' || state == 0:
				case h.group.Still(state):
					all++
					still++
				default:
					all++
				}
			}
		}
	}
	return all, still
}

// Heal thaws the groups, and has the kernel say so. A group that has gone with its node is healed.
func (f *freeze) Heal(ctx context.Context, c Cluster) (history.Evidence, error) {
	if len(f.frozen) == 0 {
		return Skip("nothing was frozen"), nil
	}
	var (
		e     = history.Evidence{Proven: true}
		errs  []error
		start = time.Now()
	)
	for _, h := range f.frozen {
		e.Nodes = append(e.Nodes, h.node)
		if h.group.Exists() {
			errs = append(errs, h.group.Thaw())
		}
	}
	if err := errors.Join(errs...); err != nil {
		e.Proven = false
		return e, fmt.Errorf("thaw: %w", err)
	}
	e.Applied = time.Since(start)
	var last error
	e.Proven = seen(ctx, func() bool {
		for _, h := range f.frozen {
			var frozen bool
			if frozen, last = h.group.Frozen(); (frozen || last != nil) && h.group.Exists() {
				return false
			}
		}
		return true
	})
	if !e.Proven {
		return e, fmt.Errorf("thaw %s: after %s the kernel says that it is frozen: %w", joined(e.Nodes), proofTime, last)
	}
	took := milliseconds(time.Since(start))
	e.Measures = map[string]float64{"thawed_ms": took}
	e.Summary = fmt.Sprintf("thawed %s; the kernel says so after %.1f ms", joined(e.Nodes), took)
	for _, h := range f.frozen {
		c.Board().Release(h.node, f.planned.ID)
	}
	f.frozen = nil
	return e, nil
}
