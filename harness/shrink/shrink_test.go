package shrink_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"rift/harness/history"
	"rift/harness/shrink"
)

// world is a synthetic system: a run fails if a kill is in while a write to the bad key begins, and a read of it begins later, by another client.
type world struct {
	runs    int
	unlucky func(seed int64) bool // seeds under which nothing shows
}

func (w *world) try(_ context.Context, c shrink.Case) (shrink.Found, error) {
	w.runs++
	if w.unlucky != nil && w.unlucky(c.Seed) {
		return shrink.Found{}, nil
	}
	for _, f := range c.Faults {
		for _, write := range c.Ops {
			if f.Kind != "kill" || write.F != "write" || write.Key != "bad" || write.At < f.At || write.At > f.At+f.For || time.Duration(write.At) >= c.Time {
				continue
			}
			for _, read := range c.Ops {
				if read.F == "read" && read.Key == "bad" && read.At > write.At && read.Client != write.Client && time.Duration(read.At) < c.Time {
					return shrink.Found{Fails: true, Key: "bad", Witness: time.Duration(read.At)}, nil
				}
			}
		}
	}
	return shrink.Found{}, nil
}

// found is what a run of the case shows.
func (w *world) found(t *testing.T, c shrink.Case) shrink.Found {
	t.Helper()
	found, err := w.try(t.Context(), c)
	if w.runs = 0; err != nil || !found.Fails {
		t.Fatalf("the case to begin with does not fail: %v", err)
	}
	return found
}

// drawn is a long run with much that has nothing to do with the violation.
func drawn(seed uint64) shrink.Case {
	r := rand.New(rand.NewPCG(seed, 1))
	const length = 20 * time.Second
	c := shrink.Case{Time: length, Nodes: 5, Clients: 5, Seed: int64(seed), Ops: []history.TimedOp{}}
	for i := range 25 {
		at := time.Duration(r.Int64N(int64(length - 2*time.Second)))
		c.Faults = append(c.Faults, history.PlannedFault{
			ID: i + 1, Kind: []string{"kill", "partition", "pause"}[r.IntN(3)], At: history.Duration(at), For: history.Duration(time.Second),
		})
	}
	for range 1000 {
		c.Ops = append(c.Ops, history.TimedOp{
			Client: r.IntN(5), At: history.Duration(r.Int64N(int64(length))), F: []string{"write", "read"}[r.IntN(2)], Key: []string{"good", "fine", "bad"}[r.IntN(3)],
		})
	}
	slices.SortFunc(c.Ops, func(a, b history.TimedOp) int { return int(a.At - b.At) })
	return c
}

func TestSmallest(t *testing.T) {
	for seed := range uint64(30) {
		var w world
		got, err := shrink.Search{Try: w.try, Seeds: 2}.Smallest(t.Context(), w.found(t, drawn(seed)), drawn(seed))
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if !got.Minimal || len(got.Faults) != 1 || len(got.Ops) != 2 || got.Nodes != 1 || got.Time > time.Second || got.Runs != w.runs {
			t.Errorf("seed %d: %d faults, %d operations, %d nodes, %s after %d runs (minimal: %v), want 1, 2, 1 and at most 1 s", seed,
				len(got.Faults), len(got.Ops), got.Nodes, got.Time, got.Runs, got.Minimal)
		}
		if found, _ := w.try(t.Context(), got.Case); !found.Fails {
			t.Errorf("seed %d: the smallest case does not fail", seed)
		}
	}
}

// TestSmallestTriesFurtherSeeds has a system that shows its bug under every other seed only.
func TestSmallestTriesFurtherSeeds(t *testing.T) {
	var lucky world
	found := lucky.found(t, drawn(4))
	w := world{unlucky: func(seed int64) bool { return seed%2 == 0 }}
	got, err := shrink.Search{Try: w.try, Seeds: 2}.Smallest(t.Context(), found, drawn(4))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Faults) != 1 || len(got.Ops) != 2 || got.Seed%2 == 0 {
		t.Errorf("%d faults, %d operations, seed %d; want 1, 2 and an odd seed", len(got.Faults), len(got.Ops), got.Seed)
	}
}

func TestSmallestTakesTheFirstStartThatFails(t *testing.T) {
	var w world
	healthy := drawn(1)
	healthy.Faults = nil
	if _, err := (shrink.Search{Try: w.try, Seeds: 1}).Smallest(t.Context(), w.found(t, drawn(1)), healthy, drawn(1)); err != nil {
		t.Error(err)
	}
	if _, err := (shrink.Search{Try: w.try, Seeds: 1}).Smallest(t.Context(), shrink.Found{Fails: true}, healthy); !errors.Is(err, shrink.ErrNotReproduced) {
		t.Errorf("a case that does not fail gives %v", err)
	}
}

// TestSmallestKeepsToItsBudget spends the budget in the middle: the smallest case so far is the answer, and nothing is tried after it.
func TestSmallestKeepsToItsBudget(t *testing.T) {
	const most = 12
	start := drawn(2)
	ctx, spend := context.WithCancel(t.Context())
	defer spend()
	var w world
	search := shrink.Search{Seeds: 1, Try: func(ctx context.Context, c shrink.Case) (shrink.Found, error) {
		if w.runs == most {
			spend()
			return shrink.Found{}, ctx.Err()
		}
		return w.try(ctx, c)
	}}
	got, err := search.Smallest(ctx, (&world{}).found(t, start), start)
	if err != nil || got.Minimal || w.runs != most {
		t.Fatalf("after %d runs: %v, minimal %v; want %d runs and no error", w.runs, err, got.Minimal, most)
	}
	if found, _ := w.try(t.Context(), got.Case); !found.Fails {
		t.Error("the smallest case so far does not fail")
	}
}

func TestSmallestEndsWithAnError(t *testing.T) {
	broken := errors.New("the machine is on fire")
	for _, after := range []int{0, 3} {
		var w world
		search := shrink.Search{Seeds: 1, Try: func(ctx context.Context, c shrink.Case) (shrink.Found, error) {
			if w.runs == after {
				return shrink.Found{}, broken
			}
			return w.try(ctx, c)
		}}
		if _, err := search.Smallest(t.Context(), (&world{}).found(t, drawn(2)), drawn(2)); !errors.Is(err, broken) {
			t.Errorf("an error in run %d gives %v", after+1, err)
		}
	}
}

// TestSmallestWithoutOperations shrinks what the workload draws the operations for.
func TestSmallestWithoutOperations(t *testing.T) {
	c := drawn(3)
	c.Ops = nil
	search := shrink.Search{Seeds: 1, Try: func(_ context.Context, c shrink.Case) (shrink.Found, error) {
		kills := slices.ContainsFunc(c.Faults, func(f history.PlannedFault) bool { return f.Kind == "kill" })
		return shrink.Found{Fails: kills && c.Clients >= 2 && c.Nodes >= 3 && c.Ops == nil}, nil
	}}
	got, err := search.Smallest(t.Context(), shrink.Found{Fails: true}, c)
	if err != nil || len(got.Faults) != 1 || got.Clients != 2 || got.Nodes != 3 || got.Time > time.Second {
		t.Errorf("%v: %d faults, %d clients, %d nodes, %s; want 1, 2, 3 and at most 1 s", err, len(got.Faults), got.Clients, got.Nodes, got.Time)
	}
}
