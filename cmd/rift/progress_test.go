package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"rift/harness"
	"rift/harness/history"
)

func TestProgressIsPlainLinesWherePiped(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out)
	s := harness.Status{Phase: "main", Left: 30 * time.Second, OK: 7, Leader: "n2", Faults: []history.PlannedFault{{Kind: "kill", Target: "leader"}}}
	p.show(s)
	s.OK = 9
	p.show(s) // too soon for another line
	s.Phase = "heal"
	p.show(s) // a new phase is worth one
	p.end()
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 || strings.Contains(out.String(), "\x1b") || strings.Contains(out.String(), "\r") {
		t.Fatalf("got %q", out.String())
	}
	for _, want := range []string{"main", "30s left", "7 ok", "leader n2", "kill leader"} {
		if !strings.Contains(lines[0], want) {
			t.Errorf("%q lacks %q", lines[0], want)
		}
	}
}

func TestALineNeverWraps(t *testing.T) {
	for _, columns := range []int{2, 10, 79} {
		if got := fit(strings.Repeat("é", 80), columns); len([]rune(got)) >= columns {
			t.Errorf("in %d columns: %d characters", columns, len([]rune(got)))
		}
	}
	if got := fit("short", 80); got != "short" {
		t.Errorf("got %q", got)
	}
	if got := fit("unknown width", 0); got != "unknown width" {
		t.Errorf("got %q", got)
	}
}
