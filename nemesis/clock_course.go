package nemesis

import (
	"errors"
	"fmt"
	"time"

	"rift/nemesis/vdso"
)

// course is how the clocks of a node go wrong over the fault's time: segments in the order of time, the first from 0, the last
// for ever. A clock that drifts goes on drifting while its node restarts.
type course []segment

// segment is a part of a course during which the clocks are skewed steadily. The offset of the wall clock is that at its beginning.
type segment struct {
	from time.Duration // since the fault was put in
	skew vdso.Skew
}

// at is the place of the segment that is in force when so much time has passed.
func (c course) at(elapsed time.Duration) int {
	i := 0
	for i+1 < len(c) && c[i+1].from <= elapsed {
		i++
	}
	return i
}

// first is the place of the first segment in which the clocks are wrong; -1 if there is none.
func (c course) first() int {
	for i, s := range c {
		if s.skew != (vdso.Skew{}) {
			return i
		}
	}
	return -1
}

// slows says whether the course touches the monotonic clock.
func (c course) slows() bool {
	for _, s := range c {
		if s.skew.Monotonic != (vdso.Clock{}) {
			return true
		}
	}
	return false
}

// check refuses a course that leads beyond the limits of a clock, or that leaves clocks true for longer than the effect of a
// fault is waited for.
func (c course) check() error {
	for i, s := range c {
		err := s.skew.Validate()
		if err == nil && i+1 < len(c) {
			if end := s.wallAt(c[i+1].from); end.Abs() > vdso.MaxOffset {
				err = fmt.Errorf("the wall clock comes to be %v off, at most %v to either side allowed", end, vdso.MaxOffset)
			}
		}
		if err != nil && len(c) > 1 {
			err = fmt.Errorf("from %v on: %w", s.from, err)
		}
		if err != nil {
			return err
		}
	}
	switch first := c.first(); {
	case first < 0:
		return errors.New("every clock stays true: a point other than +0 wanted")
	case c[first].from > clockProof:
		return fmt.Errorf("every clock stays true for %v, at most %v allowed: put the fault in later", c[first].from, clockProof)
	}
	return nil
}

// wallAt is how far off the wall clock is when so much time has passed since the fault was put in, its strobe left aside.
func (s segment) wallAt(elapsed time.Duration) time.Duration {
	return s.skew.Wall.Offset + time.Duration((wallRate(s)-1)*float64(elapsed-s.from))
}

// wallRate and monotonicRate are how fast the clocks go.
func wallRate(s segment) float64      { return orOne(s.skew.Wall.Rate) }
func monotonicRate(s segment) float64 { return orOne(s.skew.Monotonic.Rate) }

// orOne takes the zero value, which stands for the true rate, for what it means.
func orOne(rate float64) float64 {
	if rate == 0 {
		return 1
	}
	return rate
}
