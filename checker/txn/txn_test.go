package txn

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"

	"rift/checker"
	"rift/harness/history"
)

// events makes a history of lines "process type value".
func events(lines ...string) (h history.History) {
	for i, line := range lines {
		words := append(strings.SplitN(line, " ", 3), "")
		p, err1 := strconv.Atoi(words[0])
		t, err2 := history.ParseType(words[1])
		if err := errors.Join(err1, err2); err != nil {
			panic(err)
		}
		h = append(h, history.Op{Index: i, Process: p, Type: t, F: operation, Value: json.RawMessage(words[2])})
	}
	return h
}

// TestUnknown holds that what proves nothing is unknown, and says why.
func TestUnknown(t *testing.T) {
	for _, tt := range []struct {
		name    string
		h       history.History
		checker Checker
		says    string
	}{
		{"no transactions", nil, Checker{}, "no operation"},
		{"other operations", history.History{{Type: history.Invoke, F: "read"}}, Checker{}, "no operation"},
		{"unknown model", events(`0 invoke []`), Checker{Expect: "eventual"}, `"eventual" given`},
		{"nothing in common", events(`0 invoke [["append","x",1]]`, `0 ok [["append","x",1]]`), Checker{}, "no transaction is known to depend"},
		{"no version order", events(`0 invoke [["w","x",1]]`, `0 ok [["w","x",1]]`, `1 invoke [["r","x",null]]`, `1 ok [["r","x",1]]`), Checker{Kind: Register}, "no version order"},
		{"no value", events(`0 invoke []`, `0 ok`), Checker{}, "line 0, process 0"},
		{"wrong function", events(`0 invoke []`, `0 ok [["w","x",1]]`), Checker{}, `"append" as the function`},
		{"list in a register", events(`0 invoke []`, `0 ok [["r","x",[1]]]`), Checker{Kind: Register}, "a string or a number allowed"},
		{"value written twice", events(`0 invoke [["append","x",1]]`, `0 ok [["append","x",1]]`, `1 invoke [["append","x",1.0]]`, `1 info`), Checker{}, "lines 0 and 2"},
		{"completion without invocation", events(`0 ok []`), Checker{}, "never invoked"},
		{"index that does not rise", slices.Concat(events(`0 invoke []`, `0 ok []`), events(`1 invoke []`, `1 ok []`)), Checker{}, "more than 0 allowed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := tt.checker.Check(context.Background(), tt.h)
			if r.Verdict != checker.Unknown || !strings.Contains(r.Summary, tt.says) || r.Checker != tt.checker.Kind.String() {
				t.Fatalf("%s by %s: %s; want unknown, with %q", r.Verdict, r.Checker, r.Summary, tt.says)
			}
		})
	}
}

// TestFailedValueMayBeWrittenAgain holds that a client may write a value again after it certainly failed.
func TestFailedValueMayBeWrittenAgain(t *testing.T) {
	h := events(`0 invoke [["append","x",1]]`, `0 fail`, `0 invoke [["append","x",1]]`, `0 ok [["append","x",1]]`, `0 invoke [["r","x",null]]`, `0 ok [["r","x",[1]]]`)
	if r := (Checker{}).Check(context.Background(), h); r.Verdict != checker.Valid {
		t.Fatalf("%s: %s", r.Verdict, r.Summary)
	}
}

func TestCancelledCheckIsUnknown(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, h := range []history.History{stale(100), ring(100, "[]")} {
		if r := (Checker{}).Check(ctx, h); r.Verdict != checker.Unknown || !strings.Contains(r.Summary, context.Canceled.Error()) {
			t.Fatalf("%s: %s", r.Verdict, r.Summary)
		}
	}
}

// forks is a component full of cycles with nonadjacent rw edges, without a single G-single cycle.
func forks(n int) history.History {
	var s script
	for i := range n {
		s.add(fmt.Sprintf(`["append","k%d",1]`, i))
		s.add(fmt.Sprintf(`["r","k%d",[1]],["r","k%d",[]],["r","k%d",[]]`, i, (i+1)%n, (i+7)%n))
	}
	return s.history()
}

// TestBudget holds that running out of steps makes only that unknown which was not decided, and never the machine's speed.
func TestBudget(t *testing.T) {
	h := forks(100)
	for _, tt := range []struct {
		expect Model
		steps  int64
		want   checker.Verdict
	}{
		{ConsistentView, 0, checker.Valid},
		{SnapshotIsolation, 0, checker.Invalid},
		{ConsistentView, 1, checker.Unknown},
		{SnapshotIsolation, 1, checker.Invalid},
		{ReadCommitted, 1, checker.Valid},
	} {
		if r := (Checker{Expect: tt.expect, Steps: tt.steps}).Check(context.Background(), h); r.Verdict != tt.want {
			t.Errorf("%s with %d steps: %s, want %s: %s", tt.expect, tt.steps, r.Verdict, tt.want, r.Summary)
		}
	}
}

// TestHugeComponents holds that the cycles of the benchmarks' histories are found, and known to be the shortest.
func TestHugeComponents(t *testing.T) {
	const n = 2_000
	for _, tt := range []struct {
		name, kind string
		h          history.History
		length     int
	}{
		{"ring of rw", "G2-item", ring(n, "[]"), n},
		{"ring of wr", "G1c", ring(n, "[1]"), n},
		{"haystack", "G-single", haystack(n), n / 2},
		{"late read", "G-single-realtime", lateRead(n, ListAppend), 2},
		{"late read of a register", "G-single-realtime", lateRead(n, Register), 2},
	} {
		kind := ListAppend
		if strings.Contains(tt.name, "register") {
			kind = Register
		}
		_, a := models(t, tt.h, Checker{Kind: kind})
		at := slices.IndexFunc(a.found, func(f finding) bool { return f.kind == tt.kind })
		if at < 0 || len(a.found[at].edges) != tt.length {
			t.Errorf("%s: want a %s cycle of length %d, got %v", tt.name, tt.kind, tt.length, a.count)
		}
	}
}

