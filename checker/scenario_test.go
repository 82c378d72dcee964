package checker

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"rift/harness/history"
)

var update = flag.Bool("update", false, "rewrite the verdicts in testdata")

// parseScenario reads a history of one operation a line:
//
//	call ret node key function [input] outcome [output or error]
//
// Times are milliseconds, "?" is a completion that never came, "-" a key or node that is empty. Each line
// is a process of its own, unless it begins with "p7": process 7.
func parseScenario(t testing.TB, body string) history.History {
	t.Helper()
	var h history.History
	for n, line := range strings.Split(body, "\n") {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(line, "#") {
			continue
		}
		process := 100 + n
		if p, ok := strings.CutPrefix(fields[0], "p"); ok {
			process, _ = strconv.Atoi(p)
			fields = fields[1:]
		}
		outcome := slices.IndexFunc(fields, func(f string) bool { return f == "ok" || f == "fail" || f == "info" })
		if len(fields) < 6 || outcome < 5 {
			t.Fatalf("line %d: %q is not: call ret node key function [input] outcome [output]", n+1, line)
		}
		e := history.Op{Process: process, Type: history.Invoke, F: fields[4], Node: dash(fields[2]), Key: dash(fields[3])}
		e.Value = json.RawMessage(strings.Join(fields[5:outcome], ""))
		e.Time = millis(t, fields[0])
		h = append(h, e)
		if fields[1] == "?" {
			continue
		}
		e.Time = millis(t, fields[1])
		e.Type, _ = history.ParseType(fields[outcome])
		switch rest := strings.Join(fields[outcome+1:], " "); {
		case e.Type == history.OK && rest != "":
			e.Value = json.RawMessage(rest)
		case e.Type != history.OK:
			e.Error = rest
		}
		h = append(h, e)
	}
	slices.SortStableFunc(h, func(a, b history.Op) int { return cmp.Compare(a.Time, b.Time) })
	for i := range h {
		h[i].Index = i
	}
	return h
}

func dash(s string) string {
	if s == "-" {
		return ""
	}
	return s
}

func millis(t testing.TB, s string) time.Duration {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatalf("time %q: %v", s, err)
	}
	return time.Duration(n) * time.Millisecond
}

// render is a result as it stands in the scenarios.
func render(r Result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", r.Verdict, r.Summary)
	if r.Method != "" {
		fmt.Fprintf(&b, "method: %s\n", r.Method)
	}
	for _, a := range r.Anomalies {
		fmt.Fprintf(&b, "%s key=%q node=%q ops=%v context=%v\n", a.Kind, a.Key, a.Node, a.Ops, a.Context)
		for _, s := range append([]string{a.Summary}, a.Steps...) {
			fmt.Fprintf(&b, "  %s\n", s)
		}
		if a.Frontier != nil {
			fmt.Fprintf(&b, "  frontier: %v then %s, stuck %v\n", a.Frontier.Linearized, a.Frontier.State, a.Frontier.Stuck)
		}
	}
	if r.Table != nil {
		fmt.Fprintf(&b, "%s\n", strings.Join(r.Table.Columns, " | "))
		for _, row := range r.Table.Rows {
			fmt.Fprintf(&b, "%s\n", strings.Join(row, " | "))
		}
	}
	return b.String()
}

// runScenarios judges each history in testdata/<dir>, and compares what stands below its line of dashes. A file's name
// begins with the verdict that it must have, so that -update cannot make a wrong one right.
func runScenarios(t *testing.T, dir string, checkerOf func(name string) Checker) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios in testdata/%s: %v", dir, err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			body, want, _ := strings.Cut(string(b), "\n---\n")
			body = strings.TrimSuffix(body, "\n")
			r := checkerOf(name).Check(context.Background(), parseScenario(t, body))
			if verdict, _, _ := strings.Cut(name, "-"); r.Verdict.String() != verdict {
				t.Errorf("verdict %s: %s", r.Verdict, r.Summary)
			}
			got := render(r)
			if *update && !t.Failed() {
				if err := os.WriteFile(file, []byte(body+"\n---\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}
