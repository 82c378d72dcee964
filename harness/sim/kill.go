package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"rift/harness/history"
	"rift/nemesis"
)

// take picks the nodes that a fault is aimed at and takes those on the board that no other fault has.
func (l *lane) take(p history.PlannedFault, state string, r *rand.Rand) ([]string, error) {
	picked, err := nemesis.Pick(context.Background(), l, p.Target, r)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(picked, func(node string) bool { return l.board.Claim(node, p.ID, state) != nil }), nil
}

// nobody is the evidence of a fault whose target has no node that could be hit.
func nobody(p history.PlannedFault) history.Evidence {
	return nemesis.Skip("no node for target " + p.Target + ": each is down or taken")
}

// kill ends processes, and with power also takes from their disks what was not synced.
type kill struct {
	power   bool
	planned history.PlannedFault
	down    []string
}

// Half of all kills come in the middle of one of the next so many calls of the process to its disk, if it makes them in time; the others come while it
// waits.
const (
	mostCalls = 12
	callTime  = 50 * time.Millisecond
)

func (k *kill) inject(l *lane, p history.PlannedFault, r *rand.Rand) (history.Evidence, error) {
	var err error
	k.planned = p
	if k.down, err = l.take(p, "down", r); err != nil || len(k.down) == 0 {
		return nobody(p), err
	}
	inCall := l.killAll(k.down, r)
	e := history.Evidence{Nodes: k.down, Proven: l.allDown(k.down), Summary: "killed " + strings.Join(k.down, ", ")}
	if len(inCall) > 0 {
		e.Summary += "; in the middle of a call to its disk: " + strings.Join(inCall, ", ")
	}
	if !k.power {
		return e, nil
	}
	lost := 0
	for _, node := range k.down {
		lost += l.machines[node].disk.powerFail(loss(p.Args["loss"]), r)
	}
	e.Measures = map[string]float64{"lost_bytes": float64(lost)}
	e.Summary = fmt.Sprintf("power failed: %s; %d bytes that were not synced are lost", e.Summary, lost)
	return e, nil
}

// killAll kills nodes at the same time, and says which of them were in the middle of a call to their disks.
func (l *lane) killAll(nodes []string, r *rand.Rand) (inCall []string) {
	if r.IntN(2) == 0 {
		for _, node := range nodes {
			l.machines[node].killInCall(1+r.IntN(mostCalls), r)
		}
		for until := l.now() + callTime; !l.allDown(nodes) && l.now() < until && l.sleep(time.Millisecond); {
		}
	}
	for _, node := range nodes {
		if l.machines[node].process == nil {
			inCall = append(inCall, node)
		}
		l.machines[node].kill()
	}
	return inCall
}

func (l *lane) allDown(nodes []string) bool {
	return !slices.ContainsFunc(nodes, func(node string) bool { return l.machines[node].process != nil })
}

func (k *kill) heal(l *lane) (history.Evidence, error) {
	if len(k.down) == 0 {
		return nemesis.Skip("nothing was killed"), nil
	}
	return l.raise(k.down, k.planned), nil
}

// raise starts nodes that a fault has taken, and gives them back.
func (l *lane) raise(nodes []string, p history.PlannedFault) history.Evidence {
	e := history.Evidence{Nodes: nodes, Proven: true, Summary: "started " + strings.Join(nodes, ", ")}
	for _, node := range nodes {
		if l.machines[node].process == nil {
			l.machines[node].start()
		}
		e.Proven = e.Proven && l.machines[node].process != nil
		l.board.Release(node, p.ID)
	}
	return e
}

// crashLoop kills nodes again and again.
type crashLoop struct {
	kill
	crashes int
}

func (f *crashLoop) inject(l *lane, p history.PlannedFault, r *rand.Rand) (history.Evidence, error) {
	e, err := f.kill.inject(l, p, r)
	f.crashes = len(f.down)
	return e, err
}

func (f *crashLoop) goOn(l *lane, until time.Duration, r *rand.Rand) {
	const pause = 10 * time.Millisecond // between a crash and the start
	up := span(f.planned.Args["up"])
	for len(f.down) > 0 && l.now()+pause+up < until {
		if !l.sleep(pause) {
			return
		}
		for _, node := range f.down {
			l.machines[node].start()
		}
		if !l.sleep(up) {
			return
		}
		l.killAll(f.down, r)
		f.crashes += len(f.down)
	}
}

func (f *crashLoop) heal(l *lane) (history.Evidence, error) {
	e, err := f.kill.heal(l)
	e.Measures = map[string]float64{"crashes": float64(f.crashes)}
	e.Summary += fmt.Sprintf(" after %d crashes", f.crashes)
	return e, err
}
