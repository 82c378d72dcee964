package node

import "time"

// clockTTL counts the lives of keys by the leader's wall clock, and without a limit to what may pass at
// once. When that clock is set ahead, by hand or by a time server, keys are gone long before their time.
var clockTTL = Bug{
	Name:        "clock-ttl",
	Description: "keys expire by the leader's wall clock",
	plant: func(n *Node) {
		wall := n.wallClock()
		n.seams.lapTimer = func() (lap func() time.Duration) {
			last := wall()
			return func() time.Duration {
				now := wall()
				passed := max(now.Sub(last), 1)
				last = now
				return passed
			}
		}
	},
}

// wallClock returns a clock that shows the time of day, without a monotonic reading.
func (n *Node) wallClock() func() time.Time {
	clock := n.config.wallClock
	if clock == nil {
		clock = time.Now
	}
	return func() time.Time { return clock().Round(0) } // Round strips the monotonic reading
}
