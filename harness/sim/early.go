package sim

import (
	"errors"
	"time"

	"rift/harness/history"
)

// lookEvery is how often a run looks whether its history breaks a promise already, in virtual time.
const lookEvery = 2 * time.Second

// errBroken ends a run whose history breaks a promise already.
var errBroken = errors.New("the history breaks a promise already")

// lookEarly has growing prefixes of the history looked at, until the function that it returns is called. Promises are about what can be taken for true of a prefix,
// such as linearizability: what is broken stays broken, and the run need not go on.
func (r *run) lookEarly() (stop func()) {
	if r.Broken == nil {
		return func() {}
	}
	var h history.History
	r.record.Tap(func(op history.Op) { h = append(h, op) })
	t := r.world.spawn(func(t *task) {
		for t.sleep(lookEvery) {
			if r.Broken(h) {
				r.world.broken = errBroken
				return
			}
		}
	})
	return t.stop
}
