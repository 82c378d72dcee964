package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"rift/harness/history"
)

// Arguments of a rolling restart; both may be left out.
const (
	argSignal = "signal" // term (the usual) or kill
	argRounds = "rounds" // how often the restart goes round; 1
)

var restartSignals = map[string]unix.Signal{"": unix.SIGTERM, "term": unix.SIGTERM, "kill": unix.SIGKILL}

var restartKind = Kind{
	Name:    "restart",
	Doc:     "Restarts nodes one after the other, as an upgrade does: asks each to shut down, starts it, and waits until it answers its peers.",
	Targets: []string{All, Minority, Leader, Majority, One, Random},
	How:     "SIGTERM, or SIGKILL, and a start on the data left; the order is drawn, and the targets are picked anew for each round",
	Needs:   "",
	Proof:   "each process is seen to end through its pidfd, and a new one to answer on the node's peer port",
	Draw: func(r *rand.Rand, allowed []string) history.PlannedFault {
		p := drawAimed(r, allowed)
		p.Args = map[string]string{argSignal: []string{"term", "term", "kill"}[r.IntN(3)], argRounds: fmt.Sprint(1 + r.IntN(3))}
		return p
	},
	New:  newRestart,
	Able: ableToKnock,
}

// maxRounds bounds the rounds. A fault's length bounds them too.
const maxRounds = 100

func newRestart(p history.PlannedFault) (Fault, error) {
	if err := checkPlanned(p, NodeTargets, []string{argSignal, argRounds}); err != nil {
		return nil, err
	}
	signal, ok := restartSignals[p.Args[argSignal]]
	if !ok {
		return nil, UnknownError{Field: "argument signal of restart", Given: p.Args[argSignal], Allowed: []string{"term", "kill"}}
	}
	rounds := 1
	if given, ok := p.Args[argRounds]; ok {
		var err error
		if rounds, err = strconv.Atoi(given); err != nil || rounds < 1 || rounds > maxRounds {
			return nil, fmt.Errorf("argument %s of restart: %q given, a whole number from 1 to %d allowed", argRounds, given, maxRounds)
		}
	}
	return &restart{planned: p, signal: signal, rounds: rounds}, nil
}

const (
	// shutDownTime bounds how long a node may take to shut down; then it is killed.
	shutDownTime = 5 * time.Second
	// upTime bounds how long it may take to answer its peers again. All of it must fit into healTime.
	upTime = 15 * time.Second
)

type restart struct {
	planned history.PlannedFault
	signal  unix.Signal
	rounds  int

	rolling *background
	inHand  string // the node that it has taken and not given back
	done    []restarted
}

// restarted is a node that was restarted.
type restarted struct {
	node   string
	down   time.Duration // from its end until it answered its peers
	forced bool          // it did not shut down in time, and was killed
}

// String is for summaries.
func (r restarted) String() string {
	text := fmt.Sprintf("%s down for %.0f ms", r.node, milliseconds(r.down))
	if r.forced {
		text += fmt.Sprintf(" (it did not shut down within %s and was killed)", shutDownTime)
	}
	return text
}

// Inject restarts the first node, and leaves the others to the background: a rolling restart may take as long as the fault.
func (f *restart) Inject(ctx context.Context, c Cluster, r *rand.Rand) (history.Evidence, error) {
	var order []string
	for len(f.done) == 0 {
		if len(order) == 0 {
			var err error
			if order, err = f.order(ctx, c, r); err != nil {
				return history.Evidence{}, err
			}
			if len(order) == 0 {
				return skipTarget(c, f.planned.Target), nil
			}
		}
		next := order[0]
		order = order[1:]
		if err := f.restart(ctx, c, next); err != nil {
			return history.Evidence{Nodes: []string{next}}, err
		}
	}
	first := f.done[0]
	draws := rand.New(rand.NewPCG(r.Uint64(), r.Uint64()))
	f.rolling = inBackground(ctx, func(ctx context.Context, stop <-chan struct{}) error {
		return f.roll(ctx, c, order, draws, stop)
	})
	return history.Evidence{
		Nodes: []string{first.node}, Proven: true,
		Measures: map[string]float64{first.node + "_down_ms": milliseconds(first.down)},
		Summary: fmt.Sprintf("restarted %s with %s: %s; the next is to follow", named(f.planned.Target, []string{first.node}),
			unix.SignalName(f.signal), first),
	}, nil
}

// order picks the nodes of one round, and draws their order.
func (f *restart) order(ctx context.Context, c Cluster, r *rand.Rand) ([]string, error) {
	nodes, err := Pick(ctx, c, f.planned.Target, r)
	r.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	return nodes, err
}

