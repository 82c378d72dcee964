package checker

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"rift/harness/history"
)

// Liveness tells whether a core of the nodes made progress without the others: a majority that was left in peace, while every other node was
// killed, paused or cut off for good. Clients of the core must be answered within the time, in every function that was answered
// before. It is unknown where the others were not shown to be gone, or where nobody tried. It takes O(n log n).
type Liveness struct {
	Plan     history.Plan
	Evidence []history.Evidence
	Phases   []history.Phase
	Within   time.Duration
}

const noProgress = "no-progress"

// enoughTries is how often a function must have been tried in vain before that is held against the system.
const enoughTries = 10

// trials is what became of the operations of one function or node in the liveness phase.
type trials struct {
	tried, answered int
	first           time.Duration       // completion of the first that was answered; history.Never if none was
	vain            []history.Operation // the first few that were not
}

func (t *trials) add(o history.Operation, until time.Duration) {
	if t.tried == 0 {
		t.first = history.Never
	}
	t.tried++
	switch {
	case answered(o) && o.Completed <= until:
		t.answered++
		t.first = min(t.first, o.Completed)
	case len(t.vain) < maxExplained:
		t.vain = append(t.vain, o)
	}
}

// answered says whether the system has answered: a comparison that did not hold was made.
func answered(o history.Operation) bool { return o.Type == history.OK || Observes(o) }

// Check implements Checker.
func (c Liveness) Check(_ context.Context, h history.History) Result {
	r := Result{Checker: "liveness", Method: "operations of the core while the others are gone"}
	from, ended, gone, problem := c.broken()
	if problem != "" {
		r.Summary = fmt.Sprintf("Nothing is known of progress without the others: %s.", problem)
		return r
	}
	all, err := h.Operations()
	if err != nil {
		return r.unreadable(err)
	}
	until := from + c.Within
	nodes, functions, before := make(map[string]*trials), make(map[string]*trials), make(map[string]bool)
	var served []time.Duration
	for _, o := range all {
		switch {
		case o.Completed < from:
			before[o.F] = before[o.F] || answered(o)
		case o.Invoked >= from && o.Invoked < until && slices.Contains(c.Plan.Core, o.Node):
			tally(nodes, o.Node).add(o, until)
			tally(functions, o.F).add(o, until)
			if answered(o) && o.Completed <= until {
				served = append(served, o.Completed)
			}
		}
	}
	core := strings.Join(c.Plan.Core, ", ")
	if len(functions) == 0 {
		r.Summary = fmt.Sprintf("%s, no client of %s tried anything.", gone, core)
		return r
	}
	r.Table = livenessTable(c.Plan.Core, nodes, from)
	if len(served) == 0 && ended < until {
		r.Summary = fmt.Sprintf("%s, the phase ended after %s, where %s were to be given.", gone, lasting(ended-from), lasting(c.Within))
		return r
	}
	slices.Sort(served)
	r.Counts = map[string]int{"ok": len(served)}
	b := newBreaches(promise{noProgress, fmt.Sprintf("A majority that is up and whole serves its clients within %s, without the others.", lasting(c.Within))})
	for _, f := range slices.Sorted(maps.Keys(functions)) {
		if t := functions[f]; t.answered == 0 && (len(served) == 0 || before[f] && t.tried >= enoughTries) {
			b.add(noProgress, t.vain, "%s, no %s was answered within %s, of %d that clients of %s tried.", gone, f, lasting(c.Within), t.tried, core)
		}
	}
	if b.settle(&r) {
		return r
	}
	r.Verdict = Valid
	r.Counts["first_ms"] = int((served[0] - from).Milliseconds())
	r.Summary = fmt.Sprintf("%s, clients of %s were served after %s: %s in %s, with at most %s between two.",
		gone, core, lasting(served[0]-from), count(len(served), "operation"), lasting(c.Within), lasting(longestWait(served, until)))
	return r
}

func tally(all map[string]*trials, name string) *trials {
	if all[name] == nil {
		all[name] = &trials{}
	}
	return all[name]
}

// broken finds since when all others were gone, when the phase ended, and what was done to them, in words; or why none of that is known.
func (c Liveness) broken() (from, ended time.Duration, gone, problem string) {
	at := slices.IndexFunc(c.Phases, func(p history.Phase) bool { return p.Name == history.LivenessPhase })
	if at < 0 {
		return 0, 0, "", "the run ended before its liveness phase"
	}
	from, ended = c.Phases[at].Start, c.Phases[at].End
	var done []string
	for _, p := range c.Plan.Faults {
		if p.Phase != history.LivenessPhase {
			continue
		}
		proven := slices.IndexFunc(c.Evidence, func(e history.Evidence) bool {
			return e.Fault == p.ID && e.Step == history.StepInject && e.Proven
		})
		if proven < 0 {
			return 0, 0, "", fmt.Sprintf("%s of %s was not shown to bite", p.Kind, p.Target)
		}
		e := c.Evidence[proven]
		from = max(from, e.Time+e.Took)
		done = append(done, strings.Join(e.Nodes, ", ")+" "+cmp.Or(brokenBy[p.Kind], "hit by "+p.Kind))
	}
	if len(done) == 0 {
		return from, ended, "With no others to be broken", ""
	}
	return from, ended, fmt.Sprintf("With %s for good", strings.Join(done, " and ")), ""
}

// brokenBy says what became of a node, by the kind of its fault.
var brokenBy = map[string]string{"kill": "killed", "pause": "paused", "partition": "cut off"}

// longestWait is the longest time from one of the sorted times to the next, or to the end.
func longestWait(served []time.Duration, until time.Duration) (longest time.Duration) {
	for i, t := range served {
		next := until
		if i+1 < len(served) {
			next = served[i+1]
		}
		longest = max(longest, next-t)
	}
	return longest
}

func livenessTable(core []string, nodes map[string]*trials, from time.Duration) *Table {
	t := &Table{Columns: []string{"node", "tried", "answered", "first answer"}}
	for _, node := range core {
		of := cmp.Or(nodes[node], &trials{})
		row := []string{node, strconv.Itoa(of.tried), strconv.Itoa(of.answered), "none"}
		if of.answered > 0 {
			row[3] = "after " + lasting(of.first-from)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}
