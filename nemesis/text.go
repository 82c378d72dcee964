package nemesis

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"rift/harness/history"
)

// A plan as text is a line for each fault, or for each fault that comes again and again; docs/plans.md is its manual.
//
//	at 5s partition isolate-leader for 4s
//	at 1s..3s kill leader for 500ms..2s
//	at 2s every 10s times 3 clock leader skew=bump offset=-1m for 6s
//	lane second at 3s pause n1,n3 for 1s
//
// A range stands for a time that the seed draws, "every" for repetitions until the main phase ends. A fault is in the
// lane of its kind's name unless another is given; faults of one lane never overlap. What follows a # is a comment.

// Expand reads a plan as text and draws from the seed what it leaves open, for a main phase of the given length. Errors name the
// line and the field.
func Expand(text string, seed int64, length time.Duration) ([]history.PlannedFault, error) {
	var plan []history.PlannedFault
	var problems []error
	for i, source := range strings.Split(text, "\n") {
		words, err := splitWords(source)
		if len(words) == 0 && err == nil {
			continue
		}
		var l line
		if err == nil {
			l, err = parseLine(words)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("plan line %d: %w", i+1, err))
			continue
		}
		plan = append(plan, l.expand(history.Rand(seed, fmt.Sprintf("nemesis/line/%d", i)), length)...)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	plan = numbered(plan)
	return plan, checkLanes(plan)
}

// checkLanes refuses faults of one lane that overlap: the later one would come late.
func checkLanes(plan []history.PlannedFault) error {
	last := make(map[string]history.PlannedFault)
	for _, f := range plan {
		if before, ok := last[f.Lane]; ok && f.At < before.At+before.For {
			return fmt.Errorf("lane %s: %s begins while %s is in; give one of them another lane", f.Lane, f, before)
		}
		last[f.Lane] = f
	}
	return nil
}

// Text writes a plan in the form that Expand reads. What a fault draws when it is put in is drawn anew from the seed. Faults of another
// phase than the main one are comments: they belong to the test, not to its plan.
func Text(plan []history.PlannedFault) string {
	var b strings.Builder
	for _, f := range plan {
		if f.Phase != "" {
			fmt.Fprintf(&b, "# in the %s phase: %s %s\n", f.Phase, f.Kind, f.Target)
			continue
		}
		fmt.Fprintln(&b, written(f))
	}
	return b.String()
}

// written is a fault as a line of a plan.
func written(f history.PlannedFault) string {
	var b strings.Builder
	if f.Lane != f.Kind {
		fmt.Fprintf(&b, "lane %s ", f.Lane)
	}
	fmt.Fprintf(&b, "at %s %s %s", f.At, f.Kind, f.Target)
	for _, name := range slices.Sorted(maps.Keys(f.Args)) {
		value := f.Args[name]
		if value == "" || strconv.Quote(value) != `"`+value+`"` || strings.Contains(value, " ") {
			value = strconv.Quote(value)
		}
		fmt.Fprintf(&b, " %s=%s", name, value)
	}
	fmt.Fprintf(&b, " for %s", f.For)
	return b.String()
}

// CheckNodes refuses a plan that names nodes which there are not.
func CheckNodes(plan []history.PlannedFault, nodes []string) error {
	for _, f := range plan {
		if err := knownNames(f.Kind, namedNodes(f.Target), nodes); err != nil {
			return err
		}
		if given, ok := f.Args[argLinks]; ok {
			links, err := parseLinks(f.Kind, given)
			if err != nil {
				return err
			}
			if err := knownNodes(f.Kind, links, nodes); err != nil {
				return err
			}
		}
	}
	return nil
}
