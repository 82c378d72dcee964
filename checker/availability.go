package checker

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"rift/harness/history"
)

// Availability tells for how long nobody was served: the longest time in the main phase without a success, and, for each fault that was put in, the
// longest such time that it overlaps and how long after its healing the first success came. It informs; only a bound that is given can be
// broken. It takes O(n log n + n·f) for n operations and f faults.
type Availability struct {
	Phases       []history.Phase
	Evidence     []history.Evidence
	MostGap      time.Duration // between two successes in the main phase; 0: any
	MostRecovery time.Duration // from a fault's healing to the next success; 0: any
}

const (
	unavailable  = "unavailable"
	slowRecovery = "slow-recovery"
)

// outage is a time without a success: from one success to the next, or to an edge of the main phase.
type outage struct {
	interval
	before, after int // places of the successes around it in their list; -1 and len where the phase's edge is
}

// served is the successes of a history by their completions.
type served struct {
	view
	spans []span
	main  interval
}

// fault is one fault as it went.
type faulted struct {
	what     string
	in       time.Duration // when its injection began
	healed   time.Duration // when its healing had ended; history.Never if it had not
	recovery time.Duration // from then to the next success; history.Never if there was none
	outage   outage        // the longest that it overlaps
}

// Check implements Checker.
func (c Availability) Check(_ context.Context, h history.History) Result {
	r := Result{Checker: "availability", Method: "times between successes"}
	s, total, err := c.successes(h)
	if err != nil {
		return r.unreadable(err)
	}
	r.Counts = map[string]int{CountOperations: total, "ok": len(s.spans)}
	outages := s.outages()
	if len(s.spans) == 0 || len(outages) == 0 {
		r.Summary = "No operation succeeded, so there was nothing to be interrupted."
		return r
	}
	b := newBreaches(
		promise{unavailable, fmt.Sprintf("Somebody is served at least every %s.", lasting(c.MostGap))},
		promise{slowRecovery, fmt.Sprintf("Somebody is served within %s of a fault's healing.", lasting(c.MostRecovery))},
	)
	longest := slices.MaxFunc(outages, func(a, b outage) int { return cmp.Compare(a.length(), b.length()) })
	faults := c.faults(s, outages)
	r.Counts["longest_gap_ms"] = int(longest.length().Milliseconds())
	r.Summary = fmt.Sprintf("The longest time without a success was %s, from %.3f to %.3f s%s.",
		lasting(longest.length()), longest.from.Seconds(), longest.to.Seconds(), during(faults, longest))
	if len(faults) > 0 {
		r.Table = availabilityTable(faults)
		slowest := slices.MaxFunc(faults, func(a, b faulted) int { return cmp.Compare(a.recovery, b.recovery) })
		if slowest.recovery != history.Never {
			r.Counts["slowest_recovery_ms"] = int(slowest.recovery.Milliseconds())
			r.Summary += fmt.Sprintf(" The slowest recovery took %s after %s was healed.", lasting(slowest.recovery), slowest.what)
		}
	}
	r.Verdict = Valid
	c.judge(s, outages, faults, b)
	b.settle(&r)
	return r
}

func (i interval) length() time.Duration { return i.to - i.from }

// successes takes the history in.
func (c Availability) successes(h history.History) (served, int, error) {
	s := served{view: view{h}}
	all, err := s.view.spans()
	if err != nil {
		return s, 0, err
	}
	for _, x := range all {
		if s.outcome(x) == history.OK {
			s.spans = append(s.spans, x)
		}
	}
	slices.SortFunc(s.spans, func(a, b span) int { return cmp.Compare(a.ret, b.ret) })
	if n := len(h); n > 0 {
		s.main.to = h[n-1].Time
	}
	for _, p := range c.Phases {
		if p.Name == "main" {
			s.main = interval{p.Start, p.End}
		}
	}
	return s, len(all), nil
}

// done is when the i-th success was complete.
func (s served) done(i int) time.Duration { return s.h[s.spans[i].ret].Time }

// first is the first success after a time.
func (s served) first(t time.Duration) int {
	return sort.Search(len(s.spans), func(i int) bool { return s.done(i) > t })
}

