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

var pauseKind = Kind{
	Name:    "pause",
	Doc:     "Stops nodes with SIGSTOP, as a long garbage collection or a frozen virtual machine does; their sockets stay open.",
	Targets: NodeTargets,
	How:     "SIGSTOP to all of a node's processes through pidfds, again until no new one is found; SIGCONT heals",
	Needs:   "the right to signal the nodes' processes",
	Proof:   "every thread's state in /proc is seen to be stopped, and not stopped after the heal",
	Draw:    drawAimed,
	New: func(p history.PlannedFault) (Fault, error) {
		if err := checkPlanned(p, NodeTargets, nil); err != nil {
			return nil, err
		}
		return &pause{planned: p}, nil
	},
	Able: ableToSignal,
}

// ableToSignal tries whether this program may send signals to the nodes' processes, with one that does nothing.
func ableToSignal(c Cluster) error {
	for _, node := range c.Nodes() {
		h, up := c.Host(node)
		if !up {
			continue
		}
		if err := unix.Kill(h.PID, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("signal the process of %s: %w: run rift as root, or its nodes as your own with --cluster local", node, err)
		}
	}
	return nil
}

type pause struct {
	planned history.PlannedFault
	paused  []pausedHost // nodes that it has taken and not given back
}

// pausedHost is a node with those of its processes that were sent SIGSTOP.
type pausedHost struct {
	node      string
	processes []process
}

// Inject stops all processes of the nodes, and then waits for all of their threads to be seen stopped.
func (f *pause) Inject(ctx context.Context, c Cluster, r *rand.Rand) (history.Evidence, error) {
	hosts, err := takeHosts(ctx, c, f.planned, "paused", r)
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
		processes, err := stop(h.PID)
		if err != nil {
			errs = append(errs, fmt.Errorf("pause %s: %w", h.Node, err))
		}
		f.paused = append(f.paused, pausedHost{h.Node, processes})
		e.Nodes = append(e.Nodes, h.Node)
	}
	if err := errors.Join(errs...); err != nil {
		return e, err
	}
	var threads int
	e.Proven = seen(ctx, func() bool {
		var all bool
		threads, all = f.stopped()
		return all
	})
	e.Applied = time.Since(start)
	took := milliseconds(e.Applied)
	e.Measures = map[string]float64{"stopped_ms": took, "threads": float64(threads)}
	e.Summary = fmt.Sprintf("paused %s; %d threads were seen stopped within %.1f ms", named(f.planned.Target, e.Nodes), threads, took)
	if !e.Proven {
		e.Summary = fmt.Sprintf("sent SIGSTOP to %s, but after %.0f ms not every thread was stopped (%d were)", named(f.planned.Target, e.Nodes), took, threads)
	}
	return e, nil
}

// stop sends SIGSTOP to a host's processes, and looks again until it finds no new one, since a process may start another before
// it stops. It returns those that it sent the signal to, also with an error.
func stop(first int) ([]process, error) {
	var (
		stopped []process
		seen    = make(map[int]bool)
	)
	for more := true; more; {
		more = false
		pids, err := family(first)
		if err != nil {
			return stopped, err
		}
		for _, pid := range pids {
			if seen[pid] {
				continue
			}
			seen[pid], more = true, true
			p, err := openProcess(pid)
			if errors.Is(err, unix.ESRCH) {
				continue // it ended meanwhile
			}
			if err != nil {
				return stopped, err
			}
			stopped = append(stopped, p)
			if err := p.signal(unix.SIGSTOP); err != nil {
				return stopped, err
			}
		}
	}
	return stopped, nil
}

// stopped counts the stopped threads of all nodes, and says whether every node has some and none that is not.
func (f *pause) stopped() (threads int, all bool) {
	all = true
	for _, h := range f.paused {
		ofNode := 0
		for _, p := range h.processes {
			n, stopped := p.threads()
			all = all && n == stopped
			ofNode += stopped
		}
		all = all && ofNode > 0
		threads += ofNode
	}
	return threads, all
}

// Heal sends SIGCONT to everything that was stopped, and waits for it to be seen going on. A node that died while it was paused
// is healed.
func (f *pause) Heal(ctx context.Context, c Cluster) (history.Evidence, error) {
	if len(f.paused) == 0 {
		return Skip("nothing was paused"), nil
	}
	defer f.giveBack(c)
	var (
		e     history.Evidence
		errs  []error
		ended []string
		start = time.Now()
	)
	for _, h := range f.paused {
		e.Nodes = append(e.Nodes, h.node)
		alive := false
		for _, p := range h.processes {
			errs = append(errs, p.signal(unix.SIGCONT))
			alive = alive || !p.ended(ctx, 0)
		}
		if !alive {
			ended = append(ended, h.node)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return e, fmt.Errorf("resume: %w", err)
	}
	var threads int
	e.Proven = seen(ctx, func() bool {
		threads, _ = f.stopped()
		return threads == 0
	})
	e.Applied = time.Since(start)
	took := milliseconds(e.Applied)
	e.Measures = map[string]float64{"resumed_ms": took}
	e.Summary = fmt.Sprintf("resumed %s; no thread was stopped after %.1f ms", joined(e.Nodes), took)
	if !e.Proven {
		e.Summary = fmt.Sprintf("sent SIGCONT to %s, but after %.0f ms %d threads were still stopped", joined(e.Nodes), took, threads)
	}
	if len(ended) > 0 {
		e.Summary += "; ended while paused: " + joined(ended)
	}
	return e, nil
}

// giveBack lets go of the nodes and their processes.
func (f *pause) giveBack(c Cluster) {
	for _, h := range f.paused {
		for _, p := range h.processes {
			p.close()
		}
		c.Board().Release(h.node, f.planned.ID)
	}
	f.paused = nil
}
