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
	bump      = "bump"     // the wall clock jumps: argument offset
	drift     = "drift"    // a clock goes too fast or too slow: arguments rate and clock
	strobe    = "strobe"   // the wall clock jumps to and fro: arguments amplitude and half-period
	slow      = "slow"     // the monotonic clock goes too slow: argument rate
	scheduled = "schedule" // jumps, ramps and rates one after another: arguments schedule and clock
)

// Which clock: argument clock. It may be left out, and then means the wall clock.
const (
	onWall      = "wall"
	onMonotonic = "monotonic"
	onBoth      = "both"
)

var clocks = []string{onWall, onMonotonic, onBoth}

// argsOf are the arguments that each skew needs, but for clock.
var argsOf = map[string][]string{
	bump: {"offset"}, drift: {"rate"}, strobe: {"amplitude", "half-period"}, slow: {"rate"}, scheduled: {"schedule"},
}

// skewArgs are all arguments of a clock fault.
var skewArgs = []string{"skew", "offset", "rate", "amplitude", "half-period", "schedule", "clock"}

// skew is one way in which a clock goes wrong. Which fields count depends on how.
type skew struct {
	how    string
	clock  string        // drift, schedule: wall, monotonic or both
	offset time.Duration // bump: the jump; strobe: the amplitude, at least 0
	half   time.Duration // strobe: the half period
	rate   float64       // drift, slow
	points []point       // schedule
}

// The least that a skew may be, so that it can be told from the error of the measurement.
const (
	leastOffset = 2 * time.Millisecond
	leastDrift  = 0.01
)

// drawSkew draws one of the five evenly, for a fault of the given length. Jumps are spread evenly over the orders of magnitude, from less
// than any time-out to a minute, and one in ten is of hours, as after a flat battery.
func drawSkew(r *rand.Rand, length time.Duration) skew {
	s := skew{how: []string{bump, drift, strobe, slow, scheduled}[r.IntN(5)]}
	switch s.how {
	case bump:
		s.offset = drawOffset(r)
	case drift:
		s.rate = drawRate(r)
		if s.rate < 1 && r.IntN(2) == 0 {
			s.clock = onBoth
		}
	case strobe:
		s.offset = drawOffset(r).Abs()
		s.half = logUniform(r, 5*time.Millisecond, 300*time.Millisecond)
	case slow:
		s.rate = roundRate(0.3 + 0.6*r.Float64())
	case scheduled:
		s.points = drawPoints(r, length)
	}
	return s
}

// drawOffset draws a jump to either side.
func drawOffset(r *rand.Rand) time.Duration {
	offset := logUniform(r, 10*time.Millisecond, time.Minute)
	if r.IntN(10) == 0 {
		offset = between(r, time.Hour, 24*time.Hour)
	}
	if r.IntN(2) == 0 {
		offset = -offset
	}
	return offset
}

// drawRate draws a rate from half to double.
func drawRate(r *rand.Rand) float64 {
	rate := roundRate(math.Exp2(0.15 + 0.85*r.Float64()))
	if r.IntN(2) == 0 {
		rate = roundRate(1 / rate)
	}
	return rate
}

func logUniform(r *rand.Rand, least, most time.Duration) time.Duration {
	return time.Duration(float64(least) * math.Pow(float64(most)/float64(least), r.Float64())).Truncate(time.Millisecond)
}

func roundRate(rate float64) float64 { return math.Round(rate*1000) / 1000 }

// parts draws how much of a skew each of n nodes gets. The first gets all of it, each other a third to all of it, half of them the opposite,
// and no two nearly the same: clocks that are wrong together agree.
func parts(n int, r *rand.Rand) []float64 {
	list := make([]float64, n)
	for i := range list {
		step := 2.0 / 3 / float64(n)
		list[i] = 1 - step*float64(i)
		if i > 0 {
			list[i] += step / 2 * (r.Float64() - 0.5)
		}
		if i%2 == 1 {
			list[i] = -list[i]
		}
	}
	r.Shuffle(max(n-1, 0), func(i, j int) { list[i+1], list[j+1] = list[j+1], list[i+1] })
	return list
}

