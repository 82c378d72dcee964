package shrink_test

import (
	"math"
	"testing"

	"rift/harness/shrink"
)

// TestWilson holds the interval against figures from the literature (Newcombe, Statistics in Medicine 1998, method 3).
func TestWilson(t *testing.T) {
	for _, tc := range []struct {
		hits, trials int
		low, high    float64
	}{
		{81, 263, 0.2553, 0.3662},
		{15, 148, 0.0624, 0.1605},
		{0, 20, 0, 0.1611},
		{1, 29, 0.0061, 0.1718},
		{10, 10, 0.7225, 1},
		{0, 0, 0, 1},
	} {
		low, high := shrink.Wilson(tc.hits, tc.trials)
		if math.Abs(low-tc.low) > 5e-5 || math.Abs(high-tc.high) > 5e-5 {
			t.Errorf("%d of %d: %.4f to %.4f, want %.4f to %.4f", tc.hits, tc.trials, low, high, tc.low, tc.high)
		}
	}
}

func TestWilsonNarrowsWithTrials(t *testing.T) {
	width := 1.0
	for n := 2; n < 2000; n *= 2 {
		low, high := shrink.Wilson(n/2, n)
		if low > 0.5 || high < 0.5 || high-low >= width {
			t.Errorf("%d of %d: %.3f to %.3f, no narrower than %.3f around a half", n/2, n, low, high, width)
		}
		width = high - low
	}
}

func TestTaken(t *testing.T) {
	for _, tc := range []struct {
		trials int
		rate   float64
		want   float64
	}{
		{1, 0.3, 0.3}, {3, 1, 1}, {3, 0, 0}, {3, 0.5, 0.5}, {3, 0.2, 0.104}, {5, 0.5, 0.5}, {2, 0.5, 0.25}, {3, 0.9, 0.972},
	} {
		if got := shrink.Taken(tc.trials, tc.rate); math.Abs(got-tc.want) > 1e-9 {
			t.Errorf("%d trials at a rate of %g: taken with %g, want %g", tc.trials, tc.rate, got, tc.want)
		}
	}
}
