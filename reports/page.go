package reports

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rift/checker"
	"rift/harness/history"
)

// pageData is all that the reports for people show. What stands still is written by the template; Data is for the
// timeline and the plots.
type pageData struct {
	Name      string // of the test
	Verdict   checker.Verdict
	Reason    string
	Gloss     string
	Facts     []fact
	Commands  []fact
	Notes     []string
	Anomalies []violation
	Found     int // anomalies; those that are not shown are in results.json
	Latencies []series
	Reigns    []reign
	Clocks    []clockRange // empty if none was recorded
	Wrong     bool         // some clock was
	Faults    []fault
	Omitted   int // faults that are left out of a long list; they were proven
	Tallies   []tally
	Results   []result
	Logs      []excerpt
	Plan      history.Plan
	Phases    []history.Phase
	Data      data
}

// data is the page's data block. Times are nanoseconds since the run's start.
type data struct {
	Length     int64       `json:"length"`
	Ops        *columns    `json:"ops"`
	Violations []focus     `json:"violations"`
	Bands      []band      `json:"bands"`
	Plots      plots       `json:"plots"`
	Leaders    []strip     `json:"leaders"`
	Phases     []period    `json:"phases"`
	Clocks     []clockLine `json:"clocks"`
}

// period is a phase of the run.
type period struct {
	Name string `json:"name"`
	From int64  `json:"from"`
	To   int64  `json:"to"`
}

func newPage(run *history.Run, rep checker.Report) pageData {
	ops, err := run.History.Operations()
	found := anomalies(rep.Results)
	shown := found[:min(len(found), maxAnomalies)]
	list := faults(run)
	p := pageData{
		Name:    fmt.Sprintf("%s, seed %d", run.Test.Name, run.Test.Seed),
		Verdict: rep.Verdict, Reason: rep.Reason, Gloss: gloss(rep.Verdict),
		Facts: facts(run), Commands: commands(run), Notes: notes(run, rep),
		Found:   len(found),
		Tallies: tallies(list),
		Results: shorten(rep.Results), Plan: run.Plan, Phases: run.Phases,
	}
	if err != nil {
		p.Notes = append(p.Notes, fmt.Sprintf("The operations cannot be drawn: %v.", err))
	}
	p.Faults, p.Omitted = worthShowing(list)
	drawn := plot(ops, run.Length())
	p.Latencies = drawn.Series
	p.Data = data{
		Length: int64(run.Length()), Ops: choose(ops, shown).table(ops), Violations: []focus{},
		Bands: bands(list), Plots: drawn.drawn(), Leaders: leaders(run.Views), Phases: []period{},
	}
	for _, ph := range run.Phases {
		p.Data.Phases = append(p.Data.Phases, period{ph.Name, int64(ph.Start), int64(ph.End)})
	}
	p.Data.Clocks, p.Clocks = clocks(run.Clocks)
	p.Wrong = wrong(p.Clocks)
	p.Reigns = reigns(p.Data.Leaders)
	for i, a := range shown {
		p.Anomalies = append(p.Anomalies, violation{a, i + 1, strings.HasPrefix(rep.Reason, a.Summary), rows(ops, a)})
		p.Data.Violations = append(p.Data.Violations, newFocus(ops, a))
	}
	p.Logs = excerpts(run.Logs, p.logWindow(run.Test.Started))
	for i := range p.Logs {
		p.Logs[i].Open = len(shown) > 0 && p.Logs[i].Node == shown[0].Node
	}
	return p
}

// logWindow is the time of the severest violation.
func (p pageData) logWindow(started time.Time) window {
	if len(p.Data.Violations) == 0 || len(p.Anomalies[0].Rows) == 0 || started.IsZero() {
		return window{}
	}
	v := p.Data.Violations[0]
	return window{started.Add(time.Duration(v.From) - logSlack), started.Add(time.Duration(v.To) + logSlack)}
}

// notes are the report's notes and the run's problems, each once: whoever judged may have noted the problems already.
func notes(run *history.Run, rep checker.Report) []string {
	all := slices.Clone(rep.Notes)
	for _, p := range run.Problems {
		if !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	return all
}
