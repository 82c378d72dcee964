package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"rift/harness"
	"rift/harness/history"
	"rift/nemesis"
)

// lane carries out the faults of one lane of a plan, one after the other. It is a task, and the cluster as package nemesis sees it: aiming is the same code as in
// real runs.
type lane struct {
	*cluster
	*task
	number int // below 0: the process under which its events stand in the history
	record *harness.Recorder
	asker  harness.Simulated
}

// effect is what a kind of fault does in the world.
type effect interface {
	// inject puts the fault in. What found nobody to hit gives a skipped evidence, and may be tried again.
	inject(l *lane, p history.PlannedFault, r *rand.Rand) (history.Evidence, error)
	// heal takes it out.
	heal(l *lane) (history.Evidence, error)
}

// goesOn is an effect that has something to do between the two, until a time of the world.
type goesOn interface {
	goOn(l *lane, until time.Duration, r *rand.Rand)
}

// effects are the kinds of fault that there are in the world, by their names in package nemesis.
var effects = map[string]func() effect{
	"clock":         func() effect { return &skewed{} },
	"restart":       func() effect { return &restart{} },
	"crash-loop":    func() effect { return &crashLoop{} },
	"kill-snapshot": func() effect { return &killSnapshot{} },
	"leader-kill":   func() effect { return &leaderKill{} },
	"transfer":      func() effect { return transfer{} },
	"kill":          func() effect { return &kill{} },
	"power":         func() effect { return &kill{power: true} },
	"pause":         func() effect { return &pause{} },
	"freeze":        func() effect { return &pause{} },
	"partition":     func() effect { return &weather{make: cutOff} },
	"delay":         func() effect { return &weather{make: delayed} },
	"loss":          func() effect { return &weather{make: lossy} },
	"corrupt":       func() effect { return &weather{make: corrupted} },
	"duplicate":     func() effect { return &weather{make: doubled} },
	"reorder":       func() effect { return &weather{make: reordered} },
	"bandwidth":     func() effect { return &weather{make: limited} },
	"disk-full":     func() effect { return &diskFault{} },
	"disk-error":    func() effect { return &diskFault{} },
	"disk-slow":     func() effect { return &diskFault{} },
}

// Kinds lists the kinds of fault that can be simulated, sorted.
func Kinds() []string { return slices.Sorted(maps.Keys(effects)) }

// able refuses a plan with a fault that cannot be simulated.
func able(plan []history.PlannedFault) error {
	for _, p := range plan {
		if effects[p.Kind] == nil {
			return nemesis.UnknownError{Field: "fault to be simulated", Given: p.Kind, Allowed: Kinds()}
		}
		kind, err := nemesis.Find(p.Kind)
		if err == nil {
			_, err = kind.New(p)
		}
		if err != nil {
			return fmt.Errorf("fault %d: %w", p.ID, err)
		}
	}
	return nil
}

// startFaults begins the lanes of a plan, whose times count from now. They have ended, with everything healed, when left is 0.
func (c *cluster) startFaults(plan []history.PlannedFault, record *harness.Recorder) (left *int) {
	start := c.world.now
	byLane := make(map[string][]history.PlannedFault)
	var names []string
	for _, p := range plan {
		if byLane[p.Lane] == nil {
			names = append(names, p.Lane)
		}
		byLane[p.Lane] = append(byLane[p.Lane], p)
	}
	left = new(int)
	*left = len(names)
	for _, name := range names {
		c.world.spawn(func(t *task) {
			l := c.newLane(t, record)
			for _, p := range byLane[name] {
				l.carryOut(p, start)
			}
			*left--
		})
	}
	return left
}

// hold puts faults in, all at once whatever their times, and heals them at a time of the world. All are healed when left is 0.
func (c *cluster) hold(plan []history.PlannedFault, record *harness.Recorder, until time.Duration) (left *int) {
	left = new(int)
	*left = len(plan)
	for _, p := range plan {
		c.world.spawn(func(t *task) {
			l := c.newLane(t, record)
			l.putIn(p, l.now(), func(effect, *rand.Rand) { l.sleep(until - l.now()) })
			*left--
		})
	}
	return left
}

// newLane gives a task the next number of a lane.
func (c *cluster) newLane(t *task, record *harness.Recorder) *lane {
	c.lanes++
	return &lane{cluster: c, task: t, number: -c.lanes, record: record, asker: c.asking(t)}
}

// carryOut puts a fault in at its time and heals it at its time. One that finds nobody to hit tries again until half of its time is over.
func (l *lane) carryOut(p history.PlannedFault, start time.Duration) {
	const again = 100 * time.Millisecond
	if !l.sleep(start + time.Duration(p.At) - l.now()) {
		return
	}
	l.putIn(p, start+time.Duration(p.At), func(e effect, draws *rand.Rand) {
		until := start + time.Duration(p.At+p.For)
		if lasting, ok := e.(goesOn); ok {
			lasting.goOn(l, until, draws)
		}
		l.sleep(until - l.now())
	})
}

