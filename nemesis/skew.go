package nemesis

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"rift/nemesis/vdso"
)

// How clocks go wrong: argument skew of a clock fault.
const (
	bump   = "bump"   // the wall clock jumps: argument offset
	drift  = "drift"  // the wall clock goes too fast or too slow: argument rate
	strobe = "strobe" // the wall clock jumps to and fro: arguments amplitude and half-period
	slow   = "slow"   // the monotonic clock goes too slow: argument rate
)

// argsOf are the arguments that each skew needs.
var argsOf = map[string][]string{bump: {"offset"}, drift: {"rate"}, strobe: {"amplitude", "half-period"}, slow: {"rate"}}

// skewArgs are all arguments of a clock fault.
var skewArgs = []string{"skew", "offset", "rate", "amplitude", "half-period"}

// skew is one way in which a clock goes wrong. Which fields count depends on how.
type skew struct {
	how    string
	offset time.Duration // bump: the jump; strobe: the amplitude, at least 0
	half   time.Duration // strobe: the half period
	rate   float64       // drift, slow
}

// The least that a skew may be, so that it can be told from the error of the measurement.
const (
	leastOffset = 2 * time.Millisecond
	leastDrift  = 0.01
)

// drawSkew draws one of the four evenly. Jumps are spread evenly over the orders of magnitude, from less than any time-out to a
// minute, and one in ten is of hours, as after a flat battery.
func drawSkew(r *rand.Rand) skew {
	s := skew{how: []string{bump, drift, strobe, slow}[r.IntN(4)]}
	switch s.how {
	case bump:
		s.offset = logUniform(r, 10*time.Millisecond, time.Minute)
		if r.IntN(10) == 0 {
			s.offset = between(r, time.Hour, 24*time.Hour)
		}
		if r.IntN(2) == 0 {
			s.offset = -s.offset
		}
	case drift:
		s.rate = roundRate(math.Exp2(0.15 + 0.85*r.Float64()))
		if r.IntN(2) == 0 {
			s.rate = roundRate(1 / s.rate)
		}
	case strobe:
		s.offset = logUniform(r, 10*time.Millisecond, time.Minute)
		s.half = logUniform(r, 5*time.Millisecond, 300*time.Millisecond)
	case slow:
		s.rate = roundRate(0.3 + 0.6*r.Float64())
	}
	return s
}

func logUniform(r *rand.Rand, least, most time.Duration) time.Duration {
	return time.Duration(float64(least) * math.Pow(float64(most)/float64(least), r.Float64())).Truncate(time.Millisecond)
}

func roundRate(rate float64) float64 { return math.Round(rate*1000) / 1000 }

// share draws another node's part in a skew: a third of it to all of it, or, where there is one, as often of its opposite.
func (s skew) share(r *rand.Rand) skew {
	part := 1.0/3 + 2.0/3*r.Float64()
	if opposite := r.IntN(2) == 0; opposite && (s.how == bump || s.how == drift) {
		part = -part
	}
	if s.offset != 0 {
		s.offset = time.Duration(float64(s.offset) * part).Truncate(time.Millisecond / 10)
	}
	if s.rate != 0 {
		s.rate = roundRate(math.Pow(s.rate, part))
	}
	return s
}

// args are the arguments that parseSkew reads.
func (s skew) args() map[string]string {
	all := map[string]string{
		"offset": s.offset.String(), "amplitude": s.offset.String(), "half-period": s.half.String(), "rate": fmt.Sprint(s.rate),
	}
	args := map[string]string{"skew": s.how}
	for _, name := range argsOf[s.how] {
		args[name] = all[name]
	}
	return args
}

// parseSkew reads the arguments of a planned fault. An error names the argument.
func parseSkew(args map[string]string) (skew, error) {
	s := skew{how: args["skew"]}
	needed, ok := argsOf[s.how]
	if !ok {
		return s, UnknownError{Field: "argument skew of clock", Given: s.how, Allowed: slices.Sorted(maps.Keys(argsOf))}
	}
	for name := range args {
		if name != "skew" && !slices.Contains(needed, name) {
			return s, UnknownError{Field: "argument of clock " + s.how, Given: name, Allowed: needed}
		}
	}
	for _, name := range needed {
		if err := s.parse(name, args[name]); err != nil {
			return s, fmt.Errorf("argument %s of clock %s: %w", name, s.how, err)
		}
	}
	if err := s.after(0).Validate(); err != nil {
		return s, fmt.Errorf("arguments of clock %s: %w", s.how, err)
	}
	return s, nil
}

func (s *skew) parse(name, value string) (err error) {
	switch name {
	case "offset", "amplitude":
		if s.offset, err = time.ParseDuration(value); err == nil && s.offset.Abs() < leastOffset {
			err = fmt.Errorf("%q given, at least %v to either side allowed", value, leastOffset)
		}
	case "half-period":
		s.half, err = time.ParseDuration(value)
	case "rate":
		if _, err = fmt.Sscan(value, &s.rate); err != nil || math.Abs(s.rate-1) < leastDrift {
			err = fmt.Errorf("%q given, a number at least %v away from 1 allowed", value, leastDrift)
		}
	}
	return err
}

// after is the skew of a process that is started when it has been going on for some time: a machine's clock does not care
// about the restarts of one process.
func (s skew) after(elapsed time.Duration) vdso.Skew {
	switch s.how {
	case bump:
		return vdso.Skew{Wall: vdso.Clock{Offset: s.offset}}
	case drift:
		return vdso.Skew{Wall: vdso.Clock{Offset: time.Duration((s.rate - 1) * float64(elapsed)), Rate: s.rate}}
	case strobe:
		return vdso.Skew{Wall: vdso.Clock{Strobe: vdso.Strobe{Amplitude: s.offset, HalfPeriod: s.half}}}
	default:
		return vdso.Skew{Monotonic: vdso.Clock{Rate: s.rate}}
	}
}
