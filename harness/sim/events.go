package sim

import (
	"container/heap"
	"time"
)

// event is something that happens at a virtual time. Events of the same time come in an order that the seed draws.
type event struct {
	at   time.Duration
	turn uint64 // drawn
	seq  uint64 // of two events with the same draw, the first
	do   func()
}

// agenda is what is going to happen: a heap, earliest first.
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

func (a *agenda) Push(x any) { *a = append(*a, x.(*event)) }

func (a *agenda) Pop() any {
	old := *a
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*a = old[:len(old)-1]
	return last
}

// at plans something.
func (w *world) at(t time.Duration, do func()) *event {
	w.planned++
	e := &event{at: max(t, w.now), turn: w.ties.Uint64(), seq: w.planned, do: do}
	heap.Push(&w.agenda, e)
	return e
}

// after plans something.
func (w *world) after(d time.Duration, do func()) *event { return w.at(w.now+d, do) }
