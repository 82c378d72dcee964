package nemesis

import (
	"context"
	"fmt"
	"math"
	"time"

	"rift/nemesis/vdso"
)

// proof is what the clocks of a node's process showed.
type proof struct {
	proven   bool
	ended    bool   // the process ended before it could be asked
	saw      string // in a few words
	measures map[string]float64
	applied  time.Duration // until it was in force, without the measuring
}

// offsetSlack is what a measured offset may differ from the wanted beyond the error of its measurement.
const offsetSlack = 100 * time.Microsecond

// readInterval is how far apart readings are, unless there is a reason.
const readInterval = 30 * time.Millisecond

// prove asks the process for its clocks until they are seen to be skewed as was set, at most until the context ends. A skew
// that was not seen is no error.
func (s skew) prove(ctx context.Context, p *vdso.Process, set vdso.Skew) (proof, error) {
	switch s.how {
	case bump:
		return proveOffset(ctx, p, set.Wall.Offset)
	case drift:
		return proveRate(ctx, p, "wall", s.rate)
	case strobe:
		return proveStrobe(ctx, p, s.offset, s.half)
	default:
		return proveRate(ctx, p, "monotonic", s.rate)
	}
}

// proveHealed does the same for true clocks. What a monotonic clock has lost stays lost.
func (s skew) proveHealed(ctx context.Context, p *vdso.Process) (proof, error) {
	if s.how == slow {
		return proveRate(ctx, p, "monotonic", 1)
	}
	return proveOffset(ctx, p, 0)
}

// proveOffset looks until the wall clock is seen where it should be, and so exactly that it cannot be where it should not: true,
// if it is to be skewed.
func proveOffset(ctx context.Context, p *vdso.Process, want time.Duration) (proof, error) {
	for {
		r, err := p.Read()
		if err != nil {
			return proof{}, err
		}
		if proven := isNear(r, want) && (want == 0 || !isNear(r, 0)); proven || !wait(ctx, readInterval) {
			return proof{
				proven:   proven,
				saw:      fmt.Sprintf("its wall clock is %s off (± %v)", signed(r.Wall), r.Error.Round(time.Microsecond)),
				measures: map[string]float64{"wall_ms": milliseconds(r.Wall), "error_ms": milliseconds(r.Error)},
			}, nil
		}
	}
}

func isNear(r vdso.Reading, want time.Duration) bool {
	return (r.Wall - want).Abs() <= r.Error+offsetSlack
}

// proveRate measures how fast a clock goes, over an interval that grows until a quarter of the difference from
// the true rate can be told for certain (2 % where there is to be none).
func proveRate(ctx context.Context, p *vdso.Process, clock string, want float64) (proof, error) {
	of := func(r vdso.Reading) time.Duration { return r.Wall }
	if clock == "monotonic" {
		of = func(r vdso.Reading) time.Duration { return r.Monotonic }
	}
	tolerance := math.Abs(want-1) / 4
	if want == 1 {
		tolerance = 0.02
	}
	first, err := p.Read()
	if err != nil {
		return proof{}, err
	}
	for pause := readInterval; ; pause *= 2 {
		waited := wait(ctx, pause)
		last, err := p.Read()
		if err != nil {
			return proof{}, err
		}
		passed := float64(last.At - first.At)
		rate := 1 + float64(of(last)-of(first))/passed
		within := float64(first.Error+last.Error) / passed
		proven := math.Abs(rate-want)+within <= tolerance
		if proven || !waited {
			return proof{
				proven:   proven,
				saw:      fmt.Sprintf("its %s clock goes at rate %.3f (± %.3f) and is %s off", clock, rate, within, signed(of(last))),
				measures: map[string]float64{clock + "_rate": rate, clock + "_ms": milliseconds(of(last))},
			}, nil
		}
	}
}

// proveStrobe looks until it has seen the wall clock at both ends.
func proveStrobe(ctx context.Context, p *vdso.Process, amplitude, half time.Duration) (proof, error) {
	var ahead, behind int
	for {
		r, err := p.Read()
		if err != nil {
			return proof{}, err
		}
		switch atAhead, atBehind := isNear(r, amplitude), isNear(r, -amplitude); {
		case atAhead && !atBehind:
			ahead++
		case atBehind && !atAhead:
			behind++
		}
		if proven := ahead > 0 && behind > 0; proven || !wait(ctx, half/3) {
			return proof{
				proven:   proven,
				saw:      fmt.Sprintf("its wall clock was seen %d times %s off, and %d times %s", ahead, signed(amplitude), behind, signed(-amplitude)),
				measures: map[string]float64{"amplitude_ms": milliseconds(amplitude), "half_period_ms": milliseconds(half)},
			}, nil
		}
	}
}

// wait lets time pass; false if the context ended first.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// signed is a duration with its sign, and no more digits than people read.
func signed(d time.Duration) string {
	rounded := d.Round(time.Microsecond)
	if d.Abs() > time.Second {
		rounded = d.Round(time.Millisecond)
	}
	if d >= 0 {
		return "+" + rounded.String()
	}
	return rounded.String()
}
