package reports

import (
	"sort"
	"strconv"
	"time"

	"rift/harness/history"
)

const (
	maxClocks      = 24   // nodes whose clocks are drawn
	maxClockPoints = 4000 // of one node; a line of more is drawn with every other point, and so on
)

// clockLine is how one node's clocks went against the host's. The slices have one element for each point, at which the line turns: between points the
// clocks go at the rates of the point before. A rate of 0 stands for a node that is down. Times and offsets are nanoseconds.
type clockLine struct {
	Node          string    `json:"node"`
	At            []int64   `json:"at"`
	Wall          []int64   `json:"wall"`
	WallRate      []float64 `json:"wallRate"`
	Swing         []int64   `json:"swing"`
	Monotonic     []int64   `json:"monotonic"`
	MonotonicRate []float64 `json:"monotonicRate"`
}

// clockRange is how far off a node's clocks came to be, for the table.
type clockRange struct {
	Node                     string
	Ahead, Behind            time.Duration // the furthest that its wall clock was
	MonotonicAhead, Lost     time.Duration // the same of its monotonic clock
	SlowestRate, FastestRate float64       // of its wall clock
}

// clocks joins the samples of each node into a line, and says how far off each was.
func clocks(samples []history.ClockSample) (lines []clockLine, ranges []clockRange) {
	lines = []clockLine{}
	byNode := make(map[string][]history.ClockSample)
	var nodes []string
	for _, s := range samples {
		if byNode[s.Node] == nil {
			nodes = append(nodes, s.Node)
		}
		byNode[s.Node] = append(byNode[s.Node], s)
	}
	sort.Slice(nodes, func(i, j int) bool { return naturalLess(nodes[i], nodes[j]) })
	for _, node := range nodes[:min(len(nodes), maxClocks)] {
		list := byNode[node]
		sort.SliceStable(list, func(i, j int) bool { return list[i].Time < list[j].Time })
		lines = append(lines, newClockLine(node, turns(list)))
		ranges = append(ranges, newClockRange(node, list))
	}
	return lines, ranges
}

// turns leaves out the samples that the one before them foretells, but for the last.
func turns(list []history.ClockSample) []history.ClockSample {
	var kept []history.ClockSample
	for i, s := range list {
		if n := len(kept); n == 0 || i == len(list)-1 || !kept[n-1].Foretells(s) {
			kept = append(kept, s)
		}
	}
	for len(kept) > maxClockPoints {
		for i := range len(kept) / 2 {
			kept[i] = kept[2*i]
		}
		kept = kept[:len(kept)/2]
	}
	return kept
}

func newClockLine(node string, points []history.ClockSample) clockLine {
	l := clockLine{Node: node}
	for _, p := range points {
		l.At = append(l.At, int64(p.Time))
		l.Wall = append(l.Wall, int64(p.Wall))
		l.WallRate = append(l.WallRate, p.WallRate)
		l.Swing = append(l.Swing, int64(p.Swing))
		l.Monotonic = append(l.Monotonic, int64(p.Monotonic))
		l.MonotonicRate = append(l.MonotonicRate, p.MonotonicRate)
	}
	return l
}

func newClockRange(node string, list []history.ClockSample) clockRange {
	r := clockRange{Node: node, SlowestRate: 1, FastestRate: 1}
	see := func(s history.ClockSample) {
		r.Ahead, r.Behind = max(r.Ahead, s.Wall+s.Swing), min(r.Behind, s.Wall-s.Swing)
		r.MonotonicAhead, r.Lost = max(r.MonotonicAhead, s.Monotonic), min(r.Lost, s.Monotonic)
	}
	for i, s := range list {
		if s.Down {
			continue
		}
		see(s)
		r.SlowestRate, r.FastestRate = min(r.SlowestRate, s.WallRate), max(r.FastestRate, s.WallRate)
		if i+1 < len(list) {
			see(s.After(list[i+1].Time - s.Time)) // just before it was turned
		}
	}
	return r
}

// wrong says whether any clock was off by more than the error of a look.
func wrong(ranges []clockRange) bool {
	const slack = time.Millisecond
	for _, r := range ranges {
		if max(r.Ahead, -r.Behind, r.MonotonicAhead, -r.Lost) > slack {
			return true
		}
	}
	return false
}

// Rates are the rates at which the wall clock went, in words.
func (r clockRange) Rates() string {
	if r.SlowestRate == 1 && r.FastestRate == 1 {
		return "1"
	}
	return strconv.FormatFloat(r.SlowestRate, 'g', 4, 64) + " to " + strconv.FormatFloat(r.FastestRate, 'g', 4, 64)
}