// TestManyBranches holds that reads which contradict one another in many ways are all found, and that no agreeing ones are accused.
func TestManyBranches(t *testing.T) {
	var s script
	for i := range 3 * tries {
		s.add(fmt.Sprintf(`["append","x",%d]`, i))
	}
	for range 2 {
		for i := range 2 * tries {
			s.add(fmt.Sprintf(`["r","x",[0,%d]]`, i+1))
			s.add(`["r","x",[0]]`)
		}
	}
	_, a := models(t, s.history(), Checker{})
	if n := a.count[incompatibleOrder]; n < 2*tries-1 {
		t.Errorf("%d contradictions, want at least %d", n, 2*tries-1)
	}
	for _, f := range a.found {
		if f.kind == incompatibleOrder && f.txns[0] == f.txns[1] {
			t.Errorf("a transaction contradicts itself: %s", f.text)
		}
	}
}

// TestDrawing holds that drawings are well-formed, refer to nothing outside, and show hostile keys as text.
func TestDrawing(t *testing.T) {
	const hostile = `</text><script>alert(1)</script>&`
	var s script
	key, _ := json.Marshal(hostile)
	s.add(fmt.Sprintf(`["r",%s,[]],["append","y",1]`, key))
	s.add(fmt.Sprintf(`["r","y",[]],["append",%s,1]`, key))
	for _, h := range []history.History{s.history(), ring(40, "[]")} {
		r := Checker{}.Check(context.Background(), h)
		if len(r.Anomalies) == 0 || r.Anomalies[0].SVG == "" {
			t.Fatalf("no drawing: %s", r.Summary)
		}
		svg := r.Anomalies[0].SVG
		texts := ""
		for d := xml.NewDecoder(strings.NewReader(svg)); ; {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%v\n%s", err, svg)
			}
			switch x := token.(type) {
			case xml.StartElement:
				if !slices.Contains([]string{"svg", "g", "path", "circle", "text", "title"}, x.Name.Local) {
					t.Errorf("element %s", x.Name.Local)
				}
			case xml.CharData:
				texts += string(x)
			}
		}
		if strings.Contains(svg, "NaN") || strings.Contains(svg, "href") || strings.Contains(svg, "url(") || !strings.Contains(svg, "currentColor") {
			t.Errorf("not self-contained: %s", svg)
		}
		if !strings.Contains(texts, "T1") || (len(h) == 4 && !strings.Contains(texts, "script")) {
			t.Errorf("texts: %s", texts)
		}
	}
}

// TestLattice holds that the tables of models and anomalies agree with each other.
func TestLattice(t *testing.T) {
	known := map[Model]bool{}
	for _, l := range lattice {
		for _, m := range l.implies {
			if !known[m] {
				t.Errorf("%s implies %s, which does not stand before it", l.model, m)
			}
		}
		known[l.model] = true
	}
	for i, k := range kinds {
		if len(k.rules) == 0 || k.rule == "" || severity(k.name) != i {
			t.Errorf("%s: rules out %v, rule %q, severity %d of %d", k.name, k.rules, k.rule, severity(k.name), i)
		}
		if !ruledOut(k.rules)[StrictSerial] {
			t.Errorf("%s does not rule out %s", k.name, StrictSerial)
		}
	}
	for v := plain; v <= realTime; v++ {
		for c := g0; c < g2Item; c++ {
			severe, mild := ruledOut(kinds[severity(cycleName(c, v))].rules), ruledOut(kinds[severity(cycleName(c+1, v))].rules)
			for m := range mild {
				if !severe[m] {
					t.Errorf("%s rules out %s, but %s does not", cycleName(c+1, v), m, cycleName(c, v))
				}
			}
		}
	}
	if got := strongest([]Model{ReadUncommitted, ReadCommitted, CursorStability, ReadAtomic}); !slices.Equal(got, []Model{CursorStability, ReadAtomic}) {
		t.Errorf("strongest: %v", got)
	}
	if _, err := ParseModel("serialisable"); err == nil || !strings.Contains(err.Error(), string(Serializable)) {
		t.Errorf("unknown model: %v", err)
	}
}

func ExampleChecker() {
	var h history.History
	for i, text := range []string{`[["r","x",[]],["append","y",1]]`, `[["r","y",[]],["append","x",1]]`} {
		h = append(h, history.Op{Index: i, Process: i, Type: history.Invoke, F: "txn", Value: []byte(text)})
	}
	for i, o := range h[:2] {
		o.Index, o.Type = 2+i, history.OK
		h = append(h, o)
	}
	result := Checker{Expect: Serializable}.Check(context.Background(), h)
	fmt.Println(result.Verdict)
	fmt.Println(result.Summary)
	for _, step := range result.Anomalies[0].Steps {
		fmt.Println(step)
	}
	// Output:
	// invalid
	// The history is not serializable: it has G2-item; still possible: strong-snapshot-isolation.
	// T1 is process 0's transaction at line 0, from 0.000 s to 0.000 s: r "x" [], append "y" 1.
	// T2 is process 1's transaction at line 1, from 0.000 s to 0.000 s: r "y" [], append "x" 1.
	// T1 read "x" while nothing was in it, so it missed 1, which T2 appended, and which no read ever showed (rw).
	// T2 read "y" while nothing was in it, so it missed 1, which T1 appended, and which no read ever showed (rw).
	// So T1 would have to come before itself.
}
