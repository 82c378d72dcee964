package nemesis

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"rift/harness/history"
	"rift/nemesis/vdso"
)

// apart is the clock of a node that was hit, or the true one of those that were not, at one instant.
type apart struct {
	node   string
	off    time.Duration
	within time.Duration // it is at most this far from the truth
}

// proveApart looks until the clocks of all nodes that were hit are seen to differ from each other, since nodes whose clocks are wrong
// together agree, and takes down how far apart the furthest two of the cluster are.
func (f *clock) proveApart(ctx context.Context, c Cluster, e *history.Evidence) error {
	ctx, cancel := context.WithTimeout(ctx, clockProof)
	defer cancel()
	for {
		list, err := f.clocks(ctx, c)
		if err != nil {
			return err
		}
		nearest := time.Duration(-1)
		proven := true
		for i, b := range list[min(1, len(list)):] {
			gap := b.off - list[i].off
			if nearest < 0 || gap < nearest {
				nearest = gap
			}
			proven = proven && gap > b.within+list[i].within
		}
		if !proven && wait(ctx, readInterval) {
			continue
		}
		e.Proven = e.Proven && proven
		if len(list) > 1 {
			low, high := list[0], list[len(list)-1]
			e.Measures["apart_ms"], e.Measures["nearest_ms"] = milliseconds(high.off-low.off), milliseconds(nearest)
			e.Summary += fmt.Sprintf("; %s and %s are %v apart, no two less than %v", low.node, high.node, round(high.off-low.off), round(nearest))
		}
		return nil
	}
}

// clocks reads the clocks of all nodes that were hit, and orders them. Between one reading and the next they go on, each at its own rate, so
// all are taken at the instant of the last. Nodes that were not hit have the host's clock; they count as one.
func (f *clock) clocks(ctx context.Context, c Cluster) ([]apart, error) {
	nodes := f.nodes()
	readings := make([]vdso.Reading, len(nodes))
	read := make([]bool, len(nodes))
	err := each(len(nodes), func(i int) error {
		h, up := c.Host(nodes[i])
		if !up {
			return nil
		}
		got, err := onProcess(ctx, h.PID, func(p *vdso.Process) (made proof, err error) {
			readings[i], err = p.Read()
			return proof{}, err
		})
		read[i] = err == nil && !got.ended
		return err
	})
	var last time.Duration
	for _, r := range readings {
		last = max(last, r.At)
	}
	var list []apart
	for i, r := range readings {
		if read[i] {
			list = append(list, f.hit[nodes[i]][f.announced.Load()].seen(nodes[i], r, last))
		}
	}
	for _, node := range c.Nodes() {
		if _, hit := f.hit[node]; !hit {
			list = append(list, apart{node: node})
			break
		}
	}
	slices.SortFunc(list, func(a, b apart) int { return cmp.Compare(a.off, b.off) })
	return list, err
}

// seen is what a reading says of a clock at a later instant: of the wall clock, unless the segment leaves that alone. Of a strobe its
// amplitude counts.
func (s segment) seen(node string, r vdso.Reading, at time.Duration) apart {
	a := apart{node, r.Wall + time.Duration((wallRate(s)-1)*float64(at-r.At)), r.Error + offsetSlack}
	switch {
	case s.skew.Wall.Strobe.Amplitude != 0:
		a.off = a.off.Abs()
	case s.skew.Wall == vdso.Clock{}:
		a.off = r.Monotonic + time.Duration((monotonicRate(s)-1)*float64(at-r.At))
	}
	return a
}

// round leaves a duration no more digits than people read.
func round(d time.Duration) time.Duration {
	if d.Abs() > time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(time.Microsecond)
}
