package checker

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNodeLogs(t *testing.T) {
	for _, c := range []struct {
		logs    string
		verdict Verdict
		kinds   string
		summary string
	}{
		{"n1", Valid, "", "No panic"},
		{"n2", Invalid, "panic", "Line 2 of the log of n2: panic: runtime error"},
		{"n3", Invalid, "data-race", "Line 2 of the log of n3: WARNING: DATA RACE"},
		{"n4", Unknown, "fatal-log", "data directory is damaged"},
		{"n5", Invalid, "fatal-error", "all goroutines are asleep"},
		{"n4 n1 n2 n3", Invalid, "data-race panic fatal-log", "n3"},
		{"", Unknown, "", "no log"},
		{"n9", Unknown, "", "cannot be read"},
	} {
		var files []string
		for _, name := range strings.Fields(c.logs) {
			files = append(files, filepath.Join("testdata", "logs", name+".log"))
		}
		r := NodeLogs{Files: files}.Check(context.Background(), nil)
		var kinds []string
		for _, a := range r.Anomalies {
			kinds = append(kinds, a.Kind)
		}
		if r.Verdict != c.verdict || strings.Join(kinds, " ") != c.kinds || !strings.Contains(r.Summary, c.summary) {
			t.Errorf("%q: %s %v %s", c.logs, r.Verdict, kinds, r.Summary)
		}
	}
}

func TestNodeLogsQuotes(t *testing.T) {
	r := NodeLogs{Files: []string{"testdata/logs/n2.log"}}.Check(context.Background(), nil)
	quoted := strings.Join(r.Anomalies[0].Steps, "\n")
	if !strings.HasPrefix(quoted, "panic: ") || !strings.Contains(quoted, "server.go:120") {
		t.Errorf("quoted: %s", quoted)
	}
}

func TestNodeLogsPatterns(t *testing.T) {
	file := filepath.Join(t.TempDir(), "n1.log")
	long := strings.Repeat("x", 1<<20)
	if err := os.WriteFile(file, []byte(long+"\nassertion failed: a\n"+long+"\xff"), 0o600); err != nil {
		t.Fatal(err)
	}
	n := NodeLogs{Files: []string{file}, Patterns: []LogPattern{{Kind: "assertion", Regexp: "^assertion failed", Verdict: Invalid, Lines: 1}}}
	if r := n.Check(context.Background(), nil); r.Verdict != Invalid || r.Counts["assertion"] != 1 || r.Counts["lines"] != 3 {
		t.Errorf("%s %v %s", r.Verdict, r.Counts, r.Summary)
	}
	n.Expected = []string{"failed: a$"}
	if r := n.Check(context.Background(), nil); r.Verdict != Valid {
		t.Errorf("expected line: %s %s", r.Verdict, r.Summary)
	}
	n.Expected = []string{"("}
	if r := n.Check(context.Background(), nil); r.Verdict != Unknown {
		t.Errorf("bad pattern: %s %s", r.Verdict, r.Summary)
	}
}
