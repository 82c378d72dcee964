package harness

import (
	"context"
	"errors"
	"time"

	"rift/harness/history"
	"rift/nemesis"
	"rift/nemesis/vdso"
)

// How often the nodes' clocks are looked at, and how often a sample that was to be expected is written down all the same. A look costs some
// microseconds and holds nobody up.
const (
	clocksEvery       = 100 * time.Millisecond
	clocksRepeatEvery = 2 * time.Second
)

// clockWatcher keeps looking at the clocks of one node, for the report's picture of them.
type clockWatcher struct {
	node    string
	pid     int
	watch   *vdso.Watch // nil: the node is down
	last    history.ClockSample
	written time.Duration
}

// hostOf is what a clock watcher needs of a cluster.
type hostOf interface {
	Nodes() []string
	Host(node string) (nemesis.Host, bool)
}

// clockRecord is where samples go.
type clockRecord interface {
	Now() time.Duration
	Clock(s history.ClockSample)
}

// watchClocks looks at the clocks of all nodes until the context ends. Where that is not possible, nothing is recorded.
func watchClocks(ctx context.Context, c hostOf, record clockRecord) {
	if vdso.Able() != nil {
		return
	}
	var nodes []*clockWatcher
	for _, node := range c.Nodes() {
		w := &clockWatcher{node: node}
		defer w.close()
		nodes = append(nodes, w)
	}
	tick := time.NewTicker(clocksEvery)
	defer tick.Stop()
	for {
		for _, w := range nodes {
			h, up := c.Host(w.node)
			if sample, ok := w.look(h.PID, up, record.Now); ok {
				w.take(sample, record)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// look is the node's sample; false if the process is in the middle of an exec, or this program may not look at it.
func (w *clockWatcher) look(pid int, up bool, now func() time.Duration) (s history.ClockSample, ok bool) {
	if w.watch != nil && (!up || pid != w.pid) {
		w.close()
	}
	if !up {
		return history.ClockSample{Time: now(), Node: w.node, Down: true}, true
	}
	if w.watch == nil {
		var err error
		if w.watch, err = vdso.NewWatch(pid); err != nil {
			w.watch = nil
			return s, false
		}
		w.pid = pid
	}
	before := now()
	v, err := w.watch.Look()
	if errors.Is(err, vdso.ErrGone) {
		w.close()
	}
	if err != nil {
		return s, false
	}
	s = history.ClockSample{
		Time: before, Node: w.node, Wall: v.Wall.Offset, WallRate: v.Wall.Rate, Swing: v.Wall.Swing,
		Monotonic: v.Monotonic.Offset, MonotonicRate: v.Monotonic.Rate,
	}
	return w.atChange(s, v.At-v.Changed), true
}

// atChange moves a sample to the instant at which the clocks were changed, if that was since the last one: that is when a line turns.
func (w *clockWatcher) atChange(s history.ClockSample, ago time.Duration) history.ClockSample {
	if changed := s.Time - ago; changed > w.last.Time && !w.last.Foretells(s) {
		return s.After(-ago)
	}
	return s
}

// take writes a sample down that tells something new, or that is due.
func (w *clockWatcher) take(s history.ClockSample, record clockRecord) {
	if w.written > 0 && w.last.Foretells(s) && s.Time-w.written < clocksRepeatEvery {
		return
	}
	w.last, w.written = s, s.Time
	record.Clock(s)
}

func (w *clockWatcher) close() {
	if w.watch != nil {
		w.watch.Close()
		w.watch = nil
	}
}
