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

// tempo is how dense a schedule is.
type tempo struct {
	noisy, quiet span    // lengths of windows, and of what is between them
	gap          span    // between faults of one lane
	chance       float64 // that a lane takes part in a window
}

// usual is the tempo of a schedule that is not drawn itself.
var usual = tempo{
	noisy:  span{6 * time.Second, 15 * time.Second},
	quiet:  span{2 * time.Second, 5 * time.Second},
	gap:    span{500 * time.Millisecond, 3 * time.Second},
	chance: 0.75,
}

// shortest is the shortest fault that is drawn.
const shortest = 500 * time.Millisecond

// lane is what faults of one lane are drawn from.
type lane struct {
	name    string
	choices []Choice // taken in turn
	tempo   tempo
}

// Schedule draws the faults of a main phase of the given length: a lane for each kind, noisy and quiet windows common
// to all. Every kind comes at least once, and all are healed by the end of the phase. It is a pure function of its arguments.
func Schedule(seed int64, length time.Duration, choices []Choice) []history.PlannedFault {
	windows := drawWindows(history.Rand(seed, "nemesis/windows"), length, usual)
	var plan []history.PlannedFault
	for _, c := range choices {
		l := lane{c.Kind.Name, []Choice{c}, usual}
		plan = append(plan, l.draw(history.Rand(seed, "nemesis/lane/"+c.Kind.Name), windows)...)
	}
	return numbered(plan)
}

// numbered puts faults in the order of their times, and numbers them.
func numbered(plan []history.PlannedFault) []history.PlannedFault {
	sort.SliceStable(plan, func(a, b int) bool { return plan[a].At < plan[b].At })
	for i := range plan {
		plan[i].ID = i + 1
	}
	return plan
}

func drawWindows(r *rand.Rand, length time.Duration, t tempo) []window {
	var windows []window
	at := min(between(r, t.quiet.least/2, t.quiet.most/2), length/8)
	last := length - length/16
	for at < last {
		end := min(at+between(r, t.noisy.least, t.noisy.most), last)
		if end-at >= min(t.noisy.least, length/2) || len(windows) == 0 {
			windows = append(windows, window{at, end})
		}
		at = end + between(r, t.quiet.least, t.quiet.most)
	}
	return windows
}

// draw fills windows with the lane's faults, at least one.
func (l lane) draw(r *rand.Rand, windows []window) []history.PlannedFault {
	var faults []history.PlannedFault
	for _, w := range windows {
		if r.Float64() < l.tempo.chance {
			faults = l.fill(faults, r, w)
		}
	}
	if len(faults) == 0 {
		faults = l.fill(faults, r, windows[r.IntN(len(windows))])
	}
	return faults
}

// fill puts faults into a window after those that there are, at least one.
func (l lane) fill(faults []history.PlannedFault, r *rand.Rand, w window) []history.PlannedFault {
	at := w.from + between(r, 0, min(l.tempo.gap.most, (w.to-w.from)/4))
	for before := len(faults); at+shortest <= w.to || len(faults) == before; {
		c := l.choices[len(faults)%len(l.choices)]
		f := c.Kind.Draw(r, c.Targets)
		f.Kind, f.Lane, f.Seed = c.Kind.Name, l.name, int64(r.Uint64()>>12)
		f.At = history.Duration(at)
		f.For = min(f.For, history.Duration(max(w.to-at, shortest)))
		faults = append(faults, f)
		at += time.Duration(f.For) + between(r, l.tempo.gap.least, l.tempo.gap.most)
	}
	return faults
}

// between draws a duration, in whole milliseconds so that plans read well.
func between(r *rand.Rand, least, most time.Duration) time.Duration {
	if most <= least {
		return least.Truncate(time.Millisecond)
	}
	return (least + time.Duration(r.Int64N(int64(most-least)))).Truncate(time.Millisecond)
}
