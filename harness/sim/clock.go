package sim

import "time"

// epoch is what wall clocks show at the beginning of a world: 2001-09-09T01:46:40Z.
const epoch = 1_000_000_000 * time.Second

// glance is how long it takes to look at a clock, so that a program which waits for time to pass without waiting sees it pass.
const glance = 300 * time.Nanosecond

// clock is how a machine's clocks go against the world's time.
type clock struct {
	world *world
	rate  float64                               // of the monotonic clock; above 0, 1 is true
	since time.Duration                         // when the rate began, in the world's time
	base  time.Duration                         // what the monotonic clock showed then
	last  time.Duration                         // what it showed last
	wall  func(now time.Duration) time.Duration // how far the wall clock is ahead; nil: not at all
}

func newClock(w *world) *clock { return &clock{world: w, rate: 1, since: w.now, base: w.now} }

// monotonic is what the monotonic clock shows. It never goes back, and never stands still.
func (c *clock) monotonic() time.Duration {
	c.last = max(c.base+time.Duration(float64(c.world.now-c.since)*c.rate), c.last+glance)
	return c.last
}

// wallTime is what the wall clock shows, since 1970.
func (c *clock) wallTime() time.Duration {
	t := epoch + c.world.now + max(0, c.last-c.world.now)
	if c.wall != nil {
		t += c.wall(c.world.now)
	}
	return t
}

// setRate has the monotonic clock go at another rate from now on.
func (c *clock) setRate(rate float64) {
	c.base, c.since = c.base+time.Duration(float64(c.world.now-c.since)*c.rate), c.world.now
	c.rate = rate
}

// span is how long a time of the monotonic clock takes in the world.
func (c *clock) span(d time.Duration) time.Duration { return time.Duration(float64(d)/c.rate) + 1 }
