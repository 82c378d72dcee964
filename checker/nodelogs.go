package checker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"rift/harness/history"
)

// NodeLogs reads the nodes' logs for what no node should ever say. Broken promises to clients are other
// checkers' business; a panic or a data race is a defect even if no client noticed.
type NodeLogs struct {
	Files    []string     // paths; a node is named after its file
	Patterns []LogPattern // the severest first; nil: DefaultLogPatterns
	Expected []string     // regular expressions of lines that are no finding; nil: DefaultExpectedLines
}

// LogPattern is a kind of line that should not be in a log.
type LogPattern struct {
	Kind    string  // "panic", "data-race", ...
	Regexp  string  // in Go's syntax, matched against a line
	Verdict Verdict // what one such line makes of the run
	Lines   int     // how many lines are quoted, the first included
	Doc     string  // what it means, in a sentence
}

// DefaultLogPatterns are what Go programs say when they break down, and lines of the highest level.
func DefaultLogPatterns() []LogPattern {
	return []LogPattern{
		{"data-race", `^WARNING: DATA RACE`, Invalid, 12, "Two goroutines use the same memory without order."},
		{
			"panic", `^(panic:|\[signal SIG|http: panic serving)|"?msg"?[=:]"?panic\b`, Invalid, 12,
			"The program ran into a state that its authors ruled out.",
		},
		{"fatal-error", `^fatal error: `, Invalid, 12, "Go's runtime gave the program up."},
		{"fatal-log", `(?i)(\blevel"?[=:]"?fatal\b|\[fatal\])|\bFATAL\b`, Unknown, 1, "The node gave up, by its own account."},
	}
}

// DefaultExpectedLines are what faults make nodes say.
func DefaultExpectedLines() []string {
	return []string{`signal: (killed|terminated|interrupt)`, `received (SIGTERM|SIGINT)`}
}

// The bounds of what is read and told.
const (
	maxLogLine    = 4 << 10 // bytes of a line that are looked at
	maxLogReports = 4       // findings of a kind that are told; the others are counted
)

// logRule is a pattern, compiled.
type logRule struct {
	LogPattern
	match *regexp.Regexp
}

// Check implements Checker; the history is not looked at.
func (n NodeLogs) Check(ctx context.Context, _ history.History) Result {
	r := Result{Checker: "node-logs", Counts: map[string]int{"files": len(n.Files)}}
	rules, expected, err := n.compile()
	if err != nil {
		r.Summary = fmt.Sprintf("The logs cannot be searched: %v.", err)
		return r
	}
	if len(n.Files) == 0 {
		r.Summary = "There is no log of any node, so nobody knows whether one broke down."
		return r
	}
	r.Verdict = Valid
	for _, file := range n.Files {
		if err := scanLog(ctx, file, rules, expected, &r); err != nil {
			r.Verdict, r.Anomalies = Unknown, nil
			r.Summary = fmt.Sprintf("The logs cannot be read: %v.", err)
			return r
		}
	}
	severity := func(a Anomaly) int {
		return slices.IndexFunc(rules, func(rule logRule) bool { return rule.Kind == a.Kind })
	}
	slices.SortStableFunc(r.Anomalies, func(a, b Anomaly) int { return severity(a) - severity(b) })
	if len(r.Anomalies) > 0 {
		r.Summary = r.Anomalies[0].Summary
		return r
	}
	r.Summary = fmt.Sprintf("No panic, no data race and no fatal line in %s of %s.", count(r.Counts["lines"], "line"), count(len(n.Files), "log"))
	return r
}

func (n NodeLogs) compile() (rules []logRule, expected []*regexp.Regexp, err error) {
	patterns, lines := n.Patterns, n.Expected
	if patterns == nil {
		patterns = DefaultLogPatterns()
	}
	if lines == nil {
		lines = DefaultExpectedLines()
	}
	for _, p := range patterns {
		match, err := regexp.Compile(p.Regexp)
		if err != nil {
			return nil, nil, fmt.Errorf("pattern %s: %w", p.Kind, err)
		}
		rules = append(rules, logRule{p, match})
	}
	for _, line := range lines {
		match, err := regexp.Compile(line)
		if err != nil {
			return nil, nil, fmt.Errorf("expected line: %w", err)
		}
		expected = append(expected, match)
	}
	return rules, expected, nil
}

// scanLog adds what one file tells to the result.
func scanLog(ctx context.Context, file string, rules []logRule, expected []*regexp.Regexp, r *Result) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	node := strings.TrimSuffix(filepath.Base(file), ".log")
	in := bufio.NewReaderSize(f, maxLogLine)
	var told *Anomaly // being quoted
	quote := 0
	for number := 1; ctx.Err() == nil; number++ {
		line, err := readLogLine(in)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(file), err)
		}
		r.Counts["lines"]++
		if quote > 0 { // what a breakdown says of itself is not a further one
			quote--
			if told != nil {
				told.Steps = append(told.Steps, line)
			}
			continue
		}
		rule := findRule(line, rules, expected)
		if rule == nil {
			continue
		}
		r.Counts[rule.Kind]++
		if r.Verdict != Invalid {
			r.Verdict = rule.Verdict
		}
		told, quote = nil, rule.Lines-1
		if r.Counts[rule.Kind] <= maxLogReports {
			r.Anomalies = append(r.Anomalies, Anomaly{
				Kind: rule.Kind, Rule: rule.Doc, Node: node, Steps: []string{line},
				Summary: fmt.Sprintf("Line %d of the log of %s: %s", number, node, line),
			})
			told = &r.Anomalies[len(r.Anomalies)-1]
		}
	}
	return ctx.Err()
}

func findRule(line string, rules []logRule, expected []*regexp.Regexp) *logRule {
	for i := range rules {
		if !rules[i].match.MatchString(line) {
			continue
		}
		for _, e := range expected {
			if e.MatchString(line) {
				return nil
			}
		}
		return &rules[i]
	}
	return nil
}

// readLogLine reads one line, of a long one only the beginning.
func readLogLine(in *bufio.Reader) (string, error) {
	b, more, err := in.ReadLine()
	line := strings.ToValidUTF8(string(b), "\uFFFD")
	for more && err == nil {
		_, more, err = in.ReadLine()
	}
	return line, err
}
