package nemesis

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"

	"rift/harness/history"
	"rift/nemesis/vdso"
)

var clockKind = Kind{
	Name:    "clock",
	Doc:     "Skews the clocks of nodes, and of nothing else: the wall clock jumps (bump), drifts or jumps to and fro (strobe), or the monotonic clock slows down (slow).",
	Targets: NodeTargets,
	How:     "jumps are written over the clock functions of each process's own vDSO, which lead to a shim that adds a skew; what a new program undoes is done again when the kernel tells of its exec",
	Needs:   "linux on amd64, ptrace and writes to /proc/PID/mem; where the kernel does not tell of execs, they are found by looking every 20 ms",
	Proof:   "each process's own vDSO is called, and what it answers compared with the host's clocks",
	Draw: func(r *rand.Rand, allowed []string) history.PlannedFault {
		p := drawAimed(r, allowed)
		p.Args = drawSkew(r).args()
		return p
	},
	New: func(p history.PlannedFault) (Fault, error) {
		if err := checkPlanned(p, NodeTargets, skewArgs); err != nil {
			return nil, err
		}
		s, err := parseSkew(p.Args)
		if err != nil {
			return nil, err
		}
		return &clock{planned: p, skew: s, hit: make(map[string]skewed)}, nil
	},
	Able: ableToSkew,
}

// ableToSkew tries whether this program may write into the nodes' processes, as a debugger does, and knows this machine's vDSO.
func ableToSkew(c Cluster) error {
	for _, node := range c.Nodes() {
		h, up := c.Host(node)
		if !up {
			continue
		}
		mem, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", h.PID), os.O_RDWR, 0)
		if errors.Is(err, os.ErrNotExist) {
			continue // it has ended just now
		}
		if err != nil {
			return fmt.Errorf("write into the process of %s, which needs CAP_SYS_PTRACE over it: %w", node, err)
		}
		mem.Close()
	}
	return vdso.Able()
}

// clockProof bounds how long a skew, or its end, may take to be measured, and a process to settle that has just been started.
const clockProof = 3 * time.Second

// clock leaves the board alone: a node whose clock is wrong can be killed or paused all the same.
type clock struct {
	planned history.PlannedFault
	skew    skew
	hit     map[string]skewed // by node
}

// skewed is what a node was given: its own version of the skew, and since when, for a clock that drifts goes on
// drifting while the node restarts.
type skewed struct {
	skew  skew
	since time.Time
}

// Inject skews the nodes' clocks. The first node gets the skew as planned, each other one its own share of it, or of its
// opposite: clocks that are wrong together agree.
func (f *clock) Inject(ctx context.Context, c Cluster, r *rand.Rand) (history.Evidence, error) {
	nodes, err := Pick(ctx, c, f.planned.Target, r)
	if err != nil {
		return history.Evidence{}, err
	}
	if len(nodes) == 0 {
		return skipTarget(c, f.planned.Target), nil
	}
	for i, node := range nodes {
		s := f.skew
		if i > 0 {
			s = s.share(r)
		}
		f.hit[node] = skewed{s, time.Now()}
	}
	return measure(ctx, nodes, "skewed "+named(f.planned.Target, nodes), func(ctx context.Context, node string) (proof, error) {
		return f.apply(ctx, c, node)
	})
}

// Reapply skews a node again that was started with true clocks.
func (f *clock) Reapply(ctx context.Context, c Cluster, node string) (history.Evidence, bool, error) {
	if _, hit := f.hit[node]; !hit {
		return history.Evidence{}, false, nil
	}
	e, err := measure(ctx, []string{node}, "skewed again "+node, func(ctx context.Context, node string) (proof, error) {
		return f.apply(ctx, c, node)
	})
	return e, true, err
}

// Heal gives the nodes true wall clocks, and monotonic clocks that go at the true rate. It takes the processes as
// they are now: those that were started since have true clocks already, unless a skewed one started them.
func (f *clock) Heal(ctx context.Context, c Cluster) (history.Evidence, error) {
	if len(f.hit) == 0 {
		return Skip("no clock was skewed"), nil
	}
	nodes := slices.Sorted(maps.Keys(f.hit))
	return measure(ctx, nodes, "healed "+named("", nodes), func(ctx context.Context, node string) (proof, error) {
		return f.healNode(ctx, c, node)
	})
}

