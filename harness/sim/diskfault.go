package sim

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"rift/harness/history"
	"rift/nemesis"
)

// diskFault has disks fail calls, fill up, or slow down.
type diskFault struct {
	nodes []string
	met   int // calls that failed
	kind  string
}

func (f *diskFault) inject(l *lane, p history.PlannedFault, r *rand.Rand) (history.Evidence, error) {
	var err error
	f.kind = p.Kind
	if f.nodes, err = nemesis.Pick(l.cluster.world.ctx, l, p.Target, r); err != nil || len(f.nodes) == 0 {
		return nobody(p), err
	}
	for _, node := range f.nodes {
		f.set(l.machines[node].disk, p, r)
	}
	return history.Evidence{Nodes: f.nodes, Proven: true, Summary: fmt.Sprintf("%s on %s", p.Kind, strings.Join(f.nodes, ", "))}, nil
}

// set puts the fault on one disk.
func (f *diskFault) set(d *disk, p history.PlannedFault, r *rand.Rand) {
	fails := func(c diskCall, share float64, nth int, as errno) {
		calls := 0
		d.fails[c] = func() errno {
			if calls++; calls == nth || nth == 0 && r.Float64() < share {
				f.met++
				return as
			}
			return success
		}
	}
	share := 1.0
	if s, ok := p.Args["share"]; ok {
		share = number(s)
	}
	nth, _ := strconv.Atoi(p.Args["nth"])
	switch {
	case p.Kind == "disk-full":
		fails(callWrite, share, 0, errNoSpace)
	case p.Kind == "disk-slow":
		d.slow = max(span(p.Args["delay"]), 10*time.Millisecond)
	case p.Args["op"] == "write":
		fails(callWrite, share, nth, errIO)
	default:
		fails(callSync, share, nth, errIO)
	}
}

func (f *diskFault) heal(l *lane) history.Evidence {
	if len(f.nodes) == 0 {
		return nemesis.Skip("no disk had a fault")
	}
	e := history.Evidence{Nodes: f.nodes, Proven: true, Measures: map[string]float64{"failed_calls": float64(f.met)}}
	var again []string
	for _, node := range f.nodes {
		m := l.machines[node]
		m.disk.slow = 0
		clear(m.disk.fails)
		if m.process == nil && l.board.Free(node) { // it gave up, as it should
			m.start()
			again = append(again, node)
		}
	}
	e.Summary = fmt.Sprintf("%d calls had failed", f.met)
	if len(again) > 0 {
		e.Summary += "; started again, since they had ended: " + strings.Join(again, ", ")
	}
	return e
}