// share is a node's part in a skew; where the opposite is not possible, a negative part is taken for a positive one.
func (s skew) share(part float64) skew {
	if shared := s.scale(part); shared.check() == nil {
		return shared
	}
	return s.scale(math.Abs(part))
}

func (s skew) scale(part float64) skew {
	s.offset, s.rate = scaleOffset(s.offset, part), scaleRate(s.rate, part)
	s.points = slices.Clone(s.points)
	for i := range s.points {
		p := &s.points[i]
		p.offset, p.rate = scaleOffset(p.offset, part), scaleRate(p.rate, part)
	}
	return s
}

// scaleOffset gives whole tenths of a millisecond, which read well.
func scaleOffset(offset time.Duration, part float64) time.Duration {
	return time.Duration(float64(offset) * part).Truncate(time.Millisecond / 10)
}

func scaleRate(rate, part float64) float64 {
	if rate == 0 {
		return 0
	}
	return math.Round(math.Pow(rate, part)*1e6) / 1e6
}

// args are the arguments that parseSkew reads.
func (s skew) args() map[string]string {
	all := map[string]string{
		"offset": s.offset.String(), "amplitude": s.offset.String(), "half-period": s.half.String(), "rate": fmt.Sprint(s.rate),
		"schedule": pointsText(s.points),
	}
	args := map[string]string{"skew": s.how}
	for _, name := range argsOf[s.how] {
		args[name] = all[name]
	}
	if s.clock != "" {
		args["clock"] = s.clock
	}
	return args
}

// parseSkew reads the arguments of a planned fault. An error names the argument.
func parseSkew(args map[string]string) (skew, error) {
	s := skew{how: args["skew"], clock: args["clock"]}
	needed, ok := argsOf[s.how]
	if !ok {
		return s, UnknownError{Field: "argument skew of clock", Given: s.how, Allowed: slices.Sorted(maps.Keys(argsOf))}
	}
	for name := range args {
		chosen := name == "clock" && (s.how == drift || s.how == scheduled)
		if name != "skew" && !chosen && !slices.Contains(needed, name) {
			return s, UnknownError{Field: "argument of clock " + s.how, Given: name, Allowed: needed}
		}
	}
	if _, given := args["clock"]; given && !slices.Contains(clocks, s.clock) {
		return s, UnknownError{Field: "argument clock of clock " + s.how, Given: s.clock, Allowed: clocks}
	}
	for _, name := range needed {
		if err := s.parse(name, args[name]); err != nil {
			return s, fmt.Errorf("argument %s of clock %s: %w", name, s.how, err)
		}
	}
	if err := s.check(); err != nil {
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
		s.rate, err = parseRate(value)
	case "schedule":
		s.points, err = parsePoints(value)
	}
	return err
}

func parseRate(text string) (rate float64, err error) {
	if _, err = fmt.Sscan(text, &rate); err != nil || math.Abs(rate-1) < leastDrift {
		err = fmt.Errorf("%q given, a number at least %v away from 1 allowed", text, leastDrift)
	}
	return rate, err
}

// check refuses a skew that leads anywhere beyond the limits of a clock.
func (s skew) check() error {
	course, err := s.course()
	if err != nil {
		return err
	}
	return course.check()
}

// course is the skew over time.
func (s skew) course() (course, error) {
	switch s.how {
	case bump:
		return course{{skew: vdso.Skew{Wall: vdso.Clock{Offset: s.offset}}}}, nil
	case drift:
		return course{{skew: steady(s.clock, 0, s.rate)}}, nil
	case strobe:
		return course{{skew: vdso.Skew{Wall: vdso.Clock{Strobe: vdso.Strobe{Amplitude: s.offset, HalfPeriod: s.half}}}}}, nil
	case slow:
		return course{{skew: steady(onMonotonic, 0, s.rate)}}, nil
	default:
		return follow(s.points, s.clock)
	}
}

// steady is a skew of one clock or of both that goes at a rate, from a wall clock that is offset already.
func steady(clock string, offset time.Duration, rate float64) vdso.Skew {
	s := vdso.Skew{Wall: vdso.Clock{Offset: offset, Rate: rate}, Monotonic: vdso.Clock{Rate: rate}}
	switch clock {
	case onMonotonic:
		s.Wall.Rate = 0
	case onBoth:
	default:
		s.Monotonic.Rate = 0
	}
	return s
}
