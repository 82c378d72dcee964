package reports

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/mattn/go-isatty"

	"rift/checker"
	"rift/harness/history"
)

// Text is the summary for a terminal. It has colours only on a terminal, and not if NO_COLOR is set (no-color.org).
var Text = Format{
	Name: "text",
	Doc:  "a summary for a terminal",
	Write: func(w io.Writer, run *history.Run, rep checker.Report) error {
		p := &printer{w: w, colours: onTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
		p.report(newPage(run, rep))
		return p.err
	},
}

func onTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

// textAnomalies is how many violations the summary explains; the others are counted.
const textAnomalies = 3

// printer writes lines until the first error. Strings among the arguments are made visible, so that nothing from
// outside can steer the terminal.
type printer struct {
	w       io.Writer
	colours bool
	err     error
}

// styled is text of ours that may carry escape sequences.
type styled string

func (p *printer) line(format string, args ...any) {
	if p.err != nil {
		return
	}
	for i, a := range args {
		if s, ok := a.(string); ok {
			args[i] = visible(s)
		}
	}
	_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
}

// style puts an SGR sequence around a text, where there are colours.
func (p *printer) style(sgr, text string) styled {
	if text = visible(text); p.colours {
		return styled("\x1b[" + sgr + "m" + text + "\x1b[0m")
	}
	return styled(text)
}

func (p *printer) heading(text string) { p.line("\n%s", p.style("1", text)) }

// rows lines cells up in columns.
func (p *printer) rows(rows [][]string) {
	if p.err != nil {
		return
	}
	columns := tabwriter.NewWriter(p.w, 0, 0, 3, ' ', 0)
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = visible(cell)
		}
		fmt.Fprintf(columns, "  %s\n", strings.Join(cells, "\t"))
	}
	p.err = columns.Flush()
}

// visible writes control characters and the like as escapes.
func visible(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return b.String()
}

var verdictStyles = map[checker.Verdict]string{checker.Valid: "1;32", checker.Invalid: "1;31", checker.Unknown: "1;33"}

// mark is the verdict's sign, so that it does not hang on colour.
func mark(v checker.Verdict) string {
	switch v {
	case checker.Valid:
		return "✓"
	case checker.Invalid:
		return "✗"
	default:
		return "?"
	}
}

func (p *printer) report(r pageData) {
	p.line("%s  %s", p.style(verdictStyles[r.Verdict], mark(r.Verdict)+" "+strings.ToUpper(r.Verdict.String())), r.Reason)
	p.line("%s", p.style("2", r.Gloss))
	for _, note := range r.Notes {
		p.line("! %s", note)
	}
	p.heading("Tested")
	p.rows(pairRows(r.Facts))
	if len(r.Anomalies) > 0 {
		p.heading(fmt.Sprintf("Violations (%d)", r.Found))
		for _, v := range r.Anomalies[:min(len(r.Anomalies), textAnomalies)] {
			p.violation(v)
		}
		if more := r.Found - textAnomalies; more > 0 {
			p.line("  and %d more", more)
		}
	}
	if len(r.Latencies) > 0 {
		p.heading("Latency")
		p.rows(latencyRows(r.Latencies))
	}
	if len(r.Tallies) > 0 {
		p.heading("Faults")
		p.rows(tallyRows(r.Tallies))
	}
	p.heading("Checkers")
	for _, c := range r.Results {
		p.line("  %s %s: %s", p.style(verdictStyles[c.Verdict], mark(c.Verdict)), c.Checker, c.Summary)
	}
	if len(r.Commands) > 0 {
		p.line("")
		p.rows(pairRows(r.Commands))
	}
}

func (p *printer) violation(v violation) {
	p.line("  %s %s", p.style("1;31", strconv.Itoa(v.Number)+"."), p.style("1", heading(v.Anomaly)))
	p.line("     %s", v.Summary)
	p.line("     The promise: %s", v.Rule)
	for i, step := range v.Steps {
		p.line("     %d) %s", i+1, step)
	}
	for _, l := range sketch(v.Rows) {
		p.line("     %s", l)
	}
}

// sketchWidth is the width of a sketch's time axis, in characters.
const sketchWidth = 44

// sketch is a small timeline: a line for each operation, with its bar from invocation to completion.
func sketch(rows []row) []string {
	if len(rows) == 0 {
		return nil
	}
	from, to := rows[0].From, rows[0].To
	for _, r := range rows {
		from, to = min(from, r.From), max(to, r.To)
	}
	place := func(t time.Duration) int {
		return int(int64(t-from) * (sketchWidth - 1) / max(1, int64(to-from)))
	}
	var lines []string
	for _, r := range rows {
		left := place(r.From)
		width := max(place(r.To)-left, 1)
		end := "┤"
		switch r.Type {
		case "info":
			end = "┄"
		case "fail":
			end = "✗"
		}
		bar := strings.Repeat(" ", left) + "├" + strings.Repeat("─", width-1) + end
		text := r.Label
		if r.Stuck {
			text += "   cannot be next"
		}
		lines = append(lines, fmt.Sprintf("process %-5d %-4s %-*s  %s", r.Process, r.Node, sketchWidth+1, bar, text))
	}
	return lines
}

func pairRows(list []fact) [][]string {
	rows := make([][]string, len(list))
	for i, f := range list {
		rows[i] = []string{f.Name, f.Value}
	}
	return rows
}

func latencyRows(list []series) [][]string {
	rows := [][]string{{"function", "outcome", "operations", "p50", "p90", "p99", "p99.9", "longest"}}
	for _, s := range list {
		t := s.Total
		rows = append(rows, []string{s.F, s.Type, grouped(t.Count), seconds(t.P50), seconds(t.P90), seconds(t.P99), seconds(t.P999), seconds(t.Max)})
	}
	return rows
}

func tallyRows(list []tally) [][]string {
	rows := [][]string{{"kind", "planned", "proven to have bitten"}}
	for _, t := range list {
		rows = append(rows, []string{t.Kind, strconv.Itoa(t.Planned), strconv.Itoa(t.Proven)})
	}
	return rows
}
