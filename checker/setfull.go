package checker

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"rift/harness/history"
)

// SetFull follows each element of sets that only grow through all lists, as Jepsen's set-full does. "add" and "list" are as for the
// checker Set, here with one set for each key. An element ends as stable (every list shows it that began after some moment), lost (the last ones
// do not), or never-read (no list began after its acknowledgement, and none shows it); how long it took to become stable is told. It takes time
// in proportion to what was listed.
type SetFull struct {
	Eventual bool // a list may miss an element for a while, as long as it becomes stable
}

// fates is what became of the elements of all sets.
type fates struct {
	added, stable, lost, unread, stale int
	became                             []time.Duration // from being established to the beginning of the last list that misses it, of stable ones
	survived                           []time.Duration // from being established to the last list that shows it, of lost ones
}

// Check implements Checker.
func (c SetFull) Check(_ context.Context, h history.History) Result {
	r := Result{Checker: "set-full", Method: "each element through all lists"}
	v := view{h}
	all, err := v.spans()
	if err != nil {
		return r.unreadable(err)
	}
	kinds := []string{setLost, setUnexpected, setDuplicated, setStale}
	if c.Eventual {
		kinds = kinds[:3]
	}
	b := newBreaches()
	for _, kind := range kinds {
		b.promises = append(b.promises, promise{kind, setRules[kind]})
	}
	var f fates
	sets := v.objects(all)
	for _, o := range sets {
		s, err := gatherSet(v, o.spans)
		if err != nil {
			return r.unreadable(err)
		}
		s.compare()
		f.follow(s)
		for _, kind := range kinds {
			if flaws := s.flaws[kind]; len(flaws) > 0 {
				b.merge(kind, len(flaws), func() Anomaly {
					a := s.anomaly(kind, flaws)
					a.Key = o.key
					return a
				})
			}
		}
	}
	r.Counts = map[string]int{
		CountOperations: len(all), CountKeys: len(sets), "added": f.added, "stable": f.stable, "lost": f.lost,
		"never_read": f.unread, "stale": f.stale,
	}
	r.Table = f.table()
	switch {
	case b.settle(&r):
	case f.stable == 0:
		r.Summary = "No element was seen to stay in its set, so nothing was put to the test."
	default:
		r.Verdict = Valid
		r.Summary = fmt.Sprintf("%s became stable, the slowest after %s; none was lost.", count(f.stable, "element"), lasting(slices.Max(f.became)))
		if f.unread > 0 {
			r.Summary += fmt.Sprintf(" Nobody looked for %s.", count(f.unread, "other"))
		}
	}
	return r
}

// follow adds the elements of one set.
func (f *fates) follow(s *setHistory) {
	last := -1 // where the last list began
	for _, l := range s.listings {
		last = max(last, l.Index)
	}
	for _, e := range s.elements {
		if e.add == never {
			continue
		}
		f.added++
		switch {
		case e.established == never: // nobody knows whether it was added
		case e.lastSeen == 0 && e.missed == 0 && int(e.acked) > last:
			f.unread++
		case e.missed == 0:
			f.stable++
			f.became = append(f.became, 0)
		case e.final:
			f.stable++
			f.stale++
			f.became = append(f.became, s.listings[e.missed-1].Invoked-s.h[e.established].Time)
		default:
			f.lost++
			f.survived = append(f.survived, 0)
			if e.lastSeen > 0 {
				f.survived[len(f.survived)-1] = s.listings[e.lastSeen-1].Completed - s.h[e.established].Time
			}
		}
	}
}

// table shows how long things took.
func (f *fates) table() *Table {
	t := &Table{Columns: []string{"elements", "number", "median", "95 %", "99 %", "longest"}}
	for _, row := range []struct {
		name  string
		times []time.Duration
	}{{"stable, after", f.became}, {"lost, after", f.survived}} {
		cells := []string{row.name, thousands(len(row.times)), "", "", "", ""}
		if len(row.times) > 0 {
			slices.Sort(row.times)
			for i, q := range []float64{0.5, 0.95, 0.99, 1} {
				cells[2+i] = lasting(quantile(row.times, q))
			}
		}
		t.Rows = append(t.Rows, cells)
	}
	return t
}

// quantile is the smallest of the sorted times that at least the share q of them does not exceed.
func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}
