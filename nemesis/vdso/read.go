//go:build linux && amd64

package vdso

import (
	"encoding/binary"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// clockID is by which the true time of each timeline is asked.
var clockID = [timelines]int32{
	wall: unix.CLOCK_REALTIME, tai: unix.CLOCK_TAI,
	monotonic: unix.CLOCK_MONOTONIC, raw: unix.CLOCK_MONOTONIC_RAW, boot: unix.CLOCK_BOOTTIME,
}

// Read measures what the process sees. It stops the process for about a millisecond, makes one of its threads call its own
// __vdso_clock_gettime, as the program does, and compares the answer with the host's clocks, asked by
// system call just before and just after. Of three calls for each clock the one with the least error counts.
//
// As with any stop by a signal, a system call that waits may return EINTR in the process (signal(7)). If this program is
// killed during the calls, some microseconds each, the process ends with it.
func (p *Process) Read() (Reading, error) {
	var r Reading
	err := whileStopped(p.pid, func(s *stopped) error {
		if !p.in(s) {
			return ErrGone
		}
		at, err := hostClock(monotonic)
		if err != nil {
			return err
		}
		wallOff, wallError, err := p.compare(s, wall)
		if err != nil {
			return err
		}
		monotonicOff, monotonicError, err := p.compare(s, monotonic)
		r = Reading{At: time.Duration(at), Wall: wallOff, Monotonic: monotonicOff, Error: max(wallError, monotonicError)}
		return err
	})
	if err != nil {
		return Reading{}, fmt.Errorf("read the clocks of process %d: %w", p.pid, err)
	}
	return r, nil
}

// compare returns how far a clock of the process is from the host's, and the error of that.
func (p *Process) compare(s *stopped, timeline int) (off, within time.Duration, err error) {
	for try := range 3 {
		before, err := hostClock(timeline)
		if err != nil {
			return 0, 0, err
		}
		answer, err := s.call(p.entry[0], p.shim.trap, uint64(clockID[timeline]))
		if err != nil {
			return 0, 0, err
		}
		after, err := hostClock(timeline)
		if err != nil {
			return 0, 0, err
		}
		seen := int64(binary.LittleEndian.Uint64(answer[:8]))*1e9 + int64(binary.LittleEndian.Uint64(answer[8:]))
		if half := time.Duration(after-before) / 2; try == 0 || half < within {
			off, within = time.Duration(seen-before)-half, half
		}
	}
	return off, within, nil
}

// Now is the host's monotonic clock.
func Now() (time.Duration, error) {
	now, err := hostClock(monotonic)
	return time.Duration(now), err
}

// hostClock asks the kernel, not the vDSO, for the true time of a timeline in ns.
func hostClock(timeline int) (int64, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(clockID[timeline], &t); err != nil {
		return 0, fmt.Errorf("read the host's clock %d: %w", clockID[timeline], err)
	}
	return t.Nano(), nil
}

// hostClocks are the true times of all timelines.
func hostClocks() (now [timelines]int64, err error) {
	for i := range now {
		if now[i], err = hostClock(i); err != nil {
			return now, err
		}
	}
	return now, nil
}
