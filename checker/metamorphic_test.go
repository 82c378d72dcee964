package checker

import (
	"context"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"rift/harness/history"
)

func registerVerdict(h history.History) Verdict {
	return Linearizable{Model: Register(), Workers: 1}.Check(context.Background(), h).Verdict
}

// TestRenaming holds that the names of keys and processes do not matter.
func TestRenaming(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range histories(t, 2_000) {
		s := randomShape(r)
		s.keys = 1 + r.IntN(3)
		h := draw(r, s)
		renamed := slices.Clone(h)
		for i := range renamed {
			renamed[i].Key = "k" + strconv.Itoa(9-int(renamed[i].Key[0]-'0'))
			renamed[i].Process = 1000 - renamed[i].Process
		}
		if a, b := registerVerdict(h), registerVerdict(renamed); a != b {
			t.Fatalf("%s, but renamed %s:\n%s", a, b, lines(h))
		}
	}
}

// TestForgetting holds that knowing less never makes a valid history invalid: an operation that succeeded becomes one
// of which nobody knows.
func TestForgetting(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	valid := 0
	for range histories(t, 2_000) {
		h := draw(r, randomShape(r))
		if registerVerdict(h) != Valid {
			continue
		}
		valid++
		forgotten, next := forget(r, h)
		if registerVerdict(forgotten) == Invalid {
			t.Fatalf("valid, but invalid when event %d is forgotten:\n%s", next, lines(h))
		}
	}
	if valid < 100 {
		t.Errorf("only %d valid histories", valid)
	}
}

// forget turns one ok into info, and gives the process's later operations to a new one.
func forget(r *rand.Rand, h history.History) (history.History, int) {
	h = slices.Clone(h)
	from := r.IntN(len(h))
	at := slices.IndexFunc(h[from:], func(o history.Op) bool { return o.Type == history.OK })
	if at < 0 {
		return h, from
	}
	at += from
	process := h[at].Process
	h[at].Type, h[at].Value, h[at].Error = history.Info, nil, "forgotten"
	for i := at + 1; i < len(h); i++ {
		if h[i].Process == process {
			h[i].Process = 5000
		}
	}
	return h, at
}
