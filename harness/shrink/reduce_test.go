package shrink_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"rift/harness/shrink"
)

// needs is a predicate that holds while all of some numbers are there.
func needs(needed []int, asked *int) func([]int) bool {
	return func(items []int) bool {
		*asked++
		return !slices.ContainsFunc(needed, func(n int) bool { return !slices.Contains(items, n) })
	}
}

func upTo(n int) []int {
	items := make([]int, n)
	for i := range items {
		items[i] = i
	}
	return items
}

func TestReduceFindsExactlyWhatIsNeeded(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		n := 1 + r.IntN(200)
		needed := r.Perm(n)[:1+r.IntN(min(n, 6))]
		slices.Sort(needed)
		asked := 0
		if got := shrink.Reduce(upTo(n), needs(needed, &asked)); !slices.Equal(got, needed) {
			t.Fatalf("of %d items, %v are needed, and %v are left", n, needed, got)
		}
		if most := 20 * len(needed) * 8 * 2; asked > n*len(needed)+most {
			t.Errorf("%d questions for %d of %d items", asked, len(needed), n)
		}
	}
}

// TestReduceIsOneMinimal tries predicates in which items stand for each other, so that there are many minimal answers.
func TestReduceIsOneMinimal(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		n := 1 + r.IntN(60)
		salt := r.Uint64()
		still := func(items []int) bool { // at least two of each of three groups, or as many as there are
			groups := make([]int, 3)
			for _, i := range items {
				groups[(uint64(i)*salt>>7)%3]++
			}
			all := make([]int, 3)
			for i := range n {
				all[(uint64(i)*salt>>7)%3]++
			}
			for g := range groups {
				if groups[g] < min(2, all[g]) {
					return false
				}
			}
			return true
		}
		left := shrink.Reduce(upTo(n), still)
		if !still(left) {
			t.Fatalf("what is left of %d items does not fail: %v", n, left)
		}
		for i := range left {
			if fewer := slices.Concat(left[:i], left[i+1:]); len(fewer) > 0 && still(fewer) {
				t.Fatalf("of %d items, %v are left, and %d can be left out", n, left, left[i])
			}
		}
		if !slices.IsSorted(left) {
			t.Fatalf("the order is lost: %v", left)
		}
	}
}

func TestReduceNeverAsksForNone(t *testing.T) {
	got := shrink.Reduce(upTo(9), func(items []int) bool {
		if len(items) == 0 {
			t.Error("asked for none")
		}
		return true
	})
	if len(got) != 1 || len(shrink.Reduce(nil, func([]int) bool { return true })) != 0 {
		t.Errorf("%v is left where everything may go but one", got)
	}
}

func ExampleReduce() {
	words := []string{"a", "needle", "in", "a", "haystack"}
	fmt.Println(shrink.Reduce(words, func(fewer []string) bool { return slices.Contains(fewer, "needle") }))
	// Output: [needle]
}
