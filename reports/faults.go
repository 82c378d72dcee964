package reports

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"rift/harness/history"
)

// fault is a planned fault with what came of it.
type fault struct {
	ID        int
	Kind      string
	Label     string   // a few words for the plots: the kind and whom it hit
	Planned   string   // the plan's words
	Nodes     []string // whom it hit
	State     string   // proven, not proven, skipped, not carried out
	Start     time.Duration
	End       time.Duration
	Sentences []string // what was measured, step by step
}

// The states of a fault.
const (
	faultProven  = "proven"
	faultUnclear = "not proven"
	faultSkipped = "skipped"
	faultMissing = "not carried out"
)

// faults joins the plan with the evidence, in the order of the plan. Evidence of a fault that the plan does not name
// (because the plan is lost) comes after it.
func faults(run *history.Run) []fault {
	steps := make(map[int][]history.Evidence)
	for _, e := range run.Evidence {
		steps[e.Fault] = append(steps[e.Fault], e)
	}
	var list []fault
	for _, p := range run.Plan.Faults {
		list = append(list, newFault(p, p.String()+args(p.Args), steps[p.ID], run.Length()))
		delete(steps, p.ID)
	}
	for _, id := range slices.Sorted(maps.Keys(steps)) {
		p := history.PlannedFault{ID: id, Kind: steps[id][0].Kind}
		list = append(list, newFault(p, p.Kind, steps[id], run.Length()))
	}
	return list
}

func args(m map[string]string) string {
	if len(m) == 0 {
		return ""
	}
	return " (" + pairs(m) + ")"
}

// maxFaults bounds the table of faults.
const maxFaults = 400

// worthShowing are all faults, or of a long run those that were not proven and the first of the others.
func worthShowing(list []fault) (shown []fault, omitted int) {
	for _, f := range list {
		if f.State == faultProven && len(shown) >= maxFaults {
			omitted++
			continue
		}
		shown = append(shown, f)
	}
	return shown, omitted
}

// newFault sums up the steps of one fault. Without a heal it lasted until the run's end.
func newFault(p history.PlannedFault, planned string, steps []history.Evidence, end time.Duration) fault {
	f := fault{ID: p.ID, Kind: p.Kind, Planned: planned, Label: p.Kind, State: faultMissing, End: end}
	for _, e := range steps {
		f.Sentences = append(f.Sentences, sentence(e))
		for _, n := range hit(e) {
			if !slices.Contains(f.Nodes, n) {
				f.Nodes = append(f.Nodes, n)
			}
		}
		switch e.Step {
		case history.StepInject:
			f.Start = e.Time
			f.Label = labelOf(p, e)
			f.State = faultUnclear
			if e.Proven {
				f.State = faultProven
			} else if e.Skipped {
				f.State = faultSkipped
			}
		case history.StepHeal:
			f.End = e.Time + e.Took
		}
	}
	return f
}

// labelOf is the kind with whom it hit; a fault of links, which hits all of them, is better known by its target.
func labelOf(p history.PlannedFault, e history.Evidence) string {
	words := []string{p.Kind}
	if len(e.Links) > 0 && p.Target != "" && p.Target != strings.Join(e.Nodes, ",") {
		words = append(words, p.Target)
	}
	if len(e.Links) == 0 || len(e.Nodes) == 1 {
		words = append(words, e.Nodes...)
	}
	return strings.Join(words, " ")
}

// hit is the nodes that a step names, or else those at the ends of its links.
func hit(e history.Evidence) []string {
	if len(e.Nodes) > 0 {
		return e.Nodes
	}
	var list []string
	for _, l := range e.Links {
		list = append(list, l[0], l[1])
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func sentence(e history.Evidence) string {
	text := fmt.Sprintf("%s at %s: %s", e.Step, seconds(e.Time), e.Summary)
	if e.Error != "" {
		text += " Error: " + e.Error
	}
	return text
}

// Class is the state as a CSS class.
func (f fault) Class() string { return strings.ReplaceAll(f.State, " ", "-") }

// band is a fault as the plots draw it behind their lines. Times are nanoseconds since the run's start.
type band struct {
	ID    int      `json:"id"`
	Kind  string   `json:"kind"`
	Label string   `json:"label"`
	Nodes []string `json:"nodes"`
	From  int64    `json:"from"`
	To    int64    `json:"to"`
	State string   `json:"state"`
	Told  string   `json:"told"` // the evidence, in sentences
}

// bands are the faults that were put in, in the order of time.
func bands(list []fault) []band {
	drawn := []band{}
	for _, f := range list {
		if f.State != faultProven && f.State != faultUnclear {
			continue
		}
		drawn = append(drawn, band{
			ID: f.ID, Kind: f.Kind, Label: f.Label, Nodes: f.Nodes,
			From: int64(f.Start), To: int64(f.End), State: f.State, Told: strings.Join(f.Sentences, "\n"),
		})
	}
	slices.SortStableFunc(drawn, func(a, b band) int { return cmp.Compare(a.From, b.From) })
	return drawn
}

// tally counts the faults of each kind by state, for summaries.
type tally struct {
	Kind                    string
	Planned, Proven, Others int
}

func tallies(list []fault) []tally {
	var out []tally
	for _, f := range list {
		at := slices.IndexFunc(out, func(t tally) bool { return t.Kind == f.Kind })
		if at < 0 {
			at = len(out)
			out = append(out, tally{Kind: f.Kind})
		}
		out[at].Planned++
		if f.State == faultProven {
			out[at].Proven++
		} else {
			out[at].Others++
		}
	}
	return out
}
