// Package sim is a world in which a cluster runs from one integer.
package sim

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"rift/harness/history"
)

// world is virtual time, and everything that happens in it. One goroutine at a time runs in it.
type world struct {
	ctx     context.Context
	seed    int64
	now     time.Duration
	agenda  agenda
	planned uint64
	ties    *rand.Rand

	program *Program
	guests  map[string]*guest
	order   []*guest
	net     *network
	trace   func(format string, args ...any)
}

func newWorld(ctx context.Context, seed int64, p *Program) *world {
	w := &world{ctx: ctx, seed: seed, ties: history.Rand(seed, "sim/ties"), program: p, guests: make(map[string]*guest)}
	w.net = newNetwork(w)
	return w
}

// errStuck is the error of a world in which nothing is going to happen.
var errStuck = errors.New("nothing is going to happen any more")

// until lets the world go on until something is so.
func (w *world) until(so func() bool) error {
	for !so() {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		if len(w.agenda) == 0 {
			return fmt.Errorf("at %s: %w", w.now, errStuck)
		}
		e := heap.Pop(&w.agenda).(*event)
		if e.do == nil {
			continue // it was called off
		}
		w.now = e.at
		e.do()
	}
	return nil
}

// pass lets some time pass.
func (w *world) pass(d time.Duration) error {
	over := false
	w.after(d, func() { over = true })
	return w.until(func() bool { return over })
}
