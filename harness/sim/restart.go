package sim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"strconv"
	"strings"
	"time"

	"rift/harness"
	"rift/harness/history"
	"rift/harness/sim/guest"
	"rift/nemesis"
)

// restart restarts nodes one after the other, each for as long as the fault's time lasts.
type restart struct {
	planned history.PlannedFault
	done    []string
}

// terminate asks a process to shut down, as SIGTERM does.
var terminate = guest.AppendFrame(nil, guest.FrameStop, 0, nil)

// Times of restarts: how long a node may take to shut down before it is killed, and how long to serve again.
const (
	shutDownTime = 5 * time.Second
	upTime       = 15 * time.Second
)

func (f *restart) inject(l *lane, p history.PlannedFault, r *rand.Rand) (history.Evidence, error) {
	f.planned = p
	picked, err := nemesis.Pick(context.Background(), l, p.Target, r)
	if err != nil {
		return history.Evidence{}, err
	}
	for _, i := range r.Perm(len(picked)) {
		if f.restart(l, picked[i]) {
			return history.Evidence{Nodes: f.done[:1:1], Proven: true, Summary: "restarted " + picked[i]}, nil
		}
	}
	return nobody(p), nil
}

// restart restarts one node, and waits until it serves; false if another fault has it.
func (f *restart) restart(l *lane, node string) bool {
	m := l.machines[node]
	if m.process == nil || l.board.Claim(node, f.planned.ID, "restarting") != nil {
		return false
	}
	if f.planned.Args["signal"] != "kill" {
		m.process.deliver(terminate)
		for until := l.now() + shutDownTime; m.process != nil && l.now() < until && l.sleep(10*time.Millisecond); {
		}
	}
	m.kill()
	m.start()
	n, _ := l.node(node) // it is one
	for until := l.now() + upTime; l.now() < until && l.sleep(50*time.Millisecond); {
		if v, err := l.asker.View(context.Background(), n); err == nil && v.Leader != "" {
			break
		}
	}
	l.board.Release(node, f.planned.ID)
	f.done = append(f.done, node)
	return true
}

func (f *restart) goOn(l *lane, until time.Duration, r *rand.Rand) {
	rounds, _ := strconv.Atoi(cmp.Or(f.planned.Args["rounds"], "1")) // it was checked
	for round := range rounds {
		picked, err := nemesis.Pick(context.Background(), l, f.planned.Target, r)
		if err != nil {
			continue
		}
		for _, i := range r.Perm(len(picked)) {
			first := round == 0 && len(f.done) == 1 && picked[i] == f.done[0]
			if l.now() < until && !first {
				f.restart(l, picked[i])
			}
		}
	}
}

func (f *restart) heal(*lane) (history.Evidence, error) {
	if len(f.done) == 0 {
		return nemesis.Skip("nothing was restarted"), nil
	}
	return history.Evidence{
		Nodes: f.done, Proven: true, Measures: map[string]float64{"restarts": float64(len(f.done))},
		Summary: fmt.Sprintf("%d restarts: %s", len(f.done), strings.Join(f.done, ", ")),
	}, nil
}

// killSnapshot kills a node in the middle of writing a snapshot. It heals as a kill does.
type killSnapshot struct{ kill }

// How long a node may take to begin a snapshot that it was asked for, and with how many calls to its disk even a small one is not done.
const (
	snapshotTime  = 3 * time.Second
	snapshotCalls = 3
)

func (k *killSnapshot) inject(l *lane, p history.PlannedFault, r *rand.Rand) (history.Evidence, error) {
	system, ok := l.asker.(harness.Snapshotter)
	if !ok {
		return history.Evidence{}, errors.New("the system does not say how a node is asked for a snapshot")
	}
	k.planned = p
	taken, err := l.take(p, "down", r)
	if err != nil || len(taken) == 0 {
		return nobody(p), err
	}
	n, _ := l.node(taken[0]) // it is one
	m, calls, caught := l.machines[n.Name], r.IntN(snapshotCalls), ""
	m.disk.appears = func(folder string) {
		if matches, _ := path.Match(path.Join(n.Data, system.Unfinished()), folder); matches {
			caught = folder
			m.killInCall(calls, r)
		}
	}
	last := errors.New("it says that it has, and no file was seen")
	for until := l.now() + snapshotTime; m.process != nil && caught == "" && l.now() < until; {
		if err := system.Snapshot(context.Background(), n); err != nil {
			last = err
		}
		if !l.sleep(20 * time.Millisecond) {
			break
		}
	}
	m.disk.appears = nil
	if caught == "" && m.process != nil {
		l.board.Release(n.Name, p.ID)
		return nemesis.Skip(fmt.Sprintf("%s wrote no snapshot: %v", n.Name, last)), nil
	}
	m.kill()
	k.down = taken[:1]
	unfinished, _, _ := m.disk.find(caught)
	return history.Evidence{Nodes: k.down, Proven: unfinished != nil, Summary: fmt.Sprintf("killed %s while it wrote %s", n.Name, path.Base(caught))}, nil
}
