package nemesis

import (
	"math/rand/v2"
	"time"

	"rift/harness/history"
)

// ClockPath is how the clocks of one node go wrong under a clock fault, by the time since the fault was put in, for clusters that make their clocks
// themselves. Offsets are from the true clock.
type ClockPath struct{ course course }

// AimClocks gives each of the nodes that a planned clock fault has picked its part of the skew.
func AimClocks(p history.PlannedFault, nodes []string, r *rand.Rand) (map[string]ClockPath, error) {
	s, err := parseSkew(p.Args)
	if err != nil {
		return nil, err
	}
	paths := make(map[string]ClockPath)
	part := parts(len(nodes), r)
	for i, node := range nodes {
		course, err := s.share(part[i]).course()
		if err != nil {
			return nil, err
		}
		paths[node] = ClockPath{course}
	}
	return paths, nil
}

// Wall is how far ahead the wall clock is.
func (p ClockPath) Wall(elapsed time.Duration) time.Duration {
	s := p.course[p.course.at(elapsed)]
	off := s.wallAt(elapsed)
	if strobe := s.skew.Wall.Strobe; strobe.HalfPeriod > 0 {
		if (elapsed-s.from)/strobe.HalfPeriod%2 == 1 {
			return off - strobe.Amplitude
		}
		return off + strobe.Amplitude
	}
	return off
}

// Monotonic is how far ahead the monotonic clock is, which is never more than 0, and Rate how fast it goes.
func (p ClockPath) Monotonic(elapsed time.Duration) time.Duration {
	off := time.Duration(0)
	for i, s := range p.course {
		end := elapsed
		if i+1 < len(p.course) {
			end = min(end, p.course[i+1].from)
		}
		if end > s.from {
			off += time.Duration((monotonicRate(s) - 1) * float64(end-s.from))
		}
	}
	return off
}

// Rate is how fast the monotonic clock goes.
func (p ClockPath) Rate(elapsed time.Duration) float64 {
	return monotonicRate(p.course[p.course.at(elapsed)])
}