// roll restarts the rest of a round, and the nodes of the rounds that follow.
func (f *restart) roll(ctx context.Context, c Cluster, nodes []string, r *rand.Rand, stop <-chan struct{}) error {
	for round := 1; ; round++ {
		for _, node := range nodes {
			if stopped(stop) {
				return nil
			}
			if err := f.restart(ctx, c, node); err != nil {
				return err
			}
		}
		if round == f.rounds || stopped(stop) {
			return nil
		}
		var err error
		if nodes, err = f.order(ctx, c, r); err != nil && !errors.Is(err, ErrNoLeader) {
			return err
		}
	}
}

// restart restarts one node and waits until it answers its peers. It leaves out one that another fault has, or that is down.
func (f *restart) restart(ctx context.Context, c Cluster, node string) error {
	if c.Board().Claim(node, f.planned.ID, "restarting") != nil {
		return nil
	}
	h, up := c.Host(node)
	if !up {
		c.Board().Release(node, f.planned.ID)
		return nil
	}
	f.inHand = node
	forced, err := shutDown(ctx, c, h, f.signal)
	if err != nil {
		return err
	}
	ended := time.Now()
	if _, err := startNode(ctx, c, node); err != nil {
		return err
	}
	if err := answersPeers(ctx, c, node); err != nil {
		return err
	}
	f.done = append(f.done, restarted{node, time.Since(ended), forced})
	c.Board().Release(node, f.planned.ID)
	f.inHand = ""
	return nil
}

// shutDown ends a node with a signal, and with SIGKILL if that does not end it in time, which it says.
func shutDown(ctx context.Context, c Cluster, h Host, signal unix.Signal) (forced bool, err error) {
	if signal != unix.SIGKILL {
		p, err := openProcess(h.PID)
		if err != nil {
			return false, fmt.Errorf("shut %s down: %w", h.Node, err)
		}
		defer p.close()
		if err := p.signal(signal); err != nil {
			return false, fmt.Errorf("shut %s down: %w", h.Node, err)
		}
		if p.ended(ctx, shutDownTime) {
			return false, c.Kill(ctx, h.Node) // what it has left behind
		}
	}
	_, err = killHost(ctx, c, h)
	return signal != unix.SIGKILL, err
}

// answersPeers waits until a node answers on its peer port. It asks from inside the node's own network namespace, where no partition is.
func answersPeers(ctx context.Context, c Cluster, node string) error {
	const between = 10 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, upTime)
	defer cancel()
	for {
		h, up := c.Host(node)
		if !up {
			return fmt.Errorf("restart %s: it ended soon after its start; its log says why", node)
		}
		if listens(ctx, h) {
			return nil
		}
		if !rest(ctx.Done(), between) {
			return fmt.Errorf("restart %s: it does not answer its peers on port %d after %s", node, h.Port, upTime)
		}
	}
}

// listens says whether a node's peer port takes a connection. A refusal is no answer here.
func listens(ctx context.Context, h Host) bool {
	k, err := knock(h, 1)
	k.leave()
	return err == nil && ctx.Err() == nil
}

// Heal ends the rolling restart; a node that is just being restarted is first brought to its end.
func (f *restart) Heal(ctx context.Context, c Cluster) (history.Evidence, error) {
	var trouble error
	if f.rolling != nil {
		if trouble = f.rolling.end(ctx); errors.Is(trouble, errStillGoing) {
			return history.Evidence{}, trouble
		}
		f.rolling = nil
	}
	start := time.Now()
	e := history.Evidence{Measures: make(map[string]float64)}
	if f.inHand != "" {
		if _, err := startNode(ctx, c, f.inHand); err != nil {
			e.Nodes = []string{f.inHand}
			return e, errors.Join(trouble, err)
		}
		c.Board().Release(f.inHand, f.planned.ID)
		e.Nodes = append(e.Nodes, f.inHand)
		f.inHand = ""
	}
	if len(f.done) == 0 && len(e.Nodes) == 0 {
		return Skip("nothing was restarted"), nil
	}
	e.Applied, e.Proven = time.Since(start), true
	f.tell(&e)
	if trouble != nil {
		e.Summary += fmt.Sprintf("; it ended early: %v", trouble)
	}
	return e, nil
}

// tell puts together what became of the nodes.
func (f *restart) tell(e *history.Evidence) {
	var longest restarted
	for _, r := range f.done {
		if !slices.Contains(e.Nodes, r.node) {
			e.Nodes = append(e.Nodes, r.node)
		}
		name := r.node + "_down_ms"
		e.Measures[name] = max(e.Measures[name], milliseconds(r.down))
		if r.down >= longest.down {
			longest = r
		}
	}
	e.Measures["restarts"] = float64(len(f.done))
	e.Summary = fmt.Sprintf("%d restarts, of %s, one after the other; all run again; the longest: %s", len(f.done), joined(e.Nodes), longest)
	slices.Sort(e.Nodes)
}
