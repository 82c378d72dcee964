package harness

import (
	"context"
	"sync/atomic"
	"time"

	"rift/harness/history"
)

// How often the nodes are asked what they believe, and how often an answer that tells nothing new is written down all the same.
const (
	watchEvery  = 200 * time.Millisecond
	repeatEvery = time.Second
)

// watcher keeps asking the nodes what they believe, for the report and for the progress line.
type watcher struct {
	cluster *Cluster
	record  *Recorder
	leader  atomic.Value // string
}

// run asks until the context ends.
func (w *watcher) run(ctx context.Context) {
	last := make(map[string]history.View)
	written := make(map[string]time.Duration)
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		views := w.cluster.Views(ctx)
		if ctx.Err() != nil {
			return
		}
		leader, _ := LeaderOf(views)
		w.leader.Store(leader.Node)
		for _, v := range views {
			v.Time = w.record.Now()
			if tellsNothingNew(last[v.Node], v) && v.Time-written[v.Node] < repeatEvery {
				continue
			}
			last[v.Node], written[v.Node] = v, v.Time
			w.record.View(v)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func tellsNothingNew(a, b history.View) bool {
	return a.State == b.State && a.Leader == b.Leader && a.Term == b.Term && len(a.Voters) == len(b.Voters)
}

// Leader is who led at the last look; empty if nobody did.
func (w *watcher) Leader() string {
	leader, _ := w.leader.Load().(string)
	return leader
}
