package node

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// metrics is what a node counts of itself. It is served in Prometheus' text format, version 0.0.4.
type metrics struct {
	requests      sync.Map // series → *histogram, in seconds
	entries       histogram
	forwarded     atomic.Uint64
	leaderChanges atomic.Uint64
}

// A series names the requests that are counted together.
type series struct{ route, outcome string }

// A histogram counts observations in buckets whose upper bounds are powers of two of its unit.
type histogram struct {
	unit    float64 // the upper bound of the first bucket
	buckets [18]atomic.Uint64
	beyond  atomic.Uint64
	sum     atomic.Uint64 // in thousandths of the unit
}

func newMetrics() *metrics { return &metrics{entries: histogram{unit: 1}} }

func (h *histogram) observe(v float64) {
	h.sum.Add(uint64(v / h.unit * 1000))
	bound := h.unit
	for i := range h.buckets {
		if v <= bound {
			h.buckets[i].Add(1)
			return
		}
		bound *= 2
	}
	h.beyond.Add(1)
}

// write writes the histogram's lines; labels is empty or ends with a comma.
func (h *histogram) write(w io.Writer, name, labels string) {
	var count uint64
	bound := h.unit
	for i := range h.buckets {
		count += h.buckets[i].Load()
		fmt.Fprintf(w, "%s_bucket{%sle=\"%g\"} %d\n", name, labels, bound, count)
		bound *= 2
	}
	count += h.beyond.Load()
	fmt.Fprintf(w, "%s_bucket{%sle=\"+Inf\"} %d\n", name, labels, count)
	braced := ""
	if labels != "" {
		braced = "{" + labels[:len(labels)-1] + "}"
	}
	fmt.Fprintf(w, "%s_sum%s %g\n%s_count%s %d\n", name, braced, float64(h.sum.Load())/1000*h.unit, name, braced, count)
}

// request counts one request by its route and its outcome: "ok", or the error's code.
func (m *metrics) request(route, outcome string, took time.Duration) {
	key := series{route, outcome}
	h, ok := m.requests.Load(key)
	if !ok {
		h, _ = m.requests.LoadOrStore(key, &histogram{unit: 0.0001})
	}
	h.(*histogram).observe(took.Seconds())
}

// entrySize counts one log entry that this node proposed.
func (m *metrics) entrySize(commands int) { m.entries.observe(float64(commands)) }

// serveMetrics serves GET /metrics.
func (n *Node) serveMetrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	head := func(name, kind, help string) { fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind) }
	s := n.currentStatus()
	leads := 0
	if s.State == "leader" {
		leads = 1
	}
	for _, v := range []struct {
		name, kind, help string
		value            any
	}{
		{"rift_is_leader", "gauge", "1 on the leader.", leads},
		{"rift_term", "gauge", "The term of raft.", s.Term},
		{"rift_commit_index", "gauge", "The last committed log entry.", s.CommitIndex},
		{"rift_applied_index", "gauge", "The last log entry that the state machine has seen.", s.AppliedIndex},
		{"rift_last_log_index", "gauge", "The last log entry.", s.LastLogIndex},
		{"rift_snapshot_index", "gauge", "The last log entry in the newest snapshot.", s.SnapshotIndex},
		{"rift_revision", "gauge", "Changes to keys so far.", s.Revision},
		{"rift_forwarded_total", "counter", "Requests sent on to the leader.", n.metrics.forwarded.Load()},
		{"rift_leader_changes_total", "counter", "Leaders that this node has seen.", n.metrics.leaderChanges.Load()},
		{"rift_restores_total", "counter", "Snapshots restored; many in a short time are a livelock (hashicorp/raft issue 697).", n.machine.restores.Load()},
	} {
		head(v.name, v.kind, v.help)
		fmt.Fprintf(w, "%s %d\n", v.name, v.value)
	}
	head("rift_entry_commands", "histogram", "Commands in one log entry that this node proposed.")
	n.metrics.entries.write(w, "rift_entry_commands", "")
	head("rift_request_seconds", "histogram", "How long requests took, by route and outcome (ok, or the error's code).")
	var all []series
	n.metrics.requests.Range(func(k, _ any) bool { all = append(all, k.(series)); return true })
	slices.SortFunc(all, func(a, b series) int { return cmp.Or(cmp.Compare(a.route, b.route), cmp.Compare(a.outcome, b.outcome)) })
	for _, k := range all {
		h, _ := n.metrics.requests.Load(k)
		h.(*histogram).write(w, "rift_request_seconds", fmt.Sprintf("route=%q,outcome=%q,", k.route, k.outcome))
	}
}
