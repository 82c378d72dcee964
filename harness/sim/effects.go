package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
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

func (k *kill) inject(l *lane, p history.PlannedFault, r *rand.Rand) (history.Evidence, error) {
	var err error
	k.planned = p
	if k.down, err = l.take(p, "down", r); err != nil || len(k.down) == 0 {
		return nobody(p), err
	}
	lost := 0
	for _, node := range k.down {
		m := l.machines[node]
		m.kill()
		if k.power {
			lost += m.disk.powerFail(r)
		}
	}
	e := history.Evidence{Nodes: k.down, Proven: k.allDown(l), Summary: "killed " + strings.Join(k.down, ", ")}
	if k.power {
		e.Measures = map[string]float64{"lost_bytes": float64(lost)}
		e.Summary = fmt.Sprintf("power failed on %s; %d bytes that were not synced are lost", strings.Join(k.down, ", "), lost)
	}
	return e, nil
}

func (k *kill) allDown(l *lane) bool {
	return !slices.ContainsFunc(k.down, func(node string) bool { return l.machines[node].process != nil })
}

func (k *kill) heal(l *lane) history.Evidence {
	if len(k.down) == 0 {
		return nemesis.Skip("nothing was killed")
	}
	e := history.Evidence{Nodes: k.down, Proven: true, Summary: "started " + strings.Join(k.down, ", ")}
	for _, node := range k.down {
		if l.machines[node].process == nil {
			l.machines[node].start()
		}
		e.Proven = e.Proven && l.machines[node].process != nil
		l.board.Release(node, k.planned.ID)
	}
	return e
}

// pause stops processes for a while.
type pause struct {
	planned history.PlannedFault
	paused  []string
}

func (f *pause) inject(l *lane, p history.PlannedFault, r *rand.Rand) (history.Evidence, error) {
	var err error
	f.planned = p
	if f.paused, err = l.take(p, "paused", r); err != nil || len(f.paused) == 0 {
		return nobody(p), err
	}
	for _, node := range f.paused {
		l.machines[node].pause()
	}
	return history.Evidence{Nodes: f.paused, Proven: true, Summary: "paused " + strings.Join(f.paused, ", ")}, nil
}

func (f *pause) heal(l *lane) history.Evidence {
	if len(f.paused) == 0 {
		return nemesis.Skip("nothing was paused")
	}
	for _, node := range f.paused {
		l.machines[node].proceed()
		l.board.Release(node, f.planned.ID)
	}
	return history.Evidence{Nodes: f.paused, Proven: true, Summary: "resumed " + strings.Join(f.paused, ", ")}
}

// weather is trouble on links.
type weather struct {
	make  func(args map[string]string) trouble
	links []*link
	by    trouble
	e     history.Evidence
}

func (w *weather) inject(l *lane, p history.PlannedFault, r *rand.Rand) (history.Evidence, error) {
	nodes, links, what, err := nemesis.AimLinks(context.Background(), l, p, r)
	if err != nil || len(links) == 0 {
		return nemesis.Skip("no link to disturb"), err
	}
	w.by = w.make(p.Args)
	w.e = history.Evidence{Nodes: nodes, Links: links, Proven: true, Summary: p.Kind + " " + p.Target + " " + what}
	for _, pair := range links {
		from, err := l.node(pair[0])
		if err != nil {
			return w.e, err
		}
		to, err := l.node(pair[1])
		if err != nil {
			return w.e, err
		}
		on := l.cluster.world.net.link(from.IP.String(), to.IP.String())
		on.troubles = append(on.troubles, w.by)
		w.links = append(w.links, on)
	}
	return w.e, nil
}

func (w *weather) heal(*lane) history.Evidence {
	if w.links == nil {
		return nemesis.Skip("nothing was disturbed")
	}
	for _, on := range w.links {
		on.troubles = slices.DeleteFunc(on.troubles, func(t trouble) bool { return t == w.by })
	}
	w.e.Summary = "the links are as they were"
	return w.e
}

// disturbed is trouble as data; the zero value lets everything pass.
type disturbed struct {
	loss   float64       // share of segments that are lost
	delay  time.Duration // of each segment
	jitter time.Duration // to either side of the delay
	hold   time.Duration // of a share of the segments
	share  float64       // of those
	rate   float64       // bytes a second; 0: no limit
	free   time.Duration // when the link is free again, with a rate
}

func (d *disturbed) meet(r *rand.Rand, now time.Duration, bytes int) (later time.Duration, lost bool) {
	if d.loss >= 1 || d.loss > 0 && r.Float64() < d.loss {
		return 0, true
	}
	later = d.delay
	if d.jitter > 0 {
		later += time.Duration(r.Int64N(int64(2*d.jitter)+1)) - d.jitter
	}
	if d.share > 0 && r.Float64() < d.share {
		later += d.hold
	}
	if d.rate > 0 {
		const headers = 40 // bytes of IP and TCP
		d.free = max(d.free, now) + time.Duration(float64(bytes+headers)/d.rate*float64(time.Second))
		later += d.free - now
	}
	return later, false
}

func cutOff(map[string]string) trouble { return &disturbed{loss: 1} }

func lossy(args map[string]string) trouble { return &disturbed{loss: number(args["share"])} }

func delayed(args map[string]string) trouble {
	return &disturbed{delay: span(args["delay"]), jitter: span(args["jitter"])}
}

func reordered(args map[string]string) trouble {
	return &disturbed{share: number(args["share"]), hold: span(args["hold"])}
}

func limited(args map[string]string) trouble { return &disturbed{rate: number(args["mbit"]) * 1e6 / 8} }

// number and span read arguments that the fault's kind has checked.
func number(s string) float64 {
	v, _ := strconv.ParseFloat(s, 64)
	return v
}

func span(s string) time.Duration {
	d, _ := time.ParseDuration(s)
	return d
}