// putIn puts a fault in, and heals it when what is to be done meanwhile is done.
func (l *lane) putIn(p history.PlannedFault, planned time.Duration, meanwhile func(e effect, draws *rand.Rand)) {
	const again = 100 * time.Millisecond
	e := effects[p.Kind]()
	draws := rand.New(rand.NewPCG(uint64(p.Seed), uint64(p.ID)))
	l.step(p, history.StepInject, func() (history.Evidence, error) {
		for {
			seen, err := e.inject(l, p, draws)
			if errors.Is(err, nemesis.ErrNoLeader) || errors.Is(err, nemesis.ErrQuorum) {
				seen, err = nemesis.Skip(err.Error()), nil
			}
			if spared := l.board.Spared(p.ID); len(spared) > 0 {
				seen.Summary += "; left alone to keep a quorum: " + strings.Join(spared, ", ")
			}
			if seen.Skipped {
				l.board.Relieve(p.ID)
			}
			if err != nil || !seen.Skipped || l.now() > planned+time.Duration(p.For/2) || !l.sleep(again) {
				return seen, err
			}
		}
	})
	meanwhile(e, draws)
	l.step(p, history.StepHeal, func() (history.Evidence, error) { return e.heal(l) })
	l.board.Relieve(p.ID)
}

// see waits until a fault is seen to have an effect, at most for half of its time.
func (l *lane) see(p history.PlannedFault, effect func() bool) bool {
	const look = 5 * time.Millisecond
	for until := l.now() + time.Duration(p.For/2); !effect() && l.now() < until && l.sleep(look); {
	}
	return effect()
}

func (l *lane) now() time.Duration { return l.cluster.world.now }

// step takes one step of a fault, and writes down what it showed.
func (l *lane) step(p history.PlannedFault, step string, do func() (history.Evidence, error)) {
	l.event(p, history.Invoke, map[string]any{"fault": p.ID, "step": step, "target": p.Target}, "")
	began := l.now()
	e, err := do()
	e.Fault, e.Kind, e.Step, e.Time, e.Took = p.ID, p.Kind, step, began, l.now()-began
	if err != nil {
		e.Error, e.Proven = err.Error(), false
	}
	l.event(p, history.Info, map[string]any{"fault": p.ID, "step": step, "nodes": e.Nodes, "proven": e.Proven}, e.Error)
	l.record.Evidence(e)
}

func (l *lane) event(p history.PlannedFault, t history.Type, value map[string]any, failed string) {
	b, _ := json.Marshal(value) // of strings, numbers and lists of them
	l.record.Event(history.Op{Process: l.number, Type: t, F: p.Kind, Value: b, Error: failed})
}

// Nodes lists the nodes.
func (l *lane) Nodes() []string { return l.names() }

// Host says whether a node runs. There is no process that could be told of.
func (l *lane) Host(node string) (nemesis.Host, bool) {
	n, err := l.node(node)
	if err != nil || l.machines[node].process == nil {
		return nemesis.Host{}, false
	}
	return nemesis.Host{Node: node, IP: n.IP, Port: l.system.PeerPort()}, true
}

// Peer is where a node answers its peers.
func (l *lane) Peer(node string) netip.AddrPort {
	n, err := l.node(node)
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(n.IP, l.system.PeerPort())
}

// Bridge is none.
func (l *lane) Bridge() string { return "" }

// Tag is none.
func (l *lane) Tag() string { return "sim" }

// Board knows which nodes faults have taken.
func (l *lane) Board() *nemesis.Board { return &l.board }

// leaderWait is how long a fault waits for somebody to lead, in virtual time.
const leaderWait = 3 * time.Second

// Leader asks all nodes who leads, until one says that it does itself. The context's end would come by another clock, and is not heeded.
func (l *lane) Leader(context.Context) (string, error) {
	const between = 50 * time.Millisecond
	for until := l.now() + leaderWait; l.now() < until; {
		if leader, ok := harness.LeaderOf(l.views(l.asker)); ok {
			return leader.Node, nil
		}
		if !l.sleep(between) {
			break
		}
	}
	return "", nemesis.ErrNoLeader
}

// Kill ends a node's process.
func (l *lane) Kill(_ context.Context, node string) error {
	if _, err := l.node(node); err != nil {
		return err
	}
	l.machines[node].kill()
	return nil
}

// Start starts a node that is down.
func (l *lane) Start(_ context.Context, node string) error {
	if _, err := l.node(node); err != nil {
		return err
	}
	if l.machines[node].process != nil {
		return fmt.Errorf("start %s: it runs already", node)
	}
	l.machines[node].start()
	return nil
}
