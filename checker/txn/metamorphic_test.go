package txn

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"testing"

	"rift/harness/history"
)

var keyText = regexp.MustCompile(`"(r|w|append)",(\d+),`)

// TestRenaming holds that the names of keys and the numbers of processes do not matter.
func TestRenaming(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 1))
	for range *rounds / 4 {
		kind := Kind(r.IntN(2))
		h := drawHistory(r, kind)
		renamed := slices.Clone(h)
		for i := range renamed {
			renamed[i].Process = 1000 - renamed[i].Process
			renamed[i].Value = keyText.ReplaceAll(renamed[i].Value, []byte(`"$1","key <$2>",`))
		}
		_, a := models(t, h, Checker{Kind: kind})
		_, b := models(t, renamed, Checker{Kind: kind})
		if !maps.Equal(a.count, b.count) {
			t.Fatalf("%v became %v by renaming\n%s", a.count, b.count, printed(h))
		}
	}
}

// TestForgetting holds that knowing less never accuses more: a transaction whose end is not known rules out no model that was possible
// before. Histories whose reads contradict each other are left out: there it depends on which of them are believed.
func TestForgetting(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 2))
	for range *rounds {
		kind := Kind(r.IntN(2))
		h := drawHistory(r, kind)
		at := r.IntN(len(h))
		if h[at].Type != history.OK {
			continue
		}
		less := slices.Clone(h)
		less[at].Type, less[at].Value = history.Info, nil
		for i := at + 1; i < len(less); i++ {
			if less[i].Process == h[at].Process {
				less[i].Process += 1000 // the process is retired
			}
		}
		before, a := models(t, h, Checker{Kind: kind})
		if slices.ContainsFunc(a.found, func(f finding) bool { return len(f.edges) == 0 }) {
			continue
		}
		after, b := models(t, less, Checker{Kind: kind})
		for m := range after {
			if !before[m] {
				t.Fatalf("%s is ruled out only after an end was forgotten: %v, then %v\n%s\n%s", m, a.kindsSeen(), b.kindsSeen(), printed(h), printed(less))
			}
		}
	}
}

// TestIsolationLevels holds that a database which keeps a model is never accused of breaking it, in long histories.
func TestIsolationLevels(t *testing.T) {
	for _, tt := range []struct {
		isolation Isolation
		keeps     Model
	}{{Atomic, StrictSerial}, {Snapshot, StrongSnapshot}} {
		for _, kind := range []Kind{ListAppend, Register} {
			t.Run(fmt.Sprint(tt.keeps, kind), func(t *testing.T) {
				for seed := range uint64(20) {
					g := DefaultGenerator(500)
					g.Kind, g.Isolation, g.Fail, g.Info, g.WritesPerKey = kind, tt.isolation, 0.05, 0.05, 30
					h := g.Generate(rand.New(rand.NewPCG(seed, 3)))
					keys := NoAssumption
					if tt.isolation == Atomic && seed%2 == 1 {
						keys = LinearizableKeys
					}
					if r := (Checker{Kind: kind, Expect: tt.keeps, Keys: keys}).Check(context.Background(), h); r.Verdict.String() != "valid" {
						t.Fatalf("seed %d: %s: %s", seed, r.Verdict, r.Summary)
					}
				}
			})
		}
	}
}
