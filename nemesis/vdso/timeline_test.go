package vdso

import (
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func TestScaleMatchesBigNumbers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 10000 {
		a, b := r.Int64N(1<<60)-1<<59, r.Int64N(1<<40)-1<<39
		want := new(big.Int).Mul(big.NewInt(a), big.NewInt(b))
		want.Rsh(want, 32)
		if !want.IsInt64() {
			continue
		}
		if got := scale(a, b); got != want.Int64() {
			t.Fatalf("scale(%d, %d) = %d, want %v", a, b, got, want)
		}
	}
}

// randomSkew draws a skew within the limits.
func randomSkew(r *rand.Rand) Skew {
	var s Skew
	s.Wall.Offset = time.Duration(r.Int64N(int64(2*MaxOffset))) - MaxOffset
	s.Wall.Rate = MinRate + 3*r.Float64()
	if r.IntN(2) == 0 {
		s.Wall.Strobe = Strobe{time.Duration(r.Int64N(int64(time.Hour))), MinHalfPeriod + time.Duration(r.Int64N(int64(time.Second)))}
	}
	s.Monotonic.Rate = MinRate + (1-MinRate)*r.Float64()
	s.Monotonic.Offset = time.Duration(r.Int64N(int64(time.Hour)))
	return s
}

// Over any series of skews the wall clock is where it was told to be at each switch, and the monotonic
// clock never steps back, over the switches and between.
func TestMonotonicNeverStepsBack(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		var b block
		now := [timelines]int64{1_800_000_000e9, 1_800_000_037e9, 100e9, 101e9, 102e9}
		last := now
		for range 20 {
			s := randomSkew(r)
			b = b.turn(now, s)
			if got, want := b[wall].at(now[wall])-now[wall], int64(s.Wall.Offset+s.Wall.Strobe.Amplitude); got != want {
				t.Fatalf("the wall clock is %d off at the switch, want %d", got, want)
			}
			for range 20 {
				for i := monotonic; i <= boot; i++ {
					if seen := b[i].at(now[i]); seen < last[i] {
						t.Fatalf("timeline %d steps back by %d", i, last[i]-seen)
					} else {
						last[i] = seen
					}
				}
				forward := r.Int64N(1e9)
				for i := range now {
					now[i] += forward
				}
			}
		}
	}
}

func TestStrobeAlternates(t *testing.T) {
	b := block{}.turn([timelines]int64{wall: 1000e9}, Skew{Wall: Clock{Strobe: Strobe{Amplitude: time.Second, HalfPeriod: 10 * time.Millisecond}}})
	for half, want := range []int64{1e9, -1e9, 1e9, -1e9} {
		x := int64(1000e9) + int64(half)*10e6 + 5e6
		if got := b[wall].at(x) - x; got != want {
			t.Errorf("half period %d: %d off, want %d", half, got, want)
		}
	}
}

func TestValidateNamesTheField(t *testing.T) {
	for _, c := range []struct {
		skew Skew
		want string // empty: allowed
	}{
		{Skew{}, ""},
		{Skew{Wall: Clock{Offset: -MaxOffset, Rate: MaxRate, Strobe: Strobe{MaxOffset, MinHalfPeriod}}}, ""},
		{Skew{Monotonic: Clock{Offset: MaxOffset, Rate: MinRate}}, ""},
		{Skew{Wall: Clock{Offset: MaxOffset + 1}}, "Wall.Offset: 175200h0m0.000000001s given, -175200h0m0s to 175200h0m0s allowed"},
		{Skew{Wall: Clock{Rate: -1}}, "Wall.Rate: -1 given, 0.01 to 100 allowed"},
		{Skew{Wall: Clock{Rate: 101}}, "Wall.Rate: 101 given"},
		{Skew{Wall: Clock{Strobe: Strobe{Amplitude: -1}}}, "Wall.Strobe.Amplitude: -1ns given"},
		{Skew{Wall: Clock{Strobe: Strobe{Amplitude: 1}}}, "Wall.Strobe.HalfPeriod: 0s given, at least 1ms allowed"},
		{Skew{Monotonic: Clock{Offset: -1}}, "Monotonic.Offset: -1ns given, at least 0 allowed: a monotonic clock never steps back"},
		{Skew{Monotonic: Clock{Rate: 1.01}}, "Monotonic.Rate: 1.01 given, at most 1 allowed"},
		{Skew{Monotonic: Clock{Strobe: Strobe{time.Second, time.Second}}}, "Monotonic.Strobe: amplitude 1s given, 0 allowed"},
	} {
		err := c.skew.Validate()
		if c.want == "" && err != nil {
			t.Errorf("%+v: %v", c.skew, err)
		}
		if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: %v, want %q", c.skew, err, c.want)
		}
	}
}
