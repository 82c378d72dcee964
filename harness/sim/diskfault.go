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
	calls int // that the fault concerns
	met   int // of these, those that failed or took longer
}

func (f *diskFault) inject(l *lane, p history.PlannedFault, r *rand.Rand) (history.Evidence, error) {
	var err error
	if f.nodes, err = nemesis.Pick(l.cluster.world.ctx, l, p.Target, r); err != nil || len(f.nodes) == 0 {
		return nobody(p), err
	}
	for _, node := range f.nodes {
		f.set(l.machines[node].disk, p, r)
	}
	e := history.Evidence{Nodes: f.nodes, Proven: l.see(p, func() bool { return f.met > 0 })}
	e.Summary = fmt.Sprintf("%s on %s; %d of %d calls have met it", p.Kind, strings.Join(f.nodes, ", "), f.met, f.calls)
	return e, nil
}

// set puts the fault on one disk.
func (f *diskFault) set(d *disk, p history.PlannedFault, r *rand.Rand) {
	fails := func(c diskCall, share float64, nth int, as errno) {
		calls := 0
		d.fails[c] = func() errno {
			f.calls++
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
		slower := span(p.Args["delay"])
		if p.Args["mode"] == "stall" {
			slower = time.Duration(p.For)
		}
		d.slow = func() time.Duration {
			f.calls++
			f.met++
			return slower
		}
	case p.Args["op"] == "read":
		fails(callRead, share, nth, errIO)
	case p.Args["op"] == "write":
		fails(callWrite, share, nth, errIO)
	default:
		fails(callSync, share, nth, errIO)
	}
}

func (f *diskFault) heal(l *lane) (history.Evidence, error) {
	if len(f.nodes) == 0 {
		return nemesis.Skip("no disk had a fault"), nil
	}
	e := history.Evidence{Nodes: f.nodes, Proven: true, Measures: map[string]float64{"calls": float64(f.calls), "met": float64(f.met)}}
	var again []string
	for _, node := range f.nodes {
		m := l.machines[node]
		m.disk.slow = nil
		if m.process != nil {
			m.process.wake() // one whose fsync was held goes on
		}
		clear(m.disk.fails)
		if m.process == nil && l.board.Free(node) { // it gave up, as it should
			m.start()
			again = append(again, node)
		}
	}
	e.Summary = fmt.Sprintf("%d of %d calls had met the fault", f.met, f.calls)
	if len(again) > 0 {
		e.Summary += "; started again, since they had ended: " + strings.Join(again, ", ")
	}
	return e, nil
}
