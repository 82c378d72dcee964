// Package vdso skews the clocks of one running process, and of no other, without touching the host's clock.
//
// The one idea behind it is that programs do not ask the kernel for the time: they call a few functions that the kernel maps
// into every process, the vDSO. Attach redirects clock_gettime, gettimeofday and time there to a small shim, placed
// in the unused end of the same pages, which calls the original and adds a skew. The pages are written through
// /proc/PID/mem, which makes a private copy, so that other processes keep the true ones. The program needs no preparation, be it a
// static Go binary in an empty container, C, Python, redis or a JVM.
//
// What it cannot skew: a program that makes the clock_gettime system call itself, reads the processor's counter,
// or waits in the kernel until an absolute time. Kernel time-outs run in true time always. In Go a skewed wall clock moves
// time.Now but neither timers nor time.Since, which are monotonic. In a JVM or in C++ the monotonic clock had
// better be left alone, since waits that compare it with the kernel's may hang.
//
// A program that is itself the parent of what it skews must wait for its children with AwaitEnd first.
//
// A child made by fork inherits the skew. An exec, and so a restart, begins with true clocks: attach again.
//
// The design was measured on Linux 6.18; it relies on ptrace(2), proc(5) and vdso(7) only. It needs CAP_SYS_PTRACE.
package vdso

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// The limits of a Clock.
const (
	MaxOffset     = 20 * 365 * 24 * time.Hour
	MinRate       = 0.01
	MaxRate       = 100.0
	MinHalfPeriod = time.Millisecond
)

// MaxLead is how far ahead SetAt may be told to begin.
const MaxLead = time.Second

var (
	// ErrUnsupported is of a machine or process whose clocks cannot be skewed. Its text says what is missing.
	ErrUnsupported = errors.New("clocks can be skewed only in 64-bit processes on linux/amd64; elsewhere leave the clock faults out of the plan")
	// ErrGone is of a process that has ended, or has replaced itself with exec, since it was attached to.
	ErrGone = errors.New("the process has ended or made an exec; attach again to what runs now")
)

// Clock is what a process sees instead of a true clock. The zero value is the true clock.
type Clock struct {
	// Offset lies between -MaxOffset and MaxOffset. On the wall clock it is the distance from the host's clock; on the
	// monotonic clock it is a jump forward from where that process's clock stands, and so at least 0.
	Offset time.Duration
	// Rate is how many seconds pass in one true second: MinRate to MaxRate, on the monotonic clock at most 1. 0 means 1.
	Rate float64
	// Strobe makes the wall clock jump to and fro.
	Strobe Strobe
}

// Strobe adds Amplitude (0 to MaxOffset) to a clock for HalfPeriod, subtracts it for the next HalfPeriod, and so on. With an Amplitude,
// HalfPeriod is at least MinHalfPeriod.
type Strobe struct {
	Amplitude, HalfPeriod time.Duration
}

// Skew is what a process is to see of both its clocks. Its zero value is the true wall clock, and a monotonic clock that
// goes on at the true rate from where it stands.
type Skew struct {
	Wall      Clock // CLOCK_REALTIME, its coarse form and CLOCK_TAI; gettimeofday and time
	Monotonic Clock // CLOCK_MONOTONIC, its coarse and raw forms, and CLOCK_BOOTTIME
}

// Reading is what a process saw of its clocks, the two asked some microseconds apart, against the host's.
type Reading struct {
	At        time.Duration // when it was made, on the host's monotonic clock
	Wall      time.Duration // the process's wall clock minus the host's
	Monotonic time.Duration // the process's monotonic clock minus the host's
	Error     time.Duration // each of the two is at most this far from the truth
}

// View is what the shim in a process makes of its clocks at one instant, without asking the process.
type View struct {
	At        time.Duration // the instant, on the host's monotonic clock
	Changed   time.Duration // when they were last skewed otherwise, on the same clock; 0 if never
	Wall      Course
	Monotonic Course
}

// Course is how a clock goes against the host's.
type Course struct {
	Offset time.Duration // the process's clock minus the host's; under a strobe the middle of its jumps
	Rate   float64       // seconds that pass in one true second
	Swing  time.Duration // how far a strobe throws it to either side; 0 without one
}

// Validate says which field is out of its range, and what is allowed.
func (s Skew) Validate() error {
	if err := s.Wall.validate("Wall"); err != nil {
		return err
	}
	if err := s.Monotonic.validate("Monotonic"); err != nil {
		return err
	}
	// A monotonic clock that steps back breaks promises that the kernel makes; and waits of a clock that
	// runs fast end late by its own reckoning, because the kernel's do not hurry.
	switch m := s.Monotonic; {
	case m.Offset < 0:
		return fmt.Errorf("Monotonic.Offset: %v given, at least 0 allowed: a monotonic clock never steps back", m.Offset)
	case m.Rate > 1:
		return fmt.Errorf("Monotonic.Rate: %v given, at most 1 allowed: to make a node fast, slow the others", m.Rate)
	case m.Strobe.Amplitude != 0:
		return fmt.Errorf("Monotonic.Strobe: amplitude %v given, 0 allowed: a monotonic clock never steps back", m.Strobe.Amplitude)
	}
	return nil
}

func (c Clock) validate(name string) error {
	switch {
	case c.Offset < -MaxOffset || c.Offset > MaxOffset:
		return fmt.Errorf("%s.Offset: %v given, -%v to %v allowed", name, c.Offset, MaxOffset, MaxOffset)
	case c.Rate != 0 && !(c.Rate >= MinRate && c.Rate <= MaxRate):
		return fmt.Errorf("%s.Rate: %v given, %v to %v allowed", name, c.Rate, MinRate, MaxRate)
	case c.Strobe.Amplitude < 0 || c.Strobe.Amplitude > MaxOffset:
		return fmt.Errorf("%s.Strobe.Amplitude: %v given, 0 to %v allowed", name, c.Strobe.Amplitude, MaxOffset)
	case c.Strobe.Amplitude != 0 && c.Strobe.HalfPeriod < MinHalfPeriod:
		return fmt.Errorf("%s.Strobe.HalfPeriod: %v given, at least %v allowed", name, c.Strobe.HalfPeriod, MinHalfPeriod)
	}
	return nil
}

// excess is how much faster than true time the clock goes, in units of 2^-32.
func (c Clock) excess() int64 {
	if c.Rate == 0 {
		return 0
	}
	return int64(math.Round((c.Rate - 1) * (1 << 32)))
}
