package sim

import (
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

// spawn begins a task, at once.
func (w *world) spawn(do func(t *task)) *task {
	t := &task{world: w}
	t.resume, t.stop = iter.Pull(func(yield func(struct{}) bool) {
		t.yield = yield
		do(t)
		t.done = true
	})
	t.resume()
	return t
}

// wait waits until something is so, at most until a time of the world, and says whether it is. Whoever may have made it so wakes the task. A task
// that is stopped waits no more.
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
			break
		}
	}
	t.alarm.off()
	return so()
}

// sleep waits for some time; false if the task was stopped.
func (t *task) sleep(d time.Duration) bool {
	t.wait(t.world.now+d, func() bool { return false })
	return t.late
}

// wake has the task look again, unless it is over.
func (t *task) wake() {
	if !t.done {
		t.resume()
	}
}
