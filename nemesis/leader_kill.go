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

var leaderKillKind = Kind{
	Name:    "leader-kill",
	Doc:     "Kills the leader, and every new one that is elected, again and again; a majority stays up.",
	Targets: []string{Leader},
	How:     "SIGKILL to whoever says that it leads; each is started again on its data after a while",
	Needs:   "a system that tells who leads",
	Proof:   "each process is seen to end through its pidfd; all run again after the heal",
	Draw: func(r *rand.Rand, _ []string) history.PlannedFault {
		return history.PlannedFault{
			Target: Leader, For: history.Duration(between(r, leaderKillLeast, leaderKillMost)),
			Args: map[string]string{argEvery: between(r, everyLeast, everyMost).String(), argDown: between(r, downLeast, downMost).String()},
		}
	},
	New: newLeaderKill,
}

// Arguments of a leader-kill.
const (
	argEvery = "every" // from one kill to the next, at least: without a leader there is nobody to kill
	argDown  = "down"  // how long each stays down
)

var (
	everyRange = span{100 * time.Millisecond, time.Hour}
	downRange  = span{100 * time.Millisecond, time.Hour}
)

// What is drawn, evenly: a length for two or three elections, an interval in which a new leader still gets something done, and a
// time in which others may have taken its place or not.
const (
	leaderKillLeast, leaderKillMost = 5 * time.Second, 12 * time.Second
	everyLeast, everyMost           = 2 * time.Second, 5 * time.Second
	downLeast, downMost             = 300 * time.Millisecond, 3 * time.Second
)

func newLeaderKill(p history.PlannedFault) (Fault, error) {
	if err := checkPlanned(p, []string{Leader}, []string{argEvery, argDown}); err != nil {
		return nil, err
	}
	every, err := everyRange.parse(p, argEvery)
	if err != nil {
		return nil, err
	}
	down, err := downRange.parse(p, argDown)
	if err != nil {
		return nil, err
	}
	return &leaderKill{planned: p, every: every, down: down}, nil
}

type leaderKill struct {
	planned     history.PlannedFault
	every, down time.Duration
	stop        context.CancelFunc // ends the hunt; nil while there is none
	hunt        sync.WaitGroup     // while it goes on, what follows is its own

	killed []string // in turn
	dead   []fallen
	failed error // the first thing that went wrong in the hunt
}

// fallen is a node that is down, and when it is to be started again.
type fallen struct {
	node string
	due  time.Time
}

// Inject kills the leader, and goes on killing until the heal.
func (k *leaderKill) Inject(ctx context.Context, c Cluster, _ *rand.Rand) (history.Evidence, error) {
	took, why, err := k.strike(ctx, c)
	switch {
	case err != nil:
		return history.Evidence{Nodes: k.killed}, err
	case why != "":
		return Skip(why), nil
	}
	hunting, stop := context.WithCancel(context.WithoutCancel(ctx))
	k.stop = stop
	k.hunt.Go(func() { k.goOn(hunting, c) })
	return history.Evidence{
		Nodes: k.killed[:1:1], Proven: true, Applied: took, Measures: map[string]float64{"ended_ms": milliseconds(took)},
		Summary: fmt.Sprintf("killed leader %s; gone within %.1f ms; each new leader follows it %s later", k.killed[0], milliseconds(took), k.every),
	}, nil
}

// strike kills whoever leads, and says why it kills nobody.
func (k *leaderKill) strike(ctx context.Context, c Cluster) (took time.Duration, why string, err error) {
	leader, err := pickedLeader(ctx, c)
	if err != nil {
		return 0, "", err
	}
	if left := countUp(c) - 1; left < len(c.Nodes())/2+1 {
		return 0, fmt.Sprintf("without %s only %d of %d nodes would be up: no majority", leader, left, len(c.Nodes())), nil
	}
	h, up := c.Host(leader)
	if !up || c.Board().Claim(leader, k.planned.ID, "down") != nil {
		return 0, skipTarget(c, Leader).Summary, nil
	}
	k.killed = append(k.killed, leader)
	k.dead = append(k.dead, fallen{leader, time.Now().Add(k.down)})
	if took, err = killHost(ctx, c, h); errors.Is(err, errEndedBefore) {
		k.killed, k.dead = k.killed[:len(k.killed)-1], k.dead[:len(k.dead)-1]
		c.Board().Release(leader, k.planned.ID)
		return 0, err.Error(), nil
	}
	return took, "", err
}

// countUp counts the nodes that run and that no fault has taken.
func countUp(c Cluster) (n int) {
	for _, node := range c.Nodes() {
		if available(c, node) {
			n++
		}
	}
	return n
}

// goOn kills each new leader and starts those that were down for long enough, until the context ends.
func (k *leaderKill) goOn(ctx context.Context, c Cluster) {
	next := time.Now().Add(k.every)
	for wait(ctx, time.Until(k.soonest(next))) {
		now := time.Now()
		err := k.wake(ctx, c, func(d fallen) bool { return !d.due.After(now) })
		if !now.Before(next) {
			_, _, struck := k.strike(ctx, c)
			if !errors.Is(struck, ErrNoLeader) {
				err = errors.Join(err, struck)
			}
			next = time.Now().Add(k.every)
		}
		if err != nil && ctx.Err() == nil && k.failed == nil {
			k.failed = err
		}
	}
}

// soonest is when there is something to do: the next kill, or a start.
func (k *leaderKill) soonest(kill time.Time) time.Time {
	for _, d := range k.dead {
		if d.due.Before(kill) {
			kill = d.due
		}
	}
	return kill
}

// wake starts those of the dead whose time has come. Those that it could not start stay its own, for another while.
func (k *leaderKill) wake(ctx context.Context, c Cluster, come func(fallen) bool) error {
	var errs []error
	var left []fallen
	for _, d := range k.dead {
		if come(d) {
			_, err := startNode(ctx, c, d.node)
			if err == nil {
				c.Board().Release(d.node, k.planned.ID)
				continue
			}
			errs, d.due = append(errs, err), time.Now().Add(k.down)
		}
		left = append(left, d)
	}
	k.dead = left
	return errors.Join(errs...)
}

// Heal ends the hunt, and starts all that are still down.
func (k *leaderKill) Heal(ctx context.Context, c Cluster) (history.Evidence, error) {
	if k.stop != nil {
		k.stop()
		k.hunt.Wait()
	}
	if len(k.killed) == 0 {
		return Skip("nobody was killed"), nil
	}
	began := time.Now()
	e := history.Evidence{Nodes: slices.Compact(slices.Sorted(slices.Values(k.killed))), Measures: map[string]float64{"kills": float64(len(k.killed))}}
	if err := k.wake(ctx, c, func(fallen) bool { return true }); err != nil {
		return e, err
	}
	e.Proven, e.Applied = true, time.Since(began)
	e.Summary = fmt.Sprintf("the leader was killed %d times: %s; all run", len(k.killed), joined(k.killed))
	if k.failed != nil {
		e.Summary += "; meanwhile: " + k.failed.Error()
	}
	return e, nil
}
