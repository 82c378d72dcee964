package nemesis

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"rift/harness/history"
)

// Ran writes what became of a plan as a plan that Expand reads: each fault of the main phase as it was carried out, at the times that it really had,
// and at the nodes or links that it really hit. What was planned and seen stands beside it as a comment, and what was skipped or failed is
// a comment alone. The start is that of the main phase, on the clock of the evidence. It is a pure function of its arguments.
func Ran(plan []history.PlannedFault, evidence []history.Evidence, start time.Duration) string {
	steps := make(map[int]carriedOut)
	for _, e := range evidence {
		s := steps[e.Fault]
		switch e.Step {
		case history.StepInject:
			s.inject, s.tried = e, true
		case history.StepHeal:
			s.heal, s.healed = e, true
		}
		steps[e.Fault] = s
	}
	faults, lines := make([]history.PlannedFault, len(plan)), make(map[int]string)
	ends := make(map[string]history.Duration) // by lane
	for i, p := range plan {
		f, line := steps[p.ID].tell(p, start, ends[p.Lane])
		if !strings.HasPrefix(line, "#") {
			ends[p.Lane] = f.At + f.For
		}
		faults[i], lines[p.ID] = f, line
	}
	slices.SortStableFunc(faults, func(a, b history.PlannedFault) int {
		return cmp.Or(strings.Compare(a.Phase, b.Phase), cmp.Compare(a.At, b.At))
	})
	var b strings.Builder
	for _, f := range faults {
		fmt.Fprintln(&b, lines[f.ID])
	}
	return b.String()
}

// carriedOut is what the evidence says of one fault.
type carriedOut struct {
	inject, heal  history.Evidence
	tried, healed bool
}

// tell gives a fault as it was carried out, no earlier than the one before it in its lane ended, and the line that says so.
func (s carriedOut) tell(p history.PlannedFault, start time.Duration, earliest history.Duration) (history.PlannedFault, string) {
	planned := p
	planned.Lane = planned.Kind
	what := written(planned)
	if p.Phase != "" {
		what = fmt.Sprintf("in the %s phase, %s %s", p.Phase, p.Kind, strings.Join(s.inject.Nodes, ","))
	}
	saw := strings.Join(strings.Fields(s.inject.Summary), " ")
	switch {
	case !s.tried:
		return p, "# never put in: " + what
	case s.inject.Skipped:
		return p, fmt.Sprintf("# skipped: %s; %s", what, saw)
	case s.inject.Error != "":
		return p, fmt.Sprintf("# failed: %s; %s", what, strings.Join(strings.Fields(s.inject.Error), " "))
	case p.Phase != "":
		return p, fmt.Sprintf("# %s; %s", what, saw)
	}
	const exact = time.Millisecond
	f := asHit(p, s.inject)
	f.At = max(earliest, history.Duration((s.inject.Time - start).Truncate(exact)))
	if s.healed {
		f.For = max(history.Duration(exact), history.Duration((s.heal.Time - s.inject.Time).Truncate(exact)))
	}
	word := "proven"
	if !s.inject.Proven {
		word = "not proven"
	}
	return f, fmt.Sprintf("%s   # planned: %s; %s: %s", written(f), what, word, saw)
}

// asHit is the fault aimed at the links or nodes that it hit; where its kind cannot be aimed like that, it stays as planned.
func asHit(p history.PlannedFault, e history.Evidence) history.PlannedFault {
	kind, err := Find(p.Kind)
	if err != nil {
		return p
	}
	f := p
	nodes := strings.Join(e.Nodes, ",")
	switch {
	case len(e.Links) > 0 && slices.Contains(kind.Targets, Links):
		var words []string
		for _, l := range e.Links {
			words = append(words, l[0]+">"+l[1])
		}
		f.Target, f.Args = Links, maps.Clone(p.Args)
		if f.Args == nil {
			f.Args = make(map[string]string)
		}
		delete(f.Args, argDirection) // the links have it
		f.Args[argLinks] = strings.Join(words, " ")
	case takesNames(kind.Targets) && namedNodes(nodes) != nil:
		f.Target = nodes
	}
	if _, err := kind.New(f); err != nil {
		return p
	}
	return f
}
