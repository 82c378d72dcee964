package txn

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rift/checker"
	"rift/harness/history"
)

var update = flag.Bool("update", false, "write the results into the histories of testdata")

// golden is a history kept as text: comments with what it is about and what to judge it by, its events, and, after "#>", what the checker
// has to say.
type golden struct {
	about   []string
	events  []string
	history history.History
	checker Checker
	said    []string
}

func readGolden(path string) (golden, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return golden{}, err
	}
	var g golden
	var d history.Decoder
	if filepath.Base(filepath.Dir(path)) == Register.String() {
		g.checker.Kind = Register
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "#>"):
			g.said = append(g.said, line)
		case strings.HasPrefix(line, "#"):
			g.about = append(g.about, line)
			if name, ok := strings.CutPrefix(line, "# expect: "); ok {
				if g.checker.Expect, err = ParseModel(name); err != nil {
					return golden{}, err
				}
			}
			switch line {
			case "# keys: sequential":
				g.checker.Keys = SequentialKeys
			case "# keys: linearizable":
				g.checker.Keys = LinearizableKeys
			}
		default:
			g.events = append(g.events, line)
			op, err := d.Decode([]byte(line))
			if err != nil {
				return golden{}, fmt.Errorf("%s: %w", path, err)
			}
			g.history = append(g.history, op)
		}
	}
	return g, nil
}

// said is a result as text.
func said(r checker.Result) (lines []string) {
	say := func(format string, args ...any) { lines = append(lines, "#> "+fmt.Sprintf(format, args...)) }
	say("%s: %s", r.Verdict, r.Summary)
	for _, a := range r.Anomalies {
		say("%s %v: %s", a.Kind, a.Ops, a.Summary)
		for _, s := range a.Steps {
			say("  %s", s)
		}
	}
	return lines
}

// TestHistories judges the histories of testdata. Of each kind of anomaly there is one that has it and is rejected, and one that nearly has it and
// is accepted, by the weakest model that forbids it.
func TestHistories(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*", "*.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no histories: %v", err)
	}
	shown := map[string]bool{}
	for _, file := range files {
		t.Run(strings.TrimSuffix(file, ".jsonl"), func(t *testing.T) {
			g, err := readGolden(file)
			if err != nil {
				t.Fatal(err)
			}
			r := g.checker.Check(context.Background(), g.history)
			name, rejected := strings.CutSuffix(filepath.Base(file), ".rejected.jsonl")
			switch {
			case rejected:
				shown[name] = true
				if r.Verdict != checker.Invalid || !slices.ContainsFunc(r.Anomalies, func(a checker.Anomaly) bool { return a.Kind == name }) {
					t.Errorf("%s, without %s: %s", r.Verdict, name, r.Summary)
				}
				if i := severity(name); !ruledOut(kinds[i].rules)[g.checker.Expect] || slices.Index(kinds[i].rules, g.checker.Expect) < 0 {
					t.Errorf("judged by %s, but the weakest models that forbid %s are %v", g.checker.Expect, name, kinds[i].rules)
				}
			case r.Verdict != checker.Valid:
				t.Errorf("%s, want valid: %s", r.Verdict, r.Summary)
			}
			lines := said(r)
			if *update {
				text := strings.Join(slices.Concat(g.about, g.events, lines), "\n") + "\n"
				if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if !slices.Equal(lines, g.said) {
				t.Errorf("the checker says\n%s\nwhere the file has\n%s\n(go test -update rewrites it)", strings.Join(lines, "\n"), strings.Join(g.said, "\n"))
			}
		})
	}
	for _, k := range kinds {
		if !shown[k.name] {
			t.Errorf("no history of testdata shows %s", k.name)
		}
	}
}

// TestSameResultEveryTime holds that the result is a function of the history.
func TestSameResultEveryTime(t *testing.T) {
	h := stale(2_000)
	first := said(Checker{}.Check(context.Background(), h))
	for range 3 {
		if again := said(Checker{}.Check(context.Background(), h)); !slices.Equal(first, again) {
			t.Fatal("two checks of one history gave two results")
		}
	}
	if !bytes.Contains([]byte(first[0]), []byte("invalid")) {
		t.Fatalf("want an invalid history, got %s", first[0])
	}
}
