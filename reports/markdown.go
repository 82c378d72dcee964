package reports

import (
	"fmt"
	"html"
	"io"
	"strings"

	"rift/checker"
	"rift/harness/history"
)

// Markdown is a summary for the page of a continuous integration job, in GitHub's flavour.
var Markdown = Format{
	Name: "markdown",
	Doc:  "a summary for a CI job's page",
	Write: func(w io.Writer, run *history.Run, rep checker.Report) error {
		_, err := io.WriteString(w, markdown(newPage(run, rep)))
		return err
	},
}

func markdown(p pageData) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s %s: %s\n\n%s\n\n", mark(p.Verdict), p.Verdict, inline(p.Name), inline(p.Reason))
	for _, n := range p.Notes {
		fmt.Fprintf(&b, "> %s\n\n", inline(n))
	}
	for _, v := range p.Anomalies[:min(len(p.Anomalies), textAnomalies)] {
		fmt.Fprintf(&b, "### %d. %s\n\n%s\n\n**The promise:** %s\n\n", v.Number, inline(heading(v.Anomaly)), inline(v.Summary), inline(v.Rule))
		for i, s := range v.Steps {
			fmt.Fprintf(&b, "%d. %s\n", i+1, inline(s))
		}
		if lines := sketch(v.Rows); len(lines) > 0 {
			fmt.Fprintf(&b, "\n%s", fenced("text", lines))
		}
		b.WriteByte('\n')
	}
	if more := p.Found - textAnomalies; more > 0 {
		fmt.Fprintf(&b, "And %d more violations.\n\n", more)
	}
	checks := [][]string{{"checker", "verdict", "finding"}}
	for _, r := range p.Results {
		checks = append(checks, []string{r.Checker, mark(r.Verdict) + " " + r.Verdict.String(), r.Summary})
	}
	b.WriteString(mdTable(checks))
	if len(p.Tallies) > 0 {
		b.WriteString(mdTable(tallyRows(p.Tallies)))
	}
	b.WriteString("<details><summary>What was tested</summary>\n\n")
	b.WriteString(mdTable(append([][]string{{"", ""}}, pairRows(p.Facts)...)))
	if len(p.Latencies) > 0 {
		b.WriteString(mdTable(latencyRows(p.Latencies)))
	}
	b.WriteString("</details>\n\n")
	var commands []string
	for _, c := range p.Commands {
		commands = append(commands, c.Value)
	}
	if len(commands) > 0 {
		b.WriteString(fenced("sh", commands))
	}
	return b.String()
}

// mdTable is a table whose first row is its head.
func mdTable(rows [][]string) string {
	var b strings.Builder
	for i, row := range rows {
		for _, cell := range row {
			fmt.Fprintf(&b, "| %s ", inline(cell))
		}
		b.WriteString("|\n")
		if i == 0 {
			b.WriteString(strings.Repeat("|---", len(row)) + "|\n")
		}
	}
	return b.String() + "\n"
}

var mdSpecial = strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "#", `\#`, "|", `\|`, "~", `\~`, "!", `\!`, "@", "@<!-- -->")

// inline makes text from outside harmless within a line: no markup, no HTML, no mention of people.
func inline(s string) string {
	return mdSpecial.Replace(html.EscapeString(visible(s)))
}

// fenced is a code block whose fence is longer than any in it.
func fenced(language string, lines []string) string {
	text := ""
	for _, l := range lines {
		text += visible(l) + "\n"
	}
	fence := "```"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	return fence + language + "\n" + text + fence + "\n"
}
