package harness

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"rift/harness/gen"
	"rift/harness/history"
)

// Load is one line of a benchmark: a function called by that many clients for that long.
type Load struct {
	F       string
	Clients int
	Time    time.Duration
}

// Measured is what came of a load.
type Measured struct {
	Load
	OK, NotOK int64         // operations by outcome
	PerSecond float64       // of those that ended ok
	P50, P99  time.Duration // of those that ended ok
}

// Bench brings a healthy cluster up and puts the loads on it, one after the other, without faults and without a history. It
// gives the results as they come to each, and takes the cluster down again.
func Bench(ctx context.Context, s Spec, loads []Load, each func(Measured)) error {
	return Scratch(ctx, s, func(c *Cluster) error {
		for _, l := range loads {
			if ctx.Err() != nil {
				return ErrInterrupted
			}
			each(bench(ctx, c, l))
		}
		return nil
	})
}

func bench(ctx context.Context, c *Cluster, l Load) Measured {
	d, latencies := benchDriver(c)
	start := time.Now()
	d.drive(ctx, gen.Until(l.Time, benchOps(l.F)), l.Clients)
	took := time.Since(start)
	return Measured{
		Load: l, OK: d.counts.OK.Load(), NotOK: d.counts.Fail.Load() + d.counts.Info.Load(),
		PerSecond: float64(d.counts.OK.Load()) / took.Seconds(),
		P50:       time.Duration(latencies.all.ValueAtQuantile(50)), P99: time.Duration(latencies.all.ValueAtQuantile(99)),
	}
}

// benchDriver drives a cluster and records nothing but latencies.
func benchDriver(c *Cluster) (*driver, *stopwatch) {
	latencies := &stopwatch{all: newHistogram()}
	start := time.Now()
	return &driver{
		nodes: c.nodes, opTimeout: time.Duration(c.test.OpTimeout),
		open: func(ctx context.Context, n Node) (Client, error) {
			client, err := c.system.Open(ctx, n, c.test)
			return &timed{Client: client, to: latencies, seen: newHistogram()}, err
		},
		record: func(op history.Op) history.Op { return op },
		now:    func() time.Duration { return time.Since(start) },
	}, latencies
}

// benchOps goes round a thousand keys, with values of a hundred bytes.
func benchOps(f string) gen.Generator {
	const keys = 1000
	value := json.RawMessage(fmt.Sprintf("%q", fmt.Sprintf("%098d", 0)))
	return gen.Func(func(i int) gen.Op {
		op := gen.Op{F: f, Key: fmt.Sprintf("bench%d", i%keys)}
		if f == "write" {
			op.Value = value
		}
		return op
	})
}

// newHistogram holds latencies from a microsecond to a minute, in nanoseconds, to three digits.
func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(int64(time.Microsecond), int64(time.Minute), 3)
}

// stopwatch gathers the latencies of all clients.
type stopwatch struct {
	mu  sync.Mutex
	all *hdrhistogram.Histogram
}

// timed is a client whose calls are timed. Its worker alone uses it, until Close hands over what it saw.
type timed struct {
	Client
	to   *stopwatch
	seen *hdrhistogram.Histogram
}

// Invoke times one call.
func (t *timed) Invoke(ctx context.Context, op history.Op) (json.RawMessage, error) {
	start := time.Now()
	out, err := t.Client.Invoke(ctx, op)
	if err == nil {
		_ = t.seen.RecordValue(int64(time.Since(start))) // beyond a minute is beyond every time-out
	}
	return out, err
}

// Close closes the client and hands its latencies over.
func (t *timed) Close() error {
	t.to.mu.Lock()
	t.to.all.Merge(t.seen)
	t.to.mu.Unlock()
	return t.Client.Close()
}
