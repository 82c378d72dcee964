package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"rift/harness"
	"rift/harness/history"
	"rift/nemesis"
)

// leaderKill kills whoever leads, again and again, as long as a majority stays up.
type leaderKill struct {
	planned history.PlannedFault
	killed  []string
	down    map[string]time.Duration // nodes that are down, and when they are to be started again
}

func (k *leaderKill) inject(l *lane, p history.PlannedFault, r *rand.Rand) (history.Evidence, error) {
	k.planned, k.down = p, make(map[string]time.Duration)
	why, err := k.strike(l, r)
	if err != nil || why != "" {
		return nemesis.Skip(why), err
	}
	return history.Evidence{Nodes: k.killed[:1:1], Proven: l.allDown(k.killed), Summary: "killed leader " + k.killed[0]}, nil
}

// strike kills the leader, or says why it does not.
func (k *leaderKill) strike(l *lane, r *rand.Rand) (why string, err error) {
	leader, err := l.Leader(context.Background())
	if err != nil {
		return "", err
	}
	up := 0
	for _, node := range l.names() {
		if l.machines[node].process != nil && l.board.Free(node) {
			up++
		}
	}
	if up-1 < len(l.nodes)/2+1 {
		return fmt.Sprintf("without %s no majority would be up", leader), nil
	}
	if l.board.Claim(leader, k.planned.ID, "down") != nil {
		return leader + " is taken", nil
	}
	l.killAll([]string{leader}, r)
	k.killed = append(k.killed, leader)
	k.down[leader] = l.now() + span(k.planned.Args["down"])
	return "", nil
}

func (k *leaderKill) goOn(l *lane, until time.Duration, r *rand.Rand) {
	const look = 50 * time.Millisecond
	every := span(k.planned.Args["every"])
	for next := l.now() + every; l.now() < until && l.sleep(look); {
		for _, node := range l.names() {
			if due, down := k.down[node]; down && l.now() >= due {
				l.raise([]string{node}, k.planned)
				delete(k.down, node)
			}
		}
		if l.now() >= next {
			_, _ = k.strike(l, r) // who cannot be killed now is spared
			next = l.now() + every
		}
	}
}

func (k *leaderKill) heal(l *lane) (history.Evidence, error) {
	if len(k.killed) == 0 {
		return nemesis.Skip("nobody was killed"), nil
	}
	var down []string
	for _, node := range l.names() {
		if _, is := k.down[node]; is {
			down = append(down, node)
		}
	}
	e := l.raise(down, k.planned)
	e.Nodes = slices.Compact(slices.Sorted(slices.Values(k.killed)))
	e.Measures = map[string]float64{"kills": float64(len(k.killed))}
	e.Summary = fmt.Sprintf("the leader was killed %d times: %s; all run", len(k.killed), strings.Join(k.killed, ", "))
	return e, nil
}

// transfer has the leader hand over.
type transfer struct{}

// transferrer is a system whose leader can be asked to hand over, to a node or, if to is empty, to whom it likes.
type transferrer interface {
	Transfer(ctx context.Context, leader harness.Node, to string) error
}

func (transfer) inject(l *lane, p history.PlannedFault, r *rand.Rand) (history.Evidence, error) {
	system, ok := l.asker.(transferrer)
	if !ok {
		return history.Evidence{}, errors.New("the leader of this system cannot be asked to hand over")
	}
	leader, err := l.Leader(context.Background())
	if err != nil {
		return history.Evidence{}, err
	}
	n, err := l.node(leader)
	if err != nil {
		return history.Evidence{}, err
	}
	to := ""
	if p.Target != nemesis.Anyone {
		picked := slices.DeleteFunc(l.available(p.Target), func(node string) bool { return node == leader })
		if len(picked) == 0 {
			return nobody(p), nil
		}
		to = picked[r.IntN(len(picked))]
	}
	if err := system.Transfer(context.Background(), n, to); err != nil {
		return nemesis.Skip(fmt.Sprintf("%s did not hand over: %v", leader, err)), nil
	}
	next, err := l.Leader(context.Background())
	if err != nil {
		return history.Evidence{}, err
	}
	return history.Evidence{Nodes: []string{next}, Proven: next != leader, Summary: fmt.Sprintf("%s led, and %s after it was asked to hand over", leader, next)}, nil
}

// available are the nodes that a target names, or all, but for those that are down or taken.
func (l *lane) available(target string) []string {
	named := strings.Split(target, ",")
	return slices.DeleteFunc(l.names(), func(node string) bool {
		return target != nemesis.One && !slices.Contains(named, node) || l.machines[node].process == nil || !l.board.Free(node)
	})
}

func (transfer) heal(*lane) (history.Evidence, error) {
	return nemesis.Skip("whoever leads may go on"), nil
}
