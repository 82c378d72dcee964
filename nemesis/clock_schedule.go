package nemesis

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A schedule of a clock is points in the order of time, each TIME:VALUE with the time since the fault was put in:
//
//	2s:+500ms   at 2 s the wall clock jumps, and is 500 ms ahead of the host's
//	4s:~-1s     at 4 s it is 1 s behind, where it has gone gradually since the point before
//	5s:x1.5     from 5 s on it goes at rate 1.5, from where it stands
//
// Between points a clock goes at the true rate unless told otherwise. With clock=monotonic the rates are those of the monotonic clock, which
// can neither jump nor be set; with clock=both the rates are of both, and the rest is of the wall clock.

// point is one point of a schedule.
type point struct {
	at     time.Duration
	manner manner
	offset time.Duration // jump, ramp
	rate   float64       // speed
}

// manner is how a point changes a clock.
type manner string

const (
	jump  manner = ""
	ramp  manner = "~"
	speed manner = "x"
)

// mostPoints bounds a schedule, so that its evidence can be read.
const mostPoints = 100

// parsePoints reads a schedule.
func parsePoints(text string) ([]point, error) {
	words := strings.Fields(text)
	if len(words) == 0 || len(words) > mostPoints {
		return nil, fmt.Errorf("%d points given, 1 to %d allowed, such as 0s:+500ms 2s:-1h", len(words), mostPoints)
	}
	var list []point
	for _, word := range words {
		p, err := parsePoint(word)
		if err != nil {
			return nil, fmt.Errorf("point %q: %w", word, err)
		}
		if n := len(list); n > 0 && p.at <= list[n-1].at {
			return nil, fmt.Errorf("point %q: a time after %v allowed, that of the point before", word, list[n-1].at)
		}
		list = append(list, p)
	}
	return list, nil
}

func parsePoint(word string) (p point, err error) {
	when, value, ok := strings.Cut(word, ":")
	if p.at, err = time.ParseDuration(when); err != nil || !ok || p.at < 0 || p.at > longest {
		return p, fmt.Errorf("TIME:VALUE with a time of at most %v allowed, such as 2s:+500ms", longest)
	}
	if rate, is := strings.CutPrefix(value, string(speed)); is {
		p.manner = speed
		if p.rate, err = strconv.ParseFloat(rate, 64); err != nil || math.Abs(p.rate-1) < leastDrift && p.rate != 1 {
			err = fmt.Errorf("rate %q given, 1 or a number at least %v away from it allowed", rate, leastDrift)
		}
		return p, err
	}
	if rest, is := strings.CutPrefix(value, string(ramp)); is {
		p.manner, value = ramp, rest
	}
	if p.offset, err = time.ParseDuration(value); err != nil || p.offset != 0 && p.offset.Abs() < leastOffset {
		return p, fmt.Errorf("%q given, +0 or a time of at least %v to either side allowed, or x and a rate", value, leastOffset)
	}
	return p, nil
}

// pointsText writes a schedule as parsePoints reads it.
func pointsText(list []point) string {
	var words []string
	for _, p := range list {
		value := fmt.Sprint(p.rate)
		if p.manner != speed {
			value = p.offset.String()
			if p.offset >= 0 {
				value = "+" + value
			}
		}
		words = append(words, fmt.Sprintf("%v:%s%s", p.at, p.manner, value))
	}
	return strings.Join(words, " ")
}

// drawPoints draws a schedule of two to four points over a fault's length: a jump, and then whatever comes.
func drawPoints(r *rand.Rand, length time.Duration) []point {
	list := []point{{offset: drawOffset(r)}}
	n := 1 + r.IntN(3)
	for i := range n {
		p := point{at: time.Duration(i+1) * length / time.Duration(n+1), manner: []manner{jump, ramp, speed}[r.IntN(3)]}
		p.at = p.at.Truncate(10 * time.Millisecond)
		last := list[i]
		switch {
		case p.manner == speed:
			p.rate = drawRate(r)
		case p.manner == jump || last.manner == speed: // no ramp can follow a rate
			p.manner, p.offset = jump, drawOffset(r)
		default: // no clock goes back while it ramps, so the slope is a rate
			p.offset = (last.offset + time.Duration((drawRate(r)-1)*float64(p.at-last.at))).Truncate(time.Millisecond)
			if p.offset.Abs() < 10*time.Millisecond {
				p.offset = 10 * time.Millisecond
			}
		}
		list = append(list, p)
	}
	return list
}

// follow is the course that leads through the points.
func follow(points []point, clock string) (course, error) {
	c := course{{}}
	for i, p := range points {
		last := &c[len(c)-1]
		if clock == onMonotonic && p.manner != speed {
			return nil, fmt.Errorf("from %v on: a monotonic clock can neither jump nor be set, a rate such as x0.5 allowed", p.at)
		}
		next := segment{from: p.at}
		switch p.manner {
		case jump:
			next.skew.Wall.Offset = p.offset
		case ramp:
			if i > 0 && points[i-1].manner == speed {
				return nil, fmt.Errorf("at %v: no gradual way follows on a rate; a jump or a rate allowed", p.at)
			}
			if p.at == last.from {
				return nil, errors.New("at 0s: a gradual way needs time; a later point allowed")
			}
			if way := p.offset - last.skew.Wall.Offset; way != 0 {
				last.skew.Wall.Rate = 1 + float64(way)/float64(p.at-last.from)
			}
			next.skew.Wall.Offset = p.offset
		case speed:
			rate := p.rate
			if rate == 1 {
				rate = 0
			}
			next.skew = steady(clock, last.wallAt(p.at), rate)
		}
		if p.at == last.from {
			c = slices.Delete(c, len(c)-1, len(c))
		}
		c = append(c, next)
	}
	return c, nil
}
