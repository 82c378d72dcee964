package checker

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"rift/harness/history"
)

// What Evidence asks for if nothing else is given.
const (
	DefaultLeastOperations = 100             // operations that succeeded in the whole run
	DefaultLeastUnderFault = 20              // of these, while a fault was on
	DefaultLongUnderKind   = 5 * time.Second // of a kind's faults, with a majority left alone, after which something must have succeeded
)

// Evidence tells whether the run put the system to the test: every planned kind of fault was proven to bite at least once,
// faults were taken out again, every phase went as planned, no record is missing, and enough operations succeeded, also while faults were on. A run that falls short
// proves nothing about the system, so the verdict is unknown; it is never invalid.
//
// A kind of fault under which clients tried and nothing succeeded is said in the table. The run falls short for it if the kind was on for long
// while all faults together left a majority alone, so that something could have succeeded.
// A fault that hit every node leaves nobody to serve: what succeeds after it, to the end of the run, counts as if it had succeeded meanwhile.
// In a swarm, whose kinds the seed drew, nobody asked for a certain one: a kind whose faults found nobody to hit, because others had
// taken whom they were aimed at, is said in the table, as long as more than half of the kinds bit.
// Faults of the liveness phase stand in rows of their own, and what succeeded under them counts for the liveness checker alone.
type Evidence struct {
	Plan            history.Plan
	Evidence        []history.Evidence
	Phases          []history.Phase
	Problems        []string // what is missing of the run's records, in sentences
	Nodes           int      // of the cluster; 0: not known
	Swarm           bool     // the seed drew the kinds of fault
	LeastOperations int      // 0: DefaultLeastOperations
	LeastUnderFault int      // 0: DefaultLeastUnderFault
}

// biting is what became of the planned faults of one kind.
type biting struct {
	kind                             string
	planned, proven, skipped, failed int
	on                               []interval
	tested                           []interval // in which what succeeds shows that the system bears the faults
	tried, ok                        int        // operations that were invoked, and that succeeded, while one was on
	why                              string     // the last reason why one did not bite
	apart                            bool       // in a phase other than the main one
}

// Check implements Checker.
func (e Evidence) Check(_ context.Context, h history.History) Result {
	r := Result{Checker: "evidence", Counts: map[string]int{}, Table: &Table{
		Columns: []string{"fault", "planned", "proven", "skipped", "failed", "time on", "operations meanwhile", "that succeeded", "note"},
	}}
	least, leastUnder := cmp.Or(e.LeastOperations, DefaultLeastOperations), cmp.Or(e.LeastUnderFault, DefaultLeastUnderFault)
	kinds, problems := e.kinds()
	problems = append(append(problems, e.unfinished()...), e.Problems...)
	var all []interval
	var missed []string // what a swarm may miss
	bit := 0            // kinds that did
	for _, k := range kinds {
		if !k.apart {
			all = append(all, k.tested...)
		}
		r.Counts["faults_planned"] += k.planned
		r.Counts["faults_proven"] += k.proven
		k.tried, k.ok = events(h, history.Invoke, k.on), events(h, history.OK, k.on)
		r.Table.Rows = append(r.Table.Rows, k.row())
		if k.proven > 0 {
			bit++
		}
		switch {
		case k.proven == 0 && e.Swarm && k.nobody():
			missed = append(missed, k.toothless())
		case k.proven == 0:
			problems = append(problems, k.toothless())
		case k.silent() && k.tried >= leastUnder:
			if alone := e.leftAlone(k.on); alone >= DefaultLongUnderKind {
				problems = append(problems, fmt.Sprintf("nothing succeeded while %s was on, also not in the %s in which all faults together left a majority alone",
					k.kind, lasting(alone)))
			}
		}
	}
	if 2*bit <= len(kinds) {
		problems = append(problems, missed...)
	}
	ok, under := events(h, history.OK, []interval{{0, history.Never}}), events(h, history.OK, all)
	r.Counts["ok"], r.Counts["ok_under_faults"] = ok, under
	if ok < least {
		problems = append(problems, fmt.Sprintf("only %s succeeded, where at least %d are asked for", count(ok, "operation"), least))
	} else if under < leastUnder && slices.ContainsFunc(kinds, func(k biting) bool { return !k.apart }) {
		problems = append(problems, fmt.Sprintf("only %s succeeded while faults were on, where at least %d are asked for", count(under, "operation"), leastUnder))
	}
	if len(problems) > 0 {
		r.Summary = fmt.Sprintf("The run proves too little: %s.", strings.Join(problems, "; "))
		return r
	}
	r.Verdict = Valid
	r.Summary = fmt.Sprintf("%s succeeded; no faults were asked for.", count(ok, "operation"))
	if len(kinds) > 0 {
		which := "Every kind of fault was"
		if bit < len(kinds) {
			which = fmt.Sprintf("%d of %s of fault were", bit, count(len(kinds), "kind"))
		}
		r.Summary = fmt.Sprintf("%s shown to bite (%d of %s), and %s succeeded while faults were on.",
			which, r.Counts["faults_proven"], count(r.Counts["faults_planned"], "fault"), count(under, "operation"))
	}
	return r
}

