package checker

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"rift/harness/history"
)

// bruteForce is the slow twin of every method: it tries all orders, one after the other.
func bruteForce(m Model, ops []op) bool {
	var rest func(state any, ops []op) bool
	rest = func(state any, ops []op) bool {
		first := int32(never)
		for _, o := range ops {
			first = min(first, o.ret)
		}
		if first == never {
			return true // what is left may never happen
		}
		for i, o := range ops {
			if o.call > first {
				continue
			}
			if next, ok := m.Step(state, o.Call); ok {
				others := append(append([]op(nil), ops[:i]...), ops[i+1:]...)
				if rest(next, others) {
					return true
				}
			}
		}
		return false
	}
	return rest(m.Init, ops)
}

// opsOf decodes a history of one key.
func opsOf(t testing.TB, m Model, h history.History) (object, []op) {
	t.Helper()
	v := view{h}
	all, err := v.spans()
	if err != nil {
		t.Fatal(err)
	}
	ops, err := m.decode(v, all)
	if err != nil {
		t.Fatal(err)
	}
	return object{spans: all}, ops
}

// histories is how many random histories each comparison draws: enough for every run, and as many as
// RIFT_HISTORIES_COUNT says in the long one.
func histories(t testing.TB, usual int) int {
	if s := os.Getenv("RIFT_HISTORIES_COUNT"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatalf("RIFT_HISTORIES_COUNT: %v", err)
		}
		return n
	}
	return usual
}

// lines is a history for people to read in a failing test.
func lines(h history.History) string {
	var b strings.Builder
	for _, o := range h {
		fmt.Fprintf(&b, "%s\n", o.AppendJSON(nil))
	}
	return b.String()
}

// randomShape is what the comparisons draw from: small, crowded, and often wrong.
func randomShape(r *rand.Rand) shape {
	s := shape{
		operations: 3 + r.IntN(7), clients: 2 + r.IntN(4), values: max(0, r.IntN(6)-2), cas: r.IntN(3) > 0, observe: r.IntN(2) > 0,
		info: r.Float64() * 0.5, fail: r.Float64() * 0.1,
	}
	if r.IntN(2) == 0 {
		s.wrong = 0.2 + r.Float64()*0.6
	}
	return s
}

// TestMethodsAgree compares every method with brute force on random histories.
func TestMethodsAgree(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	tally := make(map[string]int)
	for range histories(t, 20_000) {
		compareMethods(t, draw(r, randomShape(r)), tally)
	}
	t.Log(tally)
	if tally["valid"] < tally["invalid"]/10 || tally["invalid"] < tally["valid"]/10 {
		t.Errorf("lopsided histories prove little: %v", tally)
	}
}

// FuzzMethodsAgree does the same without an end.
func FuzzMethodsAgree(f *testing.F) {
	f.Add(uint64(1), uint64(2))
	f.Fuzz(func(t *testing.T, seed, more uint64) {
		r := rand.New(rand.NewPCG(seed, more))
		compareMethods(t, draw(r, randomShape(r)), make(map[string]int))
	})
}

// compareMethods holds the search, the quick methods and the checker as a whole against brute force, and counts their verdicts.
func compareMethods(t *testing.T, h history.History, tally map[string]int) {
	t.Helper()
	m := Register()
	o, ops := opsOf(t, m, h)
	want := Invalid
	if bruteForce(m, ops) {
		want = Valid
	}
	tally[want.String()]++
	f := find(context.Background(), m, ops, DefaultSteps)
	if f.verdict != want {
		t.Fatalf("search says %s, brute force %s:\n%s", f.verdict, want, lines(h))
	}
	if f.verdict == Invalid {
		checkFinding(t, m, ops, f, h)
	}
	vacuous := events(h, history.OK, []interval{{0, history.Never}}) == 0
	result := Linearizable{Model: m, Workers: 1}.Check(context.Background(), h)
	if result.Verdict != want && !(result.Verdict == Unknown && vacuous) {
		t.Fatalf("the checker says %s (%s), brute force %s:\n%s", result.Verdict, result.Summary, want, lines(h))
	}
	for _, a := range result.Anomalies {
		for _, i := range slices.Concat(a.Ops, a.Context, a.Frontier.Linearized, a.Frontier.Stuck) {
			if h[i].Type != history.Invoke || a.Frontier.State == "" || len(a.Steps) == 0 {
				t.Fatalf("event %d is shown: %+v\n%s", i, a, lines(h))
			}
		}
	}
	d := zones(view{h}, o)
	tally[d.method+" "+d.verdict.String()]++
	if d.verdict != Unknown && d.verdict != want {
		t.Fatalf("%s says %s, brute force %s:\n%s", d.method, d.verdict, want, lines(h))
	}
	if d.verdict == Invalid && (bruteForce(m, upTo(ops, d.cut)) || !refusals(ops) && !bruteForce(m, upTo(ops, d.cut-1))) {
		t.Fatalf("%s: the shortest violating prefix does not end at %d:\n%s", d.method, d.cut, lines(h))
	}
	if core, err := m.decode(view{h}, d.core); err != nil || d.core != nil && bruteForce(m, core) {
		t.Fatalf("%s: %v is not a contradiction (%v):\n%s", d.method, d.core, err, lines(h))
	}
	if d.hint != nil {
		if found := find(context.Background(), m, d.hint.apply(ops), DefaultSteps); found.verdict != want && (found.verdict == Valid || d.hint.exact) {
			t.Fatalf("with a hint (exact: %t) the search says %s, brute force %s:\n%s", d.hint.exact, found.verdict, want, lines(h))
		}
		tally["hint"]++
	}
}

// upTo is what had happened when the event at cut was recorded: what completes later may happen or not.
func upTo(ops []op, cut int32) []op {
	var prefix []op
	for _, o := range ops {
		if o.ret > cut {
			o.ret = never
		}
		if o.call <= cut {
			prefix = append(prefix, o)
		}
	}
	return prefix
}

func refusals(ops []op) bool {
	return slices.ContainsFunc(ops, func(o op) bool { return o.F == "cas" && o.Pure })
}

// checkFinding holds what a search says about a violation against brute force: up to the culprit's completion nothing explains
// the answers, right before it something does, and the order found is one that the model allows.
func checkFinding(t *testing.T, m Model, ops []op, f finding, h history.History) {
	t.Helper()
	if bruteForce(m, upTo(ops, f.culprit.ret)) || !bruteForce(m, upTo(ops, f.culprit.ret-1)) {
		t.Fatalf("the shortest violating prefix does not end at %d:\n%s", f.culprit.ret, lines(h))
	}
	state := m.Init
	for _, s := range f.order {
		for _, o := range ops {
			if o.call != s.call {
				continue
			}
			next, ok := m.Step(state, o.Call)
			if !ok {
				t.Fatalf("the order found breaks at %d:\n%s", s.call, lines(h))
			}
			state = next
		}
	}
}
