package reports

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"rift/checker"
	"rift/harness/history"
)

// fact is a name with a value, for people.
type fact struct{ Name, Value string }

// facts says what was tested, in the order in which reports print it. What is not known is left out.
func facts(run *history.Run) []fact {
	t := run.Test
	var list []fact
	add := func(name, value string) {
		if value != "" {
			list = append(list, fact{name, value})
		}
	}
	add("System", t.System)
	add("Workload", t.Workload)
	add("Faults", faultsText(run))
	if t.KeepQuorum {
		add("Quorum", "always left in peace")
	}
	if t.Liveness > 0 {
		add("Liveness", fmt.Sprintf("within %s, by %s alone", seconds(time.Duration(t.Liveness)), strings.Join(run.Plan.Core, ", ")))
	}
	add("Bugs", strings.Join(t.Bugs, ", "))
	if t.System != "" { // a history from elsewhere has no seed
		add("Seed", strconv.FormatInt(t.Seed, 10))
	}
	add("Nodes", nodesText(t))
	add("Clients", clientsText(t))
	add("Duration", durationText(run))
	add("Operations", operationsText(run.History))
	add("Options", pairs(t.Options))
	if !t.Started.IsZero() {
		add("Started", t.Started.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	if run.Replays != nil {
		add("Replays", run.Replays.Summary())
	}
	add("Rift", t.Version)
	add("Subject", pairs(t.Subject))
	return list
}

func pairs(m map[string]string) string {
	words := make([]string, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		words = append(words, k+" "+m[k])
	}
	return strings.Join(words, ", ")
}

// faultsText is the faults that were asked for, or the kinds of those in a plan that was given or drawn from a swarm.
func faultsText(run *history.Run) string {
	var kinds []string
	if !run.Test.Swarm {
		kinds = slices.Clone(run.Test.Nemesis)
	}
	if len(kinds) == 0 {
		for _, f := range run.Plan.Faults {
			if f.Phase == "" && !slices.Contains(kinds, f.Kind) {
				kinds = append(kinds, f.Kind)
			}
		}
	}
	if len(kinds) == 0 {
		return "none"
	}
	text := strings.Join(kinds, ", ")
	if run.Test.Swarm {
		text = fmt.Sprintf("%s (a swarm drawn from %d kinds)", text, len(run.Test.Nemesis))
	}
	return text
}

func nodesText(t history.Test) string {
	if t.Nodes == 0 {
		return ""
	}
	if t.Cluster == "" {
		return strconv.Itoa(t.Nodes)
	}
	return fmt.Sprintf("%d (%s)", t.Nodes, t.Cluster)
}

func clientsText(t history.Test) string {
	if t.Concurrency == 0 {
		return ""
	}
	if t.Rate == 0 {
		return fmt.Sprintf("%d, as fast as they go", t.Concurrency)
	}
	return fmt.Sprintf("%d, %g operations/s", t.Concurrency, t.Rate)
}

func durationText(run *history.Run) string {
	if run.Test.Time == 0 {
		return seconds(run.Length())
	}
	return fmt.Sprintf("%s under load, %s in all", seconds(time.Duration(run.Test.Time)), seconds(run.Length()))
}

// operationsText counts the clients' operations by outcome.
func operationsText(h history.History) string {
	var count [history.Info + 1]int
	for i := range h {
		if !h[i].Nemesis() {
			count[h[i].Type]++
		}
	}
	text := fmt.Sprintf("%s (%s ok, %s fail, %s info", grouped(count[history.Invoke]), grouped(count[history.OK]),
		grouped(count[history.Fail]), grouped(count[history.Info]))
	if open := count[history.Invoke] - count[history.OK] - count[history.Fail] - count[history.Info]; open > 0 {
		text += fmt.Sprintf(", %s never returned", grouped(open))
	}
	return text + ")"
}

// commands are the command lines that repeat the run and judge it again.
func commands(run *history.Run) []fact {
	var list []fact
	if run.Test.Command != "" {
		list = append(list, fact{"Repeat the run", run.Test.Command})
	}
	if run.Test.Replay != "" {
		list = append(list, fact{"Repeat what the faults hit", run.Test.Replay})
	}
	if run.Dir != "" {
		dir := run.Dir
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			dir = real // store/latest will soon be another run's
		}
		list = append(list, fact{"Judge it again", "rift check " + shellQuote(dir)})
	}
	return list
}

// shellQuote makes a word safe to paste into a POSIX shell.
func shellQuote(s string) string {
	safe := func(r rune) bool {
		return r < 128 && (r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || strings.ContainsRune("/._-+=:,@%", r))
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !safe(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// gloss says what a verdict means to somebody who sees one for the first time.
func gloss(v checker.Verdict) string {
	switch v {
	case checker.Valid:
		return "Every promise that was put to the test held in this run."
	case checker.Invalid:
		return "The system broke a promise: what its clients saw cannot be explained by any correct execution."
	default:
		return "This run proves nothing, neither that the promises hold nor that they are broken."
	}
}

// anomalies lists all anomalies of the results and of their parts, in the order of the results: the checkers put the severest first.
func anomalies(results []checker.Result) []checker.Anomaly {
	var list []checker.Anomaly
	for _, r := range results {
		if len(r.Anomalies) > 0 {
			list = append(list, r.Anomalies...)
			continue // the parts' anomalies are the merged ones
		}
		list = append(list, anomalies(r.Parts)...)
	}
	return list
}

// seconds prints a duration for people, to three digits behind the point at most: "12.345 s", "3.2 ms", "70 µs".
func seconds(d time.Duration) string {
	unit, name := time.Second, " s"
	switch {
	case d == 0 || d >= time.Second || d <= -time.Second:
	case d >= time.Millisecond || d <= -time.Millisecond:
		unit, name = time.Millisecond, " ms"
	default:
		unit, name = time.Microsecond, " µs"
	}
	text := strconv.FormatFloat(float64(d)/float64(unit), 'f', 3, 64)
	return strings.TrimRight(strings.TrimRight(text, "0"), ".") + name
}

// grouped prints a count with commas: 1,234,567.
func grouped(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// counted is a count with its noun: "1 line", "2 lines".
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return grouped(n) + " " + noun + "s"
}