// measure does something to all nodes at once, and puts together what they showed.
func measure(ctx context.Context, nodes []string, did string, do func(context.Context, string) (proof, error)) (history.Evidence, error) {
	ctx, cancel := context.WithTimeout(ctx, clockProof)
	defer cancel()
	proofs := make([]proof, len(nodes))
	err := each(len(nodes), func(i int) (err error) {
		if proofs[i], err = do(ctx, nodes[i]); err != nil {
			return fmt.Errorf("%s: %w", nodes[i], err)
		}
		return nil
	})
	e := history.Evidence{Nodes: nodes, Proven: err == nil, Measures: make(map[string]float64)}
	var saw []string
	for i, node := range nodes {
		e.Proven = e.Proven && proofs[i].proven
		saw = append(saw, fmt.Sprintf("%s: %s", node, proofs[i].saw))
		for name, value := range proofs[i].measures {
			e.Measures[node+"_"+name] = value
		}
	}
	e.Summary = did + "; " + strings.Join(saw, "; ")
	return e, err
}

// apply skews all processes of a node, and measures each.
func (f *clock) apply(ctx context.Context, c Cluster, node string) (proof, error) {
	h, up := c.Host(node)
	if !up {
		return proof{saw: "it went down"}, nil
	}
	given := f.hit[node]
	return overProcesses(ctx, h.PID, func(p *vdso.Process) (proof, error) {
		s := given.skew.after(time.Since(given.since))
		if err := p.Set(s); err != nil {
			return proof{}, err
		}
		return given.skew.prove(ctx, p, s)
	})
}

// healNode heals all processes of a node. One that is down has no clock that could be wrong.
func (f *clock) healNode(ctx context.Context, c Cluster, node string) (proof, error) {
	h, up := c.Host(node)
	if !up {
		return proof{proven: true, saw: "it is down"}, nil
	}
	healed, err := overProcesses(ctx, h.PID, func(p *vdso.Process) (proof, error) {
		if err := p.Heal(); err != nil {
			return proof{}, err
		}
		return f.skew.proveHealed(ctx, p)
	})
	healed.proven = healed.proven || healed.ended
	return healed, err
}

// overProcesses does something to the clocks of each of a node's processes. The first one's proof is returned, proven if all are.
func overProcesses(ctx context.Context, first int, do func(*vdso.Process) (proof, error)) (proof, error) {
	pids, err := family(first)
	if err != nil {
		return proof{}, err
	}
	proofs := make([]proof, len(pids))
	if err := each(len(pids), func(i int) (err error) {
		proofs[i], err = onProcess(ctx, pids[i], do)
		return err
	}); err != nil {
		return proof{}, err
	}
	of := proofs[slices.Index(pids, first)]
	for i, p := range proofs {
		ended := pids[i] != first && p.ended
		of.proven = of.proven && (p.proven || ended)
	}
	return of, nil
}

// onProcess does something to the clocks of one process, anew if the process makes an exec meanwhile, as one that
// has just been started may.
func onProcess(ctx context.Context, pid int, do func(*vdso.Process) (proof, error)) (proof, error) {
	for {
		made, err := attached(pid, do)
		if !errors.Is(err, vdso.ErrGone) {
			return made, err
		}
		if state, _ := readStat(fmt.Sprintf("/proc/%d/stat", pid)); state == 0 || state == 'Z' || state == 'X' {
			return proof{ended: true, saw: "its process ended"}, nil
		}
		select {
		case <-ctx.Done():
			return proof{}, err
		case <-time.After(time.Millisecond):
		}
	}
}

func attached(pid int, do func(*vdso.Process) (proof, error)) (proof, error) {
	p, err := vdso.Attach(pid)
	if err != nil {
		return proof{}, err
	}
	defer p.Close()
	return do(p)
}
