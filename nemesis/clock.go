package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"rift/harness/history"
	"rift/nemesis/procevents"
	"rift/nemesis/vdso"
)

var clockKind = Kind{
	Name:    "clock",
	Doc:     "Skews the clocks of nodes, and of nothing else: the wall clock jumps (bump), drifts, jumps to and fro (strobe) or follows a schedule, or the monotonic clock slows down (slow).",
	Targets: NodeTargets,
	How:     "jumps are written over the clock functions of each process's own vDSO, which lead to a shim that adds a skew; what a new program undoes is done again when the kernel tells of its exec",
	Needs:   "linux on amd64, ptrace and writes to /proc/PID/mem; where the kernel does not tell of execs, they are found by looking every 20 ms",
	Proof:   "each process's own vDSO is called, and what it answers compared with the host's clocks; several nodes must be seen apart from each other",
	Draw: func(r *rand.Rand, allowed []string) history.PlannedFault {
		p := drawAimed(r, allowed)
		p.Args = drawSkew(r, time.Duration(p.For)).args()
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
		return &clock{planned: p, skew: s, hit: make(map[string]course), listen: procevents.Listen, applied: make(chan struct{})}, nil
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
//
// While it is in, it follows its schedule, and skews every program that the nodes' processes begin to run. Both go on in the
// background from Inject to Heal.
type clock struct {
	planned history.PlannedFault
	skew    skew
	listen  func() (*procevents.Listener, error)
	tell    Teller // nil if nobody wants to know

	hit       map[string]course // by node; each has its own, and all their segments begin at the same times
	began     time.Duration     // when they begin, on the host's monotonic clock: it goes on while a node restarts
	announced atomic.Int32      // the last segment that has begun to be put in
	programs  programs
	applied   chan struct{}      // closed when all processes that there were have been skewed
	stop      context.CancelFunc // ends what goes on in the background
	behind    sync.WaitGroup     // what goes on in the background
}

// Report has what the fault does by itself told.
func (f *clock) Report(tell Teller) { f.tell = tell }

// Inject skews the nodes' clocks, each its own way. A schedule that leaves the clocks true for a while is in when they
// are no longer.
func (f *clock) Inject(ctx context.Context, c Cluster, r *rand.Rand) (history.Evidence, error) {
	nodes, err := Pick(ctx, c, f.planned.Target, r)
	if err != nil {
		return history.Evidence{}, err
	}
	if len(nodes) == 0 {
		return skipTarget(c, f.planned.Target), nil
	}
	if err := f.assign(nodes, r); err != nil {
		return history.Evidence{}, err
	}
	background := f.watchPrograms(ctx, c)
	first := f.hit[nodes[0]].first()
	if err := f.announce(ctx, first); err != nil {
		return history.Evidence{Nodes: nodes}, err
	}
	f.behind.Go(func() { f.followSchedule(background, c, first+1) })
	e, err := measure(ctx, nodes, "skewed "+named(f.planned.Target, nodes), func(ctx context.Context, node string) (proof, error) {
		return f.apply(ctx, c, node)
	})
	close(f.applied)
	if e.Proven {
		err = f.proveApart(ctx, c, &e)
	}
	return e, err
}

// assign gives each node its part of the skew.
func (f *clock) assign(nodes []string, r *rand.Rand) (err error) {
	part := parts(len(nodes), r)
	for i, node := range nodes {
		if f.hit[node], err = f.skew.share(part[i]).course(); err != nil {
			return fmt.Errorf("the skew of %s: %w", node, err)
		}
	}
	f.began, err = vdso.Now()
	return err
}

// Reapply skews a node again that was started with true clocks. If the kernel told of its exec in time, that has been done already;
// to do it twice changes nothing, since the instant from which the clocks are skewed is the same.
func (f *clock) Reapply(ctx context.Context, c Cluster, node string) (history.Evidence, bool, error) {
	if _, hit := f.hit[node]; !hit {
		return history.Evidence{}, false, nil
	}
	h, up := c.Host(node)
	if up {
		f.programs.know(h)
	}
	e, err := measure(ctx, []string{node}, "skewed again "+node, func(ctx context.Context, node string) (proof, error) {
		return f.apply(ctx, c, node)
	})
	if took, told := f.programs.skewed(h.PID); told {
		e.Measures[node+"_exec_to_skewed_ms"] = milliseconds(took)
		e.Summary += fmt.Sprintf("; it was %.1f ms after the exec", milliseconds(took))
	}
	return e, true, err
}

// Heal gives the nodes true wall clocks, and monotonic clocks that go at the true rate. It takes the processes as
// they are now: those that were started since have true clocks already, unless a skewed one started them.
func (f *clock) Heal(ctx context.Context, c Cluster) (history.Evidence, error) {
	if f.stop != nil {
		f.stop()
		f.behind.Wait()
	}
	if len(f.hit) == 0 {
		return Skip("no clock was skewed"), nil
	}
	nodes := f.nodes()
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
		e.Applied = max(e.Applied, proofs[i].applied)
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
	return overProcesses(ctx, h.PID, func(p *vdso.Process) error {
		return f.put(p, node)
	}, func(ctx context.Context, p *vdso.Process) (proof, error) {
		return f.prove(ctx, p, node)
	})
}

// healNode heals all processes of a node. One that is down has no clock that could be wrong.
func (f *clock) healNode(ctx context.Context, c Cluster, node string) (proof, error) {
	h, up := c.Host(node)
	if !up {
		return proof{proven: true, saw: "it is down"}, nil
	}
	healed, err := overProcesses(ctx, h.PID, func(p *vdso.Process) error {
		return p.Heal()
	}, func(ctx context.Context, p *vdso.Process) (proof, error) {
		return proveHealed(ctx, p, f.hit[node].slows())
	})
	healed.proven = healed.proven || healed.ended
	return healed, err
}
