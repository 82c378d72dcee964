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

// skewed has the clocks of nodes go wrong. A node whose clocks another fault has is left alone.
type skewed struct{ nodes []string }

func (f *skewed) inject(l *lane, p history.PlannedFault, r *rand.Rand) (history.Evidence, error) {
	picked, err := nemesis.Pick(context.Background(), l, p.Target, r)
	if err != nil {
		return history.Evidence{}, err
	}
	f.nodes = slices.DeleteFunc(picked, func(node string) bool { return l.machines[node].clock.path != nil })
	if len(f.nodes) == 0 {
		return nobody(p), nil
	}
	paths, err := nemesis.AimClocks(p, f.nodes, r)
	if err != nil {
		return history.Evidence{}, err
	}
	for _, node := range f.nodes {
		l.machines[node].clock.follow(paths[node])
	}
	e := history.Evidence{Nodes: f.nodes, Measures: make(map[string]float64)}
	e.Proven = l.see(p, func() bool { return !slices.ContainsFunc(f.nodes, func(node string) bool { return !f.wrong(l, node) }) })
	e.Summary = "skewed " + f.tell(l, e.Measures)
	return e, nil
}

// wrong says whether a node's clocks are off.
func (f *skewed) wrong(l *lane, node string) bool {
	wall, monotonic := l.machines[node].clock.off()
	return wall != 0 || monotonic != 0
}

// off is how far ahead the clocks are.
func (c *clock) off() (wall, monotonic time.Duration) {
	monotonic = c.behind
	if c.path != nil {
		wall, monotonic = c.path.Wall(c.world.now-c.since), monotonic+c.path.Monotonic(c.world.now-c.since)
	}
	return wall, monotonic
}

// tell says how far the clocks are off, and writes it down.
func (f *skewed) tell(l *lane, measures map[string]float64) string {
	var said []string
	for _, node := range f.nodes {
		wall, monotonic := l.machines[node].clock.off()
		measures[node+"_wall_ms"], measures[node+"_monotonic_ms"] = milliseconds(wall), milliseconds(monotonic)
		said = append(said, fmt.Sprintf("%s: wall clock %+.1f ms, monotonic clock %+.1f ms", node, milliseconds(wall), milliseconds(monotonic)))
	}
	return strings.Join(said, "; ")
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func (f *skewed) heal(l *lane) (history.Evidence, error) {
	if len(f.nodes) == 0 {
		return nemesis.Skip("no clock was skewed"), nil
	}
	e := history.Evidence{Nodes: f.nodes, Proven: true, Measures: make(map[string]float64)}
	before := f.tell(l, e.Measures)
	for _, node := range f.nodes {
		l.machines[node].clock.correct()
	}
	e.Summary = "wall clocks are right again; they were " + before
	return e, nil
}
