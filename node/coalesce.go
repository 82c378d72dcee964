package node

import (
	"context"
	"sync"
)

// A coalescer lets many callers share one answer to the same question, on the condition that the
// question was asked after each of them came. Callers that come while it is being asked share the next.
type coalescer[T any] struct {
	ask func(context.Context) (T, error)

	mu   sync.Mutex
	next *round[T] // not yet asked; nil if nobody waits
	wake chan struct{}
}

type round[T any] struct {
	done   chan struct{}
	answer T
	err    error
}

func newCoalescer[T any](ask func(context.Context) (T, error)) *coalescer[T] {
	return &coalescer[T]{ask: ask, wake: make(chan struct{}, 1)}
}

// run asks, round after round, until ctx ends.
func (c *coalescer[T]) run(ctx context.Context) {
	for {
		select {
		case <-c.wake:
		case <-ctx.Done():
			return
		}
		c.mu.Lock()
		r := c.next
		c.next = nil
		c.mu.Unlock()
		r.answer, r.err = c.ask(ctx)
		close(r.done)
	}
}

// get returns the answer to a question that is asked after the call.
func (c *coalescer[T]) get(ctx context.Context) (T, error) {
	c.mu.Lock()
	r := c.next
	if r == nil {
		r = &round[T]{done: make(chan struct{})}
		c.next = r
		c.wake <- struct{}{} // never blocks: there is one wake for each round
	}
	c.mu.Unlock()
	select {
	case <-r.done:
		return r.answer, r.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}
