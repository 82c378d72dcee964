package sim

import (
	"math"
	"math/rand/v2"
	"time"

	"rift/harness/history"
)

// conditions are how good the machines and the network of a world are: each seed has its own, so that some have slow disks, some a slow network, and some one
// that loses a segment now and then, without any fault.
type conditions struct {
	latency time.Duration   // least of a link, one way
	spread  time.Duration   // added at most
	loss    float64         // share of segments that are lost
	syncs   []time.Duration // how long an fsync takes on each node's disk
}

// The ranges, each drawn evenly over its orders of magnitude.
const (
	latencyLeast, latencyMost = 50 * time.Microsecond, 5 * time.Millisecond
	syncLeast, syncMost       = 50 * time.Microsecond, 5 * time.Millisecond
	lossMost                  = 0.01
)

// drawConditions draws a world's conditions.
func drawConditions(seed int64, nodes int) conditions {
	r := history.Rand(seed, "sim/conditions")
	c := conditions{latency: drawTime(r, latencyLeast, latencyMost)}
	c.spread = time.Duration(float64(c.latency) * (0.1 + 3*r.Float64()))
	if r.IntN(3) == 0 {
		c.loss = lossMost * r.Float64()
	}
	usual := drawTime(r, syncLeast, syncMost)
	for range nodes {
		c.syncs = append(c.syncs, usual)
	}
	if r.IntN(3) == 0 {
		c.syncs[r.IntN(nodes)] = drawTime(r, syncMost, 4*syncMost) // one bad disk
	}
	return c
}

func drawTime(r *rand.Rand, least, most time.Duration) time.Duration {
	return time.Duration(float64(least) * math.Pow(float64(most)/float64(least), r.Float64()))
}
