package shrink

import "math"

// Needed is how many of some trials must show a violation for a candidate to be taken, where runs do not repeat themselves: more than half. If one were enough,
// each step could make the violation rarer.
func Needed(trials int) int { return trials/2 + 1 }

// Taken is the probability that a candidate is taken that shows the violation at a rate.
func Taken(trials int, rate float64) float64 {
	p := 0.0
	for hits := Needed(trials); hits <= trials; hits++ {
		p += choose(trials, hits) * math.Pow(rate, float64(hits)) * math.Pow(1-rate, float64(trials-hits))
	}
	return p
}

// choose is the number of ways to choose k of n.
func choose(n, k int) float64 {
	ways := 1.0
	for i := 1; i <= k; i++ {
		ways *= float64(n-k+i) / float64(i)
	}
	return ways
}
