package checker

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"rift/harness/history"
)

func TestRegisterScenarios(t *testing.T) {
	runScenarios(t, "register", func(string) Checker { return Linearizable{Model: Register()} })
}

// hard is a valid history that only the search can decide.
func hard() history.History {
	return draw(rand.New(rand.NewPCG(1, 1)), shape{operations: 2_000, clients: 10, values: 3, cas: true, observe: true, info: 0.01})
}

func TestBudget(t *testing.T) {
	l := Linearizable{Model: Register(), Steps: 1_000}
	r := l.Check(context.Background(), hard())
	if r.Verdict != Unknown || !strings.Contains(r.Summary, "gave up after 1,0") {
		t.Errorf("%s: %s", r.Verdict, r.Summary)
	}
	if again := l.Check(context.Background(), hard()); !reflect.DeepEqual(r, again) {
		t.Errorf("the same history and budget, but %v and then %v", r, again)
	}
	l.Steps = 0
	if r := l.Check(context.Background(), hard()); r.Verdict != Valid {
		t.Errorf("%s: %s", r.Verdict, r.Summary)
	}
}

func TestEndedContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r := Linearizable{Model: Register()}.Check(ctx, hard())
	if r.Verdict != Unknown || !strings.Contains(r.Summary, "context canceled") {
		t.Errorf("%s: %s", r.Verdict, r.Summary)
	}
}

// TestManyKeys judges keys side by side, of which some broke their promise, and wants the shortest prefix first.
func TestManyKeys(t *testing.T) {
	var lines []string
	for key := range 40 {
		lines = append(lines, fmt.Sprintf("0 10 n1 k%d write 1 ok", key), fmt.Sprintf("20 30 n2 k%d write 2 ok", key))
		if key%5 == 3 {
			for range 50 - key {
				lines = append(lines, fmt.Sprintf("31 32 n2 k%d read ok 2", key))
			}
			lines = append(lines, fmt.Sprintf("40 50 n3 k%d read ok 1", key))
		}
	}
	h := parseScenario(t, strings.Join(lines, "\n"))
	r := Linearizable{Model: Register()}.Check(context.Background(), h)
	if r.Verdict != Invalid || r.Counts["keys_invalid"] != 8 || len(r.Anomalies) != maxExplained || r.Anomalies[0].Key != "k38" {
		t.Errorf("%s %v %d anomalies: %s", r.Verdict, r.Counts, len(r.Anomalies), r.Summary)
	}
	one := Linearizable{Model: Register(), Workers: 1}.Check(context.Background(), h)
	if !reflect.DeepEqual(r, one) {
		t.Error("the number of workers changes the result")
	}
}

// TestDisagreement plants a bug in a quick method: a violation that is none is not reported.
func TestDisagreement(t *testing.T) {
	m := Register()
	m.gears = []gear{func(_ view, o object) decision {
		return decision{verdict: Invalid, method: "wrong", cut: o.spans[0].ret}
	}}
	r := Linearizable{Model: m}.Check(context.Background(), parseScenario(t, "0 10 n1 x write 1 ok"))
	if r.Verdict != Unknown || !strings.Contains(r.Summary, "disagree") || len(r.Anomalies) != 0 {
		t.Errorf("%s: %s", r.Verdict, r.Summary)
	}
}

func TestModelThatPanics(t *testing.T) {
	m := Register()
	m.gears, m.Step = nil, func(any, Call) (any, bool) { panic("a bug") }
	r := Linearizable{Model: m}.Check(context.Background(), parseScenario(t, "0 10 n1 x write 1 ok"))
	if r.Verdict != Unknown || !strings.Contains(r.Summary, "the register model broke down: a bug") {
		t.Errorf("%s: %s", r.Verdict, r.Summary)
	}
}

// TestSecondOpinion asks porcupine about the same operations before and after the one that breaks the promise completed.
func TestSecondOpinion(t *testing.T) {
	_, ops := opsOf(t, Register(), parseScenario(t, "0 10 n1 - write 1 ok\n20 30 n1 - write 2 ok\n40 50 n1 - read ok 1"))
	for cut, want := range map[int32]Verdict{5: Invalid, 4: Valid} {
		if got := secondOpinion(Register(), ops, cut); got != want {
			t.Errorf("up to %d: %s, not %s", cut, got, want)
		}
	}
	if v, steps := runPorcupine(Register(), ops, 2); steps < 2 {
		t.Errorf("%s after %d steps of 2", v, steps)
	}
}

// TestFarAway finds a stale read among many operations, and shows only what matters.
func TestFarAway(t *testing.T) {
	h := draw(rand.New(rand.NewPCG(2, 2)), shape{operations: 20_000, clients: 20, cas: true, observe: true, info: 0.01})
	var old json.RawMessage
	at := 0
	for i := range h[:30_000] {
		if h[i].Type == history.OK && h[i].F == "write" && old == nil {
			old = h[i].Value
		}
		if h[i].Type == history.OK && h[i].F == "read" {
			at = i
		}
	}
	h[at].Value = old
	r := Linearizable{Model: Register()}.Check(context.Background(), h)
	if r.Verdict != Invalid || len(r.Anomalies) != 1 {
		t.Fatalf("%s: %s", r.Verdict, r.Summary)
	}
	a := r.Anomalies[0]
	if len(a.Ops) > 5 || a.Kind != staleRead || len(a.Context) > maxContext || !strings.Contains(r.Method, "confirmed by porcupine") {
		t.Errorf("%s %v, %d around: %s (%s)", a.Kind, a.Ops, len(a.Context), a.Summary, r.Method)
	}
}

func ExampleLinearizable() {
	h := history.History{
		{Process: 0, Type: history.Invoke, F: "write", Value: []byte("1"), Node: "n1"},
		{Process: 0, Type: history.OK, F: "write", Value: []byte("1"), Node: "n1", Time: 10e6},
		{Process: 1, Type: history.Invoke, F: "read", Node: "n2", Time: 1210e6},
		{Process: 1, Type: history.OK, F: "read", Value: []byte("null"), Node: "n2", Time: 1215e6},
	}
	r := Linearizable{Model: Register()}.Check(context.Background(), h)
	fmt.Println(r.Verdict)
	fmt.Println(r.Summary)
	// Output:
	// invalid
	// n2 answered null to a read on the register; the read began 1.2 s after 1 was acknowledged by n1.
}
