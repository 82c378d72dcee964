package sim

import (
	"time"

	"rift/nemesis"
)

// epoch is what wall clocks show at the beginning of a world: 2001-09-09T01:46:40Z.
const epoch = 1_000_000_000 * time.Second

// glance is how long it takes to look at a clock, so that a program which waits for time to pass without waiting sees it pass.
const glance = 300 * time.Nanosecond

// clock is how a machine's clocks go against the world's time. They go on while the machine's process is down.
type clock struct {
	world  *world
	path   *nemesis.ClockPath // of the fault that is in; nil if none is
	since  time.Duration      // when it was put in
	behind time.Duration      // at most 0: what earlier faults have cost the monotonic clock
	last   time.Duration      // what the monotonic clock showed last
}

func newClock(w *world) *clock { return &clock{world: w} }

// monotonic is what the monotonic clock shows. It never goes back, and never stands still.
func (c *clock) monotonic() time.Duration {
	shows := c.world.now + c.behind
	if c.path != nil {
		shows += c.path.Monotonic(c.world.now - c.since)
	}
	c.last = max(shows, c.last+glance)
	return c.last
}

// wallTime is what the wall clock shows, since 1970.
func (c *clock) wallTime() time.Duration {
	ahead := time.Duration(0)
	if c.path != nil {
		ahead = c.path.Wall(c.world.now - c.since)
	}
	return epoch + c.world.now + ahead
}

// follow has the clocks go wrong from now on.
func (c *clock) follow(p nemesis.ClockPath) { c.path, c.since = &p, c.world.now }

// correct sets the wall clock right, and has the monotonic clock go on from where it stands.
func (c *clock) correct() {
	if c.path != nil {
		c.behind += c.path.Monotonic(c.world.now - c.since)
		c.path = nil
	}
}

// span is about how long a time of the monotonic clock takes in the world: exactly if its rate stays as it is.
func (c *clock) span(d time.Duration) time.Duration {
	rate := 1.0
	if c.path != nil {
		rate = c.path.Rate(c.world.now - c.since)
	}
	return time.Duration(float64(d)/rate) + 1
}
