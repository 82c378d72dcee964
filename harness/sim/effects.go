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

func (f *pause) heal(l *lane) (history.Evidence, error) {
	if len(f.paused) == 0 {
		return nemesis.Skip("nothing was paused"), nil
	}
	for _, node := range f.paused {
		l.machines[node].proceed()
		l.board.Release(node, f.planned.ID)
	}
	return history.Evidence{Nodes: f.paused, Proven: true, Summary: "resumed " + strings.Join(f.paused, ", ")}, nil
}

// weather is trouble on links.
type weather struct {
	make  func(args map[string]string) disturbed
	links []*link
	by    []*disturbed // of each link its own
	e     history.Evidence
}

func (w *weather) inject(l *lane, p history.PlannedFault, r *rand.Rand) (history.Evidence, error) {
	nodes, links, what, err := nemesis.AimLinks(context.Background(), l, p, r)
	if err != nil || len(links) == 0 {
		return nemesis.Skip("no link to disturb"), err
	}
	w.e = history.Evidence{Nodes: nodes, Links: links, Summary: p.Kind + " " + p.Target + " " + what}
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
		by := w.make(p.Args)
		on.troubles = append(on.troubles, &by)
		w.by = append(w.by, &by)
		w.links = append(w.links, on)
	}
	w.e.Proven = l.see(p, func() bool { _, bitten := w.counts(); return bitten > 0 })
	return w.e, nil
}

func (w *weather) heal(*lane) (history.Evidence, error) {
	if w.links == nil {
		return nemesis.Skip("nothing was disturbed"), nil
	}
	for i, on := range w.links {
		on.troubles = slices.DeleteFunc(on.troubles, func(t trouble) bool { return t == w.by[i] })
	}
	met, bitten := w.counts()
	w.e.Proven, w.e.Measures = true, map[string]float64{"segments": float64(met), "disturbed": float64(bitten)}
	w.e.Summary = fmt.Sprintf("the links are as they were; %d of %d segments were disturbed", bitten, met)
	return w.e, nil
}

// counts are how many segments came by, and how many of them fared otherwise for it.
func (w *weather) counts() (met, bitten int) {
	for _, by := range w.by {
		met, bitten = met+by.met, bitten+by.bitten
	}
	return met, bitten
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

	spoil float64 // share of segments in which a bit is flipped

	met, bitten int // segments that came by, and those of them that fared otherwise for it
}

func (d *disturbed) meet(r *rand.Rand, now time.Duration, payload []byte) (later time.Duration, lost bool) {
	d.met++
	later, lost = d.disturb(r, now, len(payload))
	spoilt := !lost && d.spoil > 0 && len(payload) > 0 && r.Float64() < d.spoil
	if spoilt {
		payload[r.IntN(len(payload))] ^= 1 << r.IntN(8)
	}
	if lost || spoilt || later != 0 {
		d.bitten++
	}
	return later, lost
}

func (d *disturbed) disturb(r *rand.Rand, now time.Duration, bytes int) (later time.Duration, lost bool) {
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

func cutOff(map[string]string) disturbed { return disturbed{loss: 1} }

// doubled is what duplicates of packets come to on a connection of TCP, which drops them: nothing but that each takes its place on the way.
func doubled(args map[string]string) disturbed {
	return disturbed{share: number(args["share"]), hold: copyTime}
}

// copyTime is how long a copy holds up what follows.
const copyTime = 10 * time.Microsecond

// corrupted is loss where the checksum does not fit any more, and reaches the program where it was made to fit.
func corrupted(args map[string]string) disturbed {
	if args["checksum"] == "mended" {
		return disturbed{spoil: number(args["share"])}
	}
	return lossy(args)
}

func lossy(args map[string]string) disturbed { return disturbed{loss: number(args["share"])} }

func delayed(args map[string]string) disturbed {
	return disturbed{delay: span(args["delay"]), jitter: span(args["jitter"])}
}

func reordered(args map[string]string) disturbed {
	return disturbed{share: number(args["share"]), hold: span(args["hold"])}
}

func limited(args map[string]string) disturbed {
	return disturbed{rate: number(args["mbit"]) * 1e6 / 8}
}

// number and span read arguments that the fault's kind has checked.
func number(s string) float64 {
	v, _ := strconv.ParseFloat(s, 64)
	return v
}

func span(s string) time.Duration {
	d, _ := time.ParseDuration(s)
	return d
}
