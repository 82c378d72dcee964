package vdso

import "math/bits"

// A timeline is a clock that goes its own way: clocks that always agree (a clock and its coarse form) share one.
const (
	wall = iota
	tai
	monotonic
	raw
	boot
	timelines
)

// line is a skew that changes steadily: Skew at the line's start, and Excess·2^-32 more for each nanosecond after it.
type line struct {
	Skew, Excess int64
}

// timeline says how one timeline is skewed. The shim reads it in this form, as seven little-endian words, and
// computes what at computes. Instants before Start still follow the line before it, so that a switch is one instant of the clock,
// however late or early a thread learns of it.
type timeline struct {
	Start         int64 // ns on the true clock
	Before, After line
	Amplitude     int64 // ns; of the strobe, which runs from Start on
	HalfPeriod    int64 // ns; 0 for no strobe
}

// block is everything that the shim reads for one answer.
type block [timelines]timeline

// at is what a process sees when the true clock shows x ns.
func (t timeline) at(x int64) int64 {
	since := x - t.Start
	if since < 0 {
		return x + t.Before.at(since)
	}
	skewed := x + t.After.at(since)
	if t.HalfPeriod == 0 {
		return skewed
	}
	if since/t.HalfPeriod%2 == 1 {
		return skewed - t.Amplitude
	}
	return skewed + t.Amplitude
}

func (l line) at(since int64) int64 {
	return l.Skew + scale(since, l.Excess)
}

// scale is a·b/2^32, rounded down, with the product in 128 bits.
func scale(a, b int64) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	if a < 0 {
		hi -= uint64(b)
	}
	if b < 0 {
		hi -= uint64(a)
	}
	return int64(hi<<32 | lo>>32)
}

// turn is the block that goes on as b does until the given instants, one for each timeline, and then as s asks.
func (b block) turn(start [timelines]int64, s Skew) block {
	var next block
	for i, t := range b {
		before := t.lineAt(start[i])
		next[i] = timeline{Start: start[i], Before: before}
		if i == wall || i == tai {
			next[i].After = line{int64(s.Wall.Offset), s.Wall.excess()}
			if s.Wall.Strobe.Amplitude != 0 {
				next[i].Amplitude, next[i].HalfPeriod = int64(s.Wall.Strobe.Amplitude), int64(s.Wall.Strobe.HalfPeriod)
			}
		} else {
			next[i].After = line{before.Skew + int64(s.Monotonic.Offset), s.Monotonic.excess()}
		}
	}
	return next
}

// lineAt is the steady skew that is in force when the true clock shows x ns, its strobe left aside, as a line from x on.
func (t timeline) lineAt(x int64) line {
	since := x - t.Start
	if since < 0 {
		return line{t.Before.at(since), t.Before.Excess}
	}
	return line{t.After.at(since), t.After.Excess}
}

// slows says whether any monotonic timeline goes slower after next's start than before it. A thread that
// learned of that too late would see it step back.
func (b block) slows() bool {
	return b[monotonic].After.Excess < b[monotonic].Before.Excess
}
