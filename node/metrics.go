package node

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics is what a node counts of itself. Each node has its own, so that many fit into one process.
type metrics struct {
	requests      *prometheus.HistogramVec // seconds, by route and outcome
	entries       prometheus.Histogram     // commands
	forwarded     prometheus.Counter
	leaderChanges prometheus.Counter
}

// newMetrics makes the metrics; nobody serves them before register.
func newMetrics() *metrics {
	return &metrics{
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "rift_request_seconds", Help: "How long requests took, by route and outcome (ok, or the error's code).",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2, 18),
		}, []string{"route", "outcome"}),
		entries: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "rift_entry_commands", Help: "Commands in one log entry that this node proposed.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 11), // up to maxBatchCommands
		}),
		forwarded:     prometheus.NewCounter(prometheus.CounterOpts{Name: "rift_forwarded_total", Help: "Requests sent on to the leader."}),
		leaderChanges: prometheus.NewCounter(prometheus.CounterOpts{Name: "rift_leader_changes_total", Help: "Leaders that this node has seen."}),
	}
}

// request counts one request by its route and its outcome: "ok", or the error's code.
func (m *metrics) request(route, outcome string, took time.Duration) {
	m.requests.WithLabelValues(route, outcome).Observe(took.Seconds())
}

// entrySize counts one log entry that this node proposed.
func (m *metrics) entrySize(commands int) { m.entries.Observe(float64(commands)) }

// serveMetrics serves GET /metrics: what was counted, the node's status, the process and Go's runtime.
func (n *Node) serveMetrics() http.Handler {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister( // it panics only if two of these have the same name
		n.metrics.requests, n.metrics.entries, n.metrics.forwarded, n.metrics.leaderChanges, statusCollector{n},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

// A statusCollector reads all numbers of one answer from the same status.
type statusCollector struct{ node *Node }

// statusMetrics are the numbers of a status.
var statusMetrics = []struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(n *Node, s *Status) uint64
}{
	{describe("rift_is_leader", "1 on the leader."), prometheus.GaugeValue, func(_ *Node, s *Status) uint64 {
		if s.State == "leader" {
			return 1
		}
		return 0
	}},
	{describe("rift_term", "The term of raft."), prometheus.GaugeValue, func(_ *Node, s *Status) uint64 { return s.Term }},
	{describe("rift_commit_index", "The last committed log entry."), prometheus.GaugeValue, func(_ *Node, s *Status) uint64 { return s.CommitIndex }},
	{describe("rift_applied_index", "The last log entry that the state machine has seen."), prometheus.GaugeValue, func(_ *Node, s *Status) uint64 { return s.AppliedIndex }},
	{describe("rift_last_log_index", "The last log entry."), prometheus.GaugeValue, func(_ *Node, s *Status) uint64 { return s.LastLogIndex }},
	{describe("rift_snapshot_index", "The last log entry in the newest snapshot."), prometheus.GaugeValue, func(_ *Node, s *Status) uint64 { return s.SnapshotIndex }},
	{describe("rift_revision", "Changes to keys so far."), prometheus.GaugeValue, func(_ *Node, s *Status) uint64 { return s.Revision }},
	{
		describe("rift_restores_total", "Snapshots restored; many in a short time are a livelock (hashicorp/raft issue 697)."),
		prometheus.CounterValue, func(n *Node, _ *Status) uint64 { return n.machine.restores.Load() },
	},
}

func describe(name, help string) *prometheus.Desc { return prometheus.NewDesc(name, help, nil, nil) }

// Describe names all metrics of the collector.
func (statusCollector) Describe(to chan<- *prometheus.Desc) {
	for _, m := range statusMetrics {
		to <- m.desc
	}
}

// Collect reads them.
func (c statusCollector) Collect(to chan<- prometheus.Metric) {
	s := c.node.currentStatus()
	for _, m := range statusMetrics {
		to <- prometheus.MustNewConstMetric(m.desc, m.kind, float64(m.value(c.node, &s)))
	}
}
