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

// world is virtual time, and what is going to happen in it. One goroutine at a time runs in it.
type world struct {
	ctx    context.Context
	seed   int64
	now    time.Duration // since the beginning
	agenda agenda
	count  uint64     // of events that were planned
	ties   *rand.Rand // draws the order of events of the same instant
	net    *network
	tasks  []*task
	who    func() string // who waits for what
	broken error         // what went wrong with the world itself
}

// newWorld makes a world at its beginning. The context is looked at between events.
func newWorld(ctx context.Context, seed int64, c conditions) *world {
	w := &world{ctx: ctx, seed: seed, who: func() string { return "there is nobody" }, ties: history.Rand(seed, "sim/ties")}
	w.net = newNetwork(w, c)
	return w
}

// event is something that happens at a virtual time.
type event struct {
	at   time.Duration
	turn uint64 // drawn: events of the same instant come by it
	seq  uint64 // of two with the same turn, the one that was planned first
	do   func() // nil once it was called off
}

// at plans something; what lies in the past happens next.
func (w *world) at(t time.Duration, do func()) *event {
	w.count++
	e := &event{at: max(t, w.now), turn: w.ties.Uint64(), seq: w.count, do: do}
	heap.Push(&w.agenda, e)
	return e
}

// after plans something.
func (w *world) after(d time.Duration, do func()) *event { return w.at(w.now+d, do) }

// off calls an event off; nil and what has happened do no harm.
func (e *event) off() {
	if e != nil {
		e.do = nil
	}
}

// errStill is the error of a world in which nothing is going to happen any more.
var errStill = errors.New("nothing is going to happen any more")

// until lets the world go on until something is so.
func (w *world) until(so func() bool) error {
	for !so() {
		if err := errors.Join(w.ctx.Err(), w.broken); err != nil {
			return err
		}
		if len(w.agenda) == 0 {
			return fmt.Errorf("%s after the beginning: %w: %s", w.now, errStill, w.who())
		}
		e := heap.Pop(&w.agenda).(*event)
		if e.do == nil {
			continue
		}
		w.now = e.at
		e.do()
	}
	return nil
}

// end stops what is still going on, and gives back what it has.
func (w *world) end() {
	for _, t := range w.tasks {
		if !t.done {
			t.stop()
		}
	}
	w.tasks, w.agenda = nil, nil
}

// agenda is a heap of events, the next one first.
type agenda []*event

func (a agenda) Len() int { return len(a) }

func (a agenda) Less(i, j int) bool {
	x, y := a[i], a[j]
	switch {
	case x.at != y.at:
		return x.at < y.at
	case x.turn != y.turn:
		return x.turn < y.turn
	}
	return x.seq < y.seq
}

func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }

// Push appends an event.
func (a *agenda) Push(x any) { *a = append(*a, x.(*event)) }

// Pop takes the last event off.
func (a *agenda) Pop() any {
	last := len(*a) - 1
	e := (*a)[last]
	(*a)[last] = nil
	*a = (*a)[:last]
	return e
}