// outages are the times between successes of the main phase.
func (s served) outages() []outage {
	var all []outage
	from := outage{interval{s.main.from, 0}, -1, 0}
	for i := s.first(s.main.from - 1); i < len(s.spans) && s.done(i) <= s.main.to; i++ {
		from.to, from.after = s.done(i), i
		all = append(all, from)
		from = outage{interval{s.done(i), 0}, i, 0}
	}
	from.to, from.after = s.main.to, len(s.spans)
	return append(all, from)
}

// faults lists the faults that were put in, by time.
func (c Availability) faults(s served, outages []outage) []faulted {
	at := make(map[int]int)
	var faults []faulted
	for _, e := range c.Evidence {
		k, known := at[e.Fault]
		switch {
		case e.Step == history.StepInject && !known && !e.Skipped && e.Error == "":
			at[e.Fault] = len(faults)
			what := strings.TrimSpace(fmt.Sprintf("%s of %s", e.Kind, strings.Join(e.Nodes, ", ")))
			if len(e.Nodes) == 0 {
				what = e.Kind
			}
			faults = append(faults, faulted{what: what, in: e.Time, healed: history.Never, recovery: history.Never})
		case e.Step == history.StepHeal && known && e.Error == "":
			faults[k].healed = e.Time + e.Took
		}
	}
	for i := range faults {
		f := &faults[i]
		if f.healed != history.Never {
			if next := s.first(f.healed); next < len(s.spans) {
				f.recovery = s.done(next) - f.healed
			}
		}
		for _, o := range outages {
			if o.from < f.healed && o.to > f.in && o.length() > f.outage.length() {
				f.outage = o
			}
		}
	}
	slices.SortStableFunc(faults, func(a, b faulted) int { return cmp.Compare(a.in, b.in) })
	return faults
}

// during names the faults that an outage overlaps.
func during(faults []faulted, o outage) string {
	var names []string
	for _, f := range faults {
		if o.from < f.healed && o.to > f.in {
			names = append(names, f.what)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return ", during " + strings.Join(names, " and ")
}

func availabilityTable(faults []faulted) *Table {
	t := &Table{Columns: []string{"fault", "at", "healed", "longest time without a success", "first success after healing"}}
	for _, f := range faults {
		row := []string{f.what, at(f.in)[len("at "):], "never", lasting(f.outage.length()), "none"}
		if f.healed != history.Never {
			row[2] = at(f.healed)[len("at "):]
		}
		if f.recovery != history.Never {
			row[4] = "after " + lasting(f.recovery)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// judge holds the times against the bounds.
func (c Availability) judge(s served, outages []outage, faults []faulted, b *breaches) {
	for _, o := range outages {
		if c.MostGap > 0 && o.length() > c.MostGap {
			s.accuse(b, unavailable, o.before, o.after, fmt.Sprintf("Nobody was served for %s, from %.3f to %.3f s%s, where %s is allowed.",
				lasting(o.length()), o.from.Seconds(), o.to.Seconds(), during(faults, o), lasting(c.MostGap)))
		}
	}
	for _, f := range faults {
		if c.MostRecovery > 0 && f.healed != history.Never && f.recovery > c.MostRecovery {
			took := "nobody was served any more"
			if f.recovery != history.Never {
				took = fmt.Sprintf("%s went by before anybody was served", lasting(f.recovery))
			}
			next := s.first(f.healed)
			s.accuse(b, slowRecovery, next-1, next, fmt.Sprintf("After %s was healed, %s, %s, where %s is allowed.",
				f.what, at(f.healed), took, lasting(c.MostRecovery)))
		}
	}
}

// accuse adds an anomaly that shows the successes around it.
func (s served) accuse(b *breaches, kind string, before, after int, summary string) {
	b.merge(kind, 1, func() Anomaly {
		a := Anomaly{Kind: kind, Summary: summary}
		for _, i := range []int{before, after} {
			if i >= 0 && i < len(s.spans) {
				o := s.operation(s.spans[i])
				a.Ops = append(a.Ops, o.Index)
				a.Steps = append(a.Steps, tell(o)+".")
			}
		}
		return a
	})
}
