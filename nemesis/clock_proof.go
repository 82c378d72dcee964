package nemesis

import (
	"context"
	"fmt"
	"maps"
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

// prove asks the process for its clocks until they are seen to be skewed as the segment says, at most until the context ends. A skew
// that was not seen is no error. began is when the segment's course began, on the host's monotonic clock.
func (s segment) prove(ctx context.Context, p *vdso.Process, began time.Duration) (proof, error) {
	wall, monotonic := s.skew.Wall, s.skew.Monotonic
	var proofs []proof
	add := func(made proof, err error) error {
		proofs = append(proofs, made)
		return err
	}
	var err error
	switch {
	case wall.Strobe.Amplitude != 0:
		err = add(proveStrobe(ctx, p, wall.Strobe))
	case math.Abs(wallRate(s)-1) >= leastDrift:
		err = add(proveRate(ctx, p, "wall", wall.Rate))
	case wall != (vdso.Clock{}) || monotonic == (vdso.Clock{}):
		err = add(proveOffset(ctx, p, func(at time.Duration) time.Duration { return s.wallAt(at - began) }))
	}
	if err == nil && monotonic.Rate != 0 {
		err = add(proveRate(ctx, p, "monotonic", monotonic.Rate))
	}
	return both(proofs), err
}

// both joins what a process's two clocks showed.
func both(proofs []proof) proof {
	all := proofs[0]
	for _, p := range proofs[1:] {
		all.proven = all.proven && p.proven
		all.saw += ", " + p.saw
		maps.Copy(all.measures, p.measures)
	}
	return all
}

// proveHealed does the same for true clocks. What a monotonic clock has lost stays lost.
func proveHealed(ctx context.Context, p *vdso.Process, slowed bool) (proof, error) {
	healed, err := proveOffset(ctx, p, func(time.Duration) time.Duration { return 0 })
	if err != nil || !slowed {
		return healed, err
	}
	again, err := proveRate(ctx, p, "monotonic", 1)
	return both([]proof{healed, again}), err
}

// proveOffset looks until the wall clock is seen where it should be, and so exactly that it cannot be where it should not: true,
// if it is to be skewed.
func proveOffset(ctx context.Context, p *vdso.Process, wanted func(at time.Duration) time.Duration) (proof, error) {
	for {
		r, err := p.Read()
		if err != nil {
			return proof{}, err
		}
		want := wanted(r.At)
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

// proveStrobe looks until it has seen the wall clock at both ends, or, if the half period is longer than it may look, at one.
func proveStrobe(ctx context.Context, p *vdso.Process, strobe vdso.Strobe) (proof, error) {
	amplitude, half := strobe.Amplitude, strobe.HalfPeriod
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
		if proven := ahead > 0 && behind > 0 || ahead+behind > 0 && half >= clockProof/2; proven || !wait(ctx, min(half/3, readInterval)) {
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
	if d >= 0 {
		return "+" + round(d).String()
	}
	return round(d).String()
}
