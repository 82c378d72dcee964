package checker

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"

	"rift/harness/history"
)

// drawn are the checkers of promises with histories to put to them.
var drawn = []struct {
	Checker
	draw func(r *rand.Rand) history.History
}{
	{Sequential{}, func(r *rand.Rand) history.History { return drawWeak(r, randomWeak(r)) }},
	{Causal{Convergent: true}, func(r *rand.Rand) history.History { return drawWeak(r, randomWeak(r)) }},
	{StaleBound{}, func(r *rand.Rand) history.History { return drawWeak(r, randomWeak(r)) }},
	{Durability{}, func(r *rand.Rand) history.History { return drawWeak(r, randomWeak(r)) }},
	{Sessions{Only: []string{MonotonicReads}}, drawSessions},
	{Prefix{}, func(r *rand.Rand) history.History { return drawLists(r, 0.3*float64(r.IntN(2))) }},
	{SetFull{}, func(r *rand.Rand) history.History { return drawLists(r, 0.3*float64(r.IntN(2))) }},
	{TotalQueue{FIFO: true}, func(r *rand.Rand) history.History { return arbitrary(r, uniqueValues()) }},
	{MutualExclusion{Fenced: true}, func(r *rand.Rand) history.History { return arbitrary(r, answers["fenced-lock"]) }},
	{CounterBounds{}, func(r *rand.Rand) history.History { return arbitrary(r, answers["counter"]) }},
}

// TestPromisesWhenRenamed holds that the names of keys and processes do not matter.
func TestPromisesWhenRenamed(t *testing.T) {
	r := rand.New(rand.NewPCG(18, 19))
	for _, d := range drawn {
		for range histories(t, 200) {
			h := d.draw(r)
			renamed := slices.Clone(h)
			for i := range renamed {
				renamed[i].Key = "key " + renamed[i].Key
				renamed[i].Process = 1000 - renamed[i].Process
			}
			a, b := d.Check(context.Background(), h), d.Check(context.Background(), renamed)
			if a.Verdict != b.Verdict || len(a.Anomalies) != len(b.Anomalies) {
				t.Fatalf("%s: %s, but renamed %s:\n%s", a.Checker, render(a), render(b), lines(h))
			}
		}
	}
}

// TestPromisesWhenForgotten holds that knowing less never makes a valid history invalid. Durability is left out: it takes a final read at its word, unless
// another one, which may be the one that is forgotten, shows that it was only stale.
func TestPromisesWhenForgotten(t *testing.T) {
	r := rand.New(rand.NewPCG(20, 21))
	for _, d := range drawn {
		if _, ok := d.Checker.(Durability); ok {
			continue
		}
		valid := 0
		for range histories(t, 600) {
			h := d.draw(r)
			if len(h) == 0 || d.Check(context.Background(), h).Verdict != Valid {
				continue
			}
			valid++
			forgotten, at := forget(r, h)
			if again := d.Check(context.Background(), forgotten); again.Verdict == Invalid {
				t.Fatalf("valid, but when event %d is forgotten %s\n%s", at, render(again), lines(h))
			}
		}
		if valid < 20 {
			t.Errorf("%T: only %d valid histories", d.Checker, valid)
		}
	}
}

// FuzzPromises puts anything to the checkers of promises: they may not break down, and say the same again.
func FuzzPromises(f *testing.F) {
	for _, d := range drawn {
		f.Add([]byte(lines(d.draw(rand.New(rand.NewPCG(22, 23))))))
	}
	f.Add([]byte(`{"index":0,"type":"invoke","f":"transfer","value":{"from":1}}`))
	checkers := []Checker{Bank{}, UniqueIDs{}, Convergence{Phases: []history.Phase{{Name: "final"}}}, Availability{MostGap: 1, MostRecovery: 1}}
	for _, d := range drawn {
		checkers = append(checkers, d.Checker)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var h history.History
		var d history.Decoder
		for line := range bytes.Lines(b) {
			o, err := d.Decode(line)
			if err != nil {
				continue
			}
			o.Index = len(h)
			h = append(h, o)
		}
		for _, c := range checkers {
			one, two := c.Check(context.Background(), h), c.Check(context.Background(), h)
			if a, b := render(one), render(two); a != b {
				t.Errorf("%s says two things: %s\n%s", one.Checker, a, b)
			}
			if _, err := json.Marshal(one); err != nil {
				t.Error(err)
			}
		}
	})
}
