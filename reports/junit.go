package reports

import (
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"

	"rift/checker"
	"rift/harness/history"
)

// JUnit is junit.xml, which continuous integration systems read: a test case for each checker. Invalid is a
// failure; unknown is an error, because a run that proves nothing must not be green.
var JUnit = Format{
	Name:  "junit",
	File:  history.JUnitFile,
	Doc:   "a JUnit XML test suite with one case for each checker",
	Write: writeJUnit,
}

type junitSuites struct {
	XMLName xml.Name   `xml:"testsuites"`
	Suite   junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name       string          `xml:"name,attr"`
	Tests      int             `xml:"tests,attr"`
	Failures   int             `xml:"failures,attr"`
	Errors     int             `xml:"errors,attr"`
	Time       string          `xml:"time,attr"`
	Properties []junitProperty `xml:"properties>property"`
	Cases      []junitCase     `xml:"testcase"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	Failure *junitProblem `xml:"failure"`
	Error   *junitProblem `xml:"error"`
	Out     string        `xml:"system-out,omitempty"`
}

type junitProblem struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Body    string `xml:",cdata"`
}

func writeJUnit(w io.Writer, run *history.Run, rep checker.Report) error {
	suite := junitSuite{
		Name:       "rift." + run.Test.Name,
		Tests:      len(rep.Results),
		Time:       strconv.FormatFloat(run.Length().Seconds(), 'f', 3, 64),
		Properties: junitProperties(run, rep),
	}
	for _, r := range rep.Results {
		c := junitCase{Name: r.Checker, Class: suite.Name}
		switch r.Verdict {
		case checker.Invalid:
			suite.Failures++
			c.Failure = &junitProblem{r.Summary, "invalid", "\n" + explain(r.Anomalies)}
		case checker.Valid:
			c.Out = r.Summary
		default:
			suite.Errors++
			c.Error = &junitProblem{r.Summary, "unknown", ""}
		}
		suite.Cases = append(suite.Cases, c)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	out := xml.NewEncoder(w)
	out.Indent("", "  ")
	if err := out.Encode(junitSuites{Suite: suite}); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func junitProperties(run *history.Run, rep checker.Report) []junitProperty {
	list := []junitProperty{{"verdict", rep.Verdict.String()}, {"reason", rep.Reason}}
	for _, f := range facts(run) {
		list = append(list, junitProperty{strings.ToLower(f.Name), f.Value})
	}
	for _, c := range commands(run) {
		list = append(list, junitProperty{strings.ToLower(c.Name), c.Value})
	}
	return list
}

// explain is the anomalies in plain text, each with its rule and its proof, without characters that XML forbids.
func explain(anomalies []checker.Anomaly) string {
	var b strings.Builder
	for i, a := range anomalies {
		fmt.Fprintf(&b, "%d. %s: %s\n   The promise: %s\n", i+1, visible(heading(a)), visible(a.Summary), visible(a.Rule))
		for _, s := range a.Steps {
			fmt.Fprintf(&b, "   - %s\n", visible(s))
		}
		if len(a.Ops) > 0 {
			fmt.Fprintf(&b, "   Operations: %s\n", joinInts(a.Ops))
		}
	}
	return b.String()
}

// heading is the anomaly's kind with its key: "stale-read on key 7".
func heading(a checker.Anomaly) string {
	if a.Key == "" {
		return a.Kind
	}
	return a.Kind + " on key " + a.Key
}

func joinInts(list []int) string {
	words := make([]string, len(list))
	for i, n := range list {
		words[i] = strconv.Itoa(n)
	}
	return strings.Join(words, ", ")
}
