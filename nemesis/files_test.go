package nemesis

import (
	"testing"
)

// TestLimitForLeavesTheSpare holds the limit against trying every one.
func TestLimitForLeavesTheSpare(t *testing.T) {
	const most = 100
	r := random()
	for range 2000 {
		open := make(map[int]bool)
		for range r.IntN(40) {
			open[r.IntN(60)] = true
		}
		spare, highest := r.IntN(12), 0
		for limit := range most {
			leaves := 0
			for fd := range limit {
				if !open[fd] {
					leaves++
				}
			}
			if leaves != free(open, uint64(limit)) {
				t.Fatalf("open %v: %d are free under limit %d, not %d", open, leaves, limit, free(open, uint64(limit)))
			}
			if leaves == spare {
				highest = limit
			}
		}
		if got := limitFor(open, spare); got != uint64(highest) {
			t.Fatalf("open %v, spare %d: limit %d, want %d", open, spare, got, highest)
		}
	}
}

func TestFilesDoNotNeedANodeThatListens(t *testing.T) {
	c := newProcessCluster(t, 1)
	h, _ := c.Host("n1")
	for h.Port++; ; h.Port++ { // the next port that nobody listens on
		k, err := knock(h, 1)
		k.leave()
		if err != nil {
			break
		}
	}
	l := &filesLimit{spare: 0}
	if _, err := l.lower(t.Context(), h); err == nil {
		t.Error("a node that does not listen was seen to accept nothing")
	}
	if p, err := l.raise(t.Context(), c); err != nil || !p.proven {
		t.Errorf("raise: %+v, error %v", p, err)
	}
}
