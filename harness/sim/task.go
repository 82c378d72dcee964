package sim

import (
	"errors"
	"iter"
	"time"
)

// task is a coroutine of the world: code that reads from top to bottom, and waits in virtual time. It is for what is not a node: clients, and
// whoever asks nodes something.
type task struct {
	world  *world
	resume func() (struct{}, bool)
	stop   func()
	yield  func(struct{}) bool
	alarm  *event
	late   bool // the alarm has gone off
	done   bool
}

// errStopped unwinds a task's stack.
var errStopped = errors.New("the task was stopped")

// spawn begins a task, at once. It is stopped when the world ends, at the latest.
func (w *world) spawn(do func(t *task)) *task {
	t := &task{world: w}
	w.tasks = append(w.tasks, t)
	t.resume, t.stop = iter.Pull(func(yield func(struct{}) bool) {
		t.yield = yield
		defer func() {
			t.done = true
			if why := recover(); why != nil && why != errStopped {
				panic(why)
			}
		}()
		do(t)
	})
	t.resume()
	return t
}

// wait waits until something is so, at most until a time of the world, and says whether it is. Whoever may have made it so wakes the task. A task
// that is stopped does not come back from here.
func (t *task) wait(until time.Duration, so func() bool) bool {
	t.late = t.world.now >= until
	if !so() && !t.late {
		t.alarm = t.world.at(until, func() {
			t.late = true
			t.resume()
		})
	}
	for !so() && !t.late {
		if !t.yield(struct{}{}) {
			t.alarm.off()
			panic(errStopped)
		}
	}
	t.alarm.off()
	return so()
}

// sleep waits for some time. It is true, so that it can stand in the condition of a loop.
func (t *task) sleep(d time.Duration) bool {
	t.wait(t.world.now+d, func() bool { return false })
	return true
}

// wake has the task look again, unless it is over.
func (t *task) wake() {
	if !t.done {
		t.resume()
	}
}
