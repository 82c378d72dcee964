package shrink

import "math"

// z95 is the standard normal quantile of a two-sided interval of 95 %.
const z95 = 1.959964

// Wilson is the 95 % confidence interval of a rate of which hits of trials were seen (Wilson, JASA 1927). It stays honest for few trials, and for
// none or all of them hits, where others claim certainty. Without trials it is everything.
func Wilson(hits, trials int) (low, high float64) {
	if trials <= 0 {
		return 0, 1
	}
	n, p := float64(trials), float64(hits)/float64(trials)
	scale := 1 + z95*z95/n
	middle := (p + z95*z95/(2*n)) / scale
	half := z95 / scale * math.Sqrt(p*(1-p)/n+z95*z95/(4*n*n))
	return max(0, middle-half), min(1, middle+half)
}
