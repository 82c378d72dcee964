package nemesis

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"time"

	"rift/harness/history"
)

// Choice is one kind of fault that a test asks for, and what it may be aimed at.
type Choice struct {
	Kind    Kind
	Targets []string // of the kind's own; never empty
}

// ParseChoices reads the --nemesis flag's parts: "kill", "kill:leader", "partition:ring+halves".
func ParseChoices(parts []string) ([]Choice, error) {
	var choices []Choice
	for _, part := range parts {
		name, targets, aimed := strings.Cut(part, ":")
		kind, err := Find(name)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(choices, func(c Choice) bool { return c.Kind.Name == name }) {
			return nil, fmt.Errorf("nemesis: %q is given twice; name several targets with +, as in kill:leader+one", name)
		}
		choice := Choice{Kind: kind, Targets: kind.Targets}
		if aimed {
			choice.Targets = strings.Split(targets, "+")
			for _, t := range choice.Targets {
				if err := checkTarget(name, t, kind.Targets); err != nil {
					return nil, err
				}
			}
		}
		choices = append(choices, choice)
	}
	return choices, nil
}

// Find looks a kind of fault up by its name.
func Find(name string) (Kind, error) {
	var names []string
	for _, k := range Kinds {
		if k.Name == name {
			return k, nil
		}
		names = append(names, k.Name)
	}
	return Kind{}, UnknownError{Field: "fault", Given: name, Allowed: names}
}

// UnknownError is a name that nothing goes by.
type UnknownError struct {
	Field   string // what was named
	Given   string
	Allowed []string
	Or      string // what else is allowed, in a few words; may be empty
}

// Error names the field, what was given and what is allowed.
func (e UnknownError) Error() string {
	text := fmt.Sprintf("%s: %q given, one of %s allowed", e.Field, e.Given, strings.Join(e.Allowed, ", "))
	if e.Or != "" {
		text += ", or " + e.Or
	}
	return text
}

// window is a stretch of the main phase in which faults are put in; between windows it is quiet.
type window struct{ from, to time.Duration }

// The shape of a schedule. A noisy window is long enough for several faults a lane; a quiet one for the
// system to recover, since a system that never recovers answers too little to be judged.
const (
	noisyLeast, noisyMost = 6 * time.Second, 15 * time.Second
	quietLeast, quietMost = 2 * time.Second, 5 * time.Second
	gapLeast, gapMost     = 500 * time.Millisecond, 3 * time.Second
	shortest              = 500 * time.Millisecond // of a fault
	laneChance            = 0.75                   // that a lane takes part in a noisy window
)

// Schedule draws the faults of a main phase of the given length: a lane for each kind, noisy and quiet windows common
// to all. Every kind comes at least once, and all are healed by the end of the phase. It is a pure function of its arguments.
func Schedule(seed int64, length time.Duration, choices []Choice) []history.PlannedFault {
	windows := drawWindows(history.Rand(seed, "nemesis/windows"), length)
	var plan []history.PlannedFault
	for _, c := range choices {
		plan = append(plan, drawLane(history.Rand(seed, "nemesis/lane/"+c.Kind.Name), c, windows)...)
	}
	sort.SliceStable(plan, func(a, b int) bool { return plan[a].At < plan[b].At })
	for i := range plan {
		plan[i].ID = i + 1
	}
	return plan
}

func drawWindows(r *rand.Rand, length time.Duration) []window {
	var windows []window
	at := min(between(r, quietLeast/2, quietMost/2), length/8)
	last := length - length/16
	for at < last {
		end := min(at+between(r, noisyLeast, noisyMost), last)
		if end-at >= min(noisyLeast, length/2) || len(windows) == 0 {
			windows = append(windows, window{at, end})
		}
		at = end + between(r, quietLeast, quietMost)
	}
	return windows
}

func drawLane(r *rand.Rand, c Choice, windows []window) []history.PlannedFault {
	var lane []history.PlannedFault
	for _, w := range windows {
		if r.Float64() < laneChance {
			lane = append(lane, fill(r, c, w)...)
		}
	}
	if len(lane) == 0 {
		lane = fill(r, c, windows[r.IntN(len(windows))])
	}
	return lane
}

// fill puts faults of one kind into a window, at least one.
func fill(r *rand.Rand, c Choice, w window) []history.PlannedFault {
	var lane []history.PlannedFault
	at := w.from + between(r, 0, min(gapMost, (w.to-w.from)/4))
	for at+shortest <= w.to || len(lane) == 0 {
		f := c.Kind.Draw(r, c.Targets)
		f.Kind, f.Lane, f.Seed = c.Kind.Name, c.Kind.Name, int64(r.Uint64()>>12)
		f.At = history.Duration(at)
		f.For = min(f.For, history.Duration(max(w.to-at, shortest)))
		lane = append(lane, f)
		at += time.Duration(f.For) + between(r, gapLeast, gapMost)
	}
	return lane
}

// between draws a duration, in whole milliseconds so that plans read well.
func between(r *rand.Rand, least, most time.Duration) time.Duration {
	if most <= least {
		return least.Truncate(time.Millisecond)
	}
	return (least + time.Duration(r.Int64N(int64(most-least)))).Truncate(time.Millisecond)
}
