package reports

import (
	"sort"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"rift/harness/history"
)

const (
	maxBuckets = 150       // of the time axis
	maxSeries  = 24        // function and outcome; the rarest are left out of the plots
	maxLatency = time.Hour // longer ones count as this
)

// plots are the figures over time, aggregated here so that a long run makes no larger page.
type plots struct {
	Bucket int64    `json:"bucket"` // length of a bucket, nanoseconds
	Series []series `json:"series"` // by function, then outcome
}

// series is one function with one outcome. The slices have one element for each bucket.
type series struct {
	F         string     `json:"f"`
	Type      string     `json:"type"`
	Completed []int      `json:"completed"` // operations that ended in the bucket
	Quantiles [4][]int64 `json:"quantiles"` // latency of those invoked in the bucket, microseconds: p50, p90, p99, p99.9; 0: none
	Total     latencies  `json:"-"`
}

// latencies sums a series up over the whole run.
type latencies struct {
	Count                    int
	P50, P90, P99, P999, Max time.Duration
}

var quantiles = [4]float64{50, 90, 99, 99.9}

// bucketLength is a round length that cuts the run into at most maxBuckets.
func bucketLength(length time.Duration) time.Duration {
	bucket := 10 * time.Millisecond
	for i := 0; length/bucket >= maxBuckets; i++ {
		bucket *= [...]time.Duration{2, 5, 10}[i%3]
		bucket /= [...]time.Duration{1, 2, 5}[i%3]
	}
	return bucket
}

// plot aggregates the operations of a run of the given length. They come in the order of invocation.
func plot(ops []history.Operation, length time.Duration) plots {
	bucket := bucketLength(length)
	p := plots{Bucket: int64(bucket), Series: []series{}}
	groups := make(map[[2]string][]*history.Operation)
	for i := range ops {
		id := [2]string{ops[i].F, ops[i].Type.String()}
		groups[id] = append(groups[id], &ops[i])
	}
	n := int(length/bucket) + 1
	for id, group := range groups {
		p.Series = append(p.Series, newSeries(id, group, bucket, n))
	}
	sort.Slice(p.Series, func(i, j int) bool {
		a, b := p.Series[i], p.Series[j]
		return a.F < b.F || a.F == b.F && outcomeOrder(a.Type) < outcomeOrder(b.Type)
	})
	return p
}

// drawn are the series that fit on the page: all, or the most frequent.
func (p plots) drawn() plots {
	if len(p.Series) <= maxSeries {
		return p
	}
	list := append([]series(nil), p.Series...)
	sort.SliceStable(list, func(i, j int) bool { return list[i].Total.Count > list[j].Total.Count })
	p.Series = list[:maxSeries]
	return p
}

func outcomeOrder(name string) history.Type {
	t, _ := history.ParseType(name)
	return t
}

func newSeries(id [2]string, ops []*history.Operation, bucket time.Duration, n int) series {
	s := series{F: id[0], Type: id[1], Completed: make([]int, n)}
	for q := range s.Quantiles {
		s.Quantiles[q] = make([]int64, n)
	}
	whole, part := newHistogram(), newHistogram()
	at := 0
	flush := func() {
		if part.TotalCount() == 0 {
			return
		}
		for q, percent := range quantiles {
			s.Quantiles[q][at] = max(1, part.ValueAtQuantile(percent))
		}
		part.Reset()
	}
	for _, o := range ops {
		ended := o.Completed
		if ended == history.Never {
			ended = o.Invoked
		}
		s.Completed[within(ended/bucket, n)]++
		if o.Completed == history.Never {
			continue // it has no latency
		}
		if to := within(o.Invoked/bucket, n); to != at {
			flush()
			at = to
		}
		latency := min(max(0, o.Completed-o.Invoked), maxLatency).Microseconds()
		_ = part.RecordValue(latency) // it is in range
		_ = whole.RecordValue(latency)
	}
	flush()
	s.Total = latencies{
		Count: len(ops),
		P50:   micros(whole.ValueAtQuantile(50)), P90: micros(whole.ValueAtQuantile(90)), P99: micros(whole.ValueAtQuantile(99)),
		P999: micros(whole.ValueAtQuantile(99.9)), Max: micros(whole.Max()),
	}
	return s
}

// newHistogram counts latencies in microseconds to three significant digits.
func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, maxLatency.Microseconds(), 3)
}

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

func within(bucket time.Duration, n int) int { return min(max(0, int(bucket)), n-1) }