// unfinished tells what did not go as planned: a phase that ended badly, or a run that stopped before its last one. A
// history without phases is not Rift's, and is taken as it is.
func (e Evidence) unfinished() (problems []string) {
	for _, p := range e.Phases {
		if p.Note != "" {
			problems = append(problems, fmt.Sprintf("phase %s did not go as planned (%s)", p.Name, p.Note))
		}
	}
	last := func(p history.Phase) bool { return p.Name == history.FinalPhase }
	if len(e.Phases) > 0 && !slices.ContainsFunc(e.Phases, last) {
		problems = append(problems, "the run ended before its final phase")
	}
	return problems
}

// row is what the table says of the kind.
func (k biting) row() []string {
	note := ""
	switch {
	case k.silent():
		note = "nothing succeeded while it was on"
	case k.nobody():
		note = "found nobody to hit"
	}
	return []string{
		k.kind, strconv.Itoa(k.planned), strconv.Itoa(k.proven), strconv.Itoa(k.skipped), strconv.Itoa(k.failed),
		lasting(length(k.on)), strconv.Itoa(k.tried), strconv.Itoa(k.ok), note,
	}
}

// nobody says whether every fault of the kind found nobody to hit.
func (k biting) nobody() bool { return k.skipped == k.planned }

// silent says whether clients tried while the kind was on, and nothing succeeded. The liveness checker judges that for its own phase.
func (k biting) silent() bool { return !k.apart && k.tried > 0 && k.ok == 0 }

// kinds matches the planned faults with what was measured. The problems are faults that were still on at the end.
func (e Evidence) kinds() (kinds []biting, problems []string) {
	steps := make(map[int][]history.Evidence)
	end := time.Duration(0)
	for _, s := range e.Evidence {
		steps[s.Fault] = append(steps[s.Fault], s)
		end = max(end, s.Time+s.Took)
	}
	for _, p := range e.Phases {
		end = max(end, p.End)
	}
	for _, planned := range e.Plan.Faults {
		name := planned.Kind
		if planned.Phase != "" {
			name += " (" + planned.Phase + ")"
		}
		at := slices.IndexFunc(kinds, func(k biting) bool { return k.kind == name })
		if at < 0 {
			at, kinds = len(kinds), append(kinds, biting{kind: name, apart: planned.Phase != ""})
		}
		k := &kinds[at]
		k.planned++
		on, healed := k.follow(steps[planned.ID], end)
		if on != (interval{}) {
			k.on = append(k.on, on)
			if e.hitAll(steps[planned.ID]) {
				on.to = end
			}
			k.tested = append(k.tested, on)
		}
		if problem := unhealed(planned, steps[planned.ID], healed, on); problem != "" {
			problems = append(problems, problem)
		}
	}
	return kinds, problems
}

// hitAll says whether a fault hit all nodes themselves, not only their links.
func (e Evidence) hitAll(steps []history.Evidence) bool {
	return slices.ContainsFunc(steps, func(s history.Evidence) bool {
		return s.Step == history.StepInject && s.Proven && len(s.Links) == 0 && len(s.Nodes) > 0 && len(s.Nodes) == e.Nodes
	})
}

// follow goes through one fault's steps, and gives the time in which it was proven to be on.
func (k *biting) follow(steps []history.Evidence, end time.Duration) (on interval, healed bool) {
	for _, s := range steps {
		switch {
		case s.Step == history.StepInject && s.Proven:
			k.proven++
			on = interval{s.Time + s.Took, end}
		case s.Step == history.StepInject && s.Skipped:
			k.skipped++
			k.why = s.Summary
		case s.Step == history.StepInject:
			k.failed++
			k.why = s.Error
			if k.why == "" {
				k.why = s.Summary
			}
		case s.Step == history.StepHeal && s.Error == "" && (s.Proven || s.Skipped):
			healed = true
			on.to = min(on.to, s.Time)
		}
	}
	return on, healed
}

// unhealed says what is wrong with a fault that bit and was never taken out.
func unhealed(planned history.PlannedFault, steps []history.Evidence, healed bool, on interval) string {
	if healed || on == (interval{}) {
		return ""
	}
	why := "nothing says that it was healed"
	for _, s := range steps {
		if s.Step == history.StepHeal {
			why = s.Error
			if why == "" {
				why = s.Summary
			}
		}
	}
	return fmt.Sprintf("fault %d, %s, was still on at the end (%s)", planned.ID, planned.Kind, why)
}

// toothless says that no fault of the kind was proven to bite, and why.
func (k *biting) toothless() string {
	switch {
	case k.failed+k.skipped == 0:
		return fmt.Sprintf("no %s was ever put in, of %d planned", k.kind, k.planned)
	case k.why == "":
		return fmt.Sprintf("no %s was shown to bite, of %d planned", k.kind, k.planned)
	}
	return fmt.Sprintf("no %s was shown to bite, of %d planned (%s)", k.kind, k.planned, strings.TrimSuffix(k.why, "."))
}
