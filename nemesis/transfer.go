package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"rift/harness/history"
)

var transferKind = Kind{
	Name:    "transfer",
	Doc:     "Has the leader hand its leadership over to another node.",
	Targets: transferTargets,
	How:     "the leader is asked to, as an operator would",
	Needs:   "a system whose leader can be asked to hand over",
	Proof:   "another node says that it leads, in a higher term",
	Draw: func(r *rand.Rand, allowed []string) history.PlannedFault {
		return history.PlannedFault{Target: allowed[r.IntN(len(allowed))], For: history.Duration(between(r, transferLeast, transferMost))}
	},
	New:  newTransfer,
	Fits: needsAbility(AbilityTransfer),
	Able: func(c Cluster) error {
		_, err := leadershipOf(c)
		return err
	},
}

// Targets of a transfer.
const (
	Anyone = "any" // the leader hands over to whom it likes
	// One: to a node that is drawn; nodes by name: to one of these
)

var transferTargets = []string{Anyone, One}

// Lengths of transfers, drawn evenly. A transfer is over at once; its length only keeps the next one away.
const (
	transferLeast = 500 * time.Millisecond
	transferMost  = 3 * time.Second
)

// Standing is who leads, and since which term.
type Standing struct {
	Leader string
	Term   uint64
}

// Led is a Cluster of a system whose leader can be asked to hand over. The error says that this system's cannot.
type Led interface {
	Leadership() (Leadership, error)
}

// Leadership is what transfers need of a cluster.
type Leadership interface {
	// Standing asks all nodes who leads, until one says that it does itself; of several, the one in the highest term. The error is then ErrNoLeader.
	Standing(ctx context.Context) (Standing, error)
	// Transfer asks the leader to hand over to a node, or to whom it likes if that is empty. ErrRefused marks the error of one that will not.
	Transfer(ctx context.Context, leader, to string) error
}

func leadershipOf(c Cluster) (Leadership, error) {
	l, ok := c.(Led)
	if !ok {
		return nil, errors.New("the leader of this cluster cannot be asked to hand over")
	}
	return l.Leadership()
}

func newTransfer(p history.PlannedFault) (Fault, error) {
	if err := checkPlanned(p, transferTargets, nil); err != nil {
		return nil, err
	}
	return transfer{p}, nil
}

type transfer struct{ planned history.PlannedFault }

// Inject asks the leader, and waits until another node says that it leads.
func (t transfer) Inject(ctx context.Context, c Cluster, r *rand.Rand) (history.Evidence, error) {
	l, err := leadershipOf(c)
	if err != nil {
		return history.Evidence{}, err
	}
	before, err := standing(ctx, l)
	if err != nil {
		return history.Evidence{}, err
	}
	to, why := t.successor(c, before.Leader, r)
	if why != "" {
		return Skip(why), nil
	}
	began := time.Now()
	asking, cancel := context.WithTimeout(ctx, answerTime)
	err = l.Transfer(asking, before.Leader, to)
	cancel()
	if errors.Is(err, ErrRefused) {
		return Skip(fmt.Sprintf("%s did not hand over: %v", before.Leader, err)), nil
	}
	e := history.Evidence{Nodes: []string{before.Leader}, Applied: time.Since(began)}
	var after Standing
	e.Proven = seen(ctx, func() bool {
		after, err = standing(ctx, l)
		return err == nil && after.Leader != before.Leader && after.Term > before.Term
	})
	if err != nil {
		return e, err
	}
	e.Nodes = []string{after.Leader}
	e.Measures = map[string]float64{"term_before": float64(before.Term), "term_after": float64(after.Term), "led_ms": milliseconds(time.Since(began))}
	e.Summary = fmt.Sprintf("%s led in term %d, and %s in term %d after it was asked to hand over", before.Leader, before.Term, after.Leader, after.Term)
	return e, nil
}

func standing(ctx context.Context, l Leadership) (Standing, error) {
	ctx, cancel := context.WithTimeout(ctx, leaderWait)
	defer cancel()
	s, err := l.Standing(ctx)
	if err != nil {
		return s, fmt.Errorf("ask who leads: %w", err)
	}
	return s, nil
}

// successor is the node that is to lead, or empty if the leader may choose. It says why there is none.
func (t transfer) successor(c Cluster, leader string, r *rand.Rand) (node, why string) {
	if t.planned.Target == Anyone {
		return "", ""
	}
	named := namedNodes(t.planned.Target)
	fit := slices.DeleteFunc(slices.Clone(c.Nodes()), func(n string) bool {
		return n == leader || !available(c, n) || named != nil && !slices.Contains(named, n)
	})
	if len(fit) == 0 {
		return "", "no other node for target " + t.planned.Target + " could lead: each is down or taken"
	}
	return fit[r.IntN(len(fit))], ""
}

// Heal has nothing to do: it makes no difference who leads.
func (t transfer) Heal(context.Context, Cluster) (history.Evidence, error) {
	return Skip("whoever leads may go on"), nil
}
