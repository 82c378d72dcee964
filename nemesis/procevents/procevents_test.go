//go:build linux

package procevents

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// listener listens, or skips the test where nobody may, unless the environment insists.
func listener(t testing.TB) *Listener {
	t.Helper()
	l, err := Listen()
	if err != nil {
		if os.Getenv("RIFT_REQUIRE_DOCKER") == "1" {
			t.Fatalf("RIFT_REQUIRE_DOCKER=1, but %v", err)
		}
		t.Skip(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// of waits for the exec of one process; the machine makes others.
func of(t testing.TB, l *Listener, pid int) Exec {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		e, err := l.Next(ctx)
		if err != nil && !errors.Is(err, ErrLost) {
			t.Fatalf("waiting for the exec of %d: %v", pid, err)
		}
		if e.PID == pid {
			return e
		}
	}
}

func now() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // it exists
	return time.Duration(ts.Nano())
}

func TestExecIsHeard(t *testing.T) {
	l := listener(t)
	before := now()
	cmd := exec.Command("/proc/self/exe", "-test.run=^$")
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	e := of(t, l, cmd.Process.Pid)
	if after := now(); e.At < before || e.At > after {
		t.Errorf("an exec between %v and %v is said to be at %v", before, after, e.At)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
}

func TestNextEndsWithItsContext(t *testing.T) {
	l := listener(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		for {
			if _, err := l.Next(ctx); err != nil && !errors.Is(err, ErrLost) {
				ended <- err
				return
			}
		}
	}()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
}

// Whatever arrives is an exec or nothing, and never a panic.
func FuzzParse(f *testing.F) {
	event := make([]byte, 40)
	binary.NativeEndian.PutUint32(event[eventWhat:], 2)
	binary.NativeEndian.PutUint64(event[eventTime:], 12345)
	binary.NativeEndian.PutUint32(event[eventData+4:], 77)
	if e, ok := parse(event); !ok || e != (Exec{PID: 77, At: 12345}) {
		f.Fatalf("parsed as %+v, %t", e, ok)
	}
	f.Add(event)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, ok := parse(b); ok && (len(b) < 24 || binary.NativeEndian.Uint32(b) != 2 || e.PID < 0) {
			t.Errorf("%x is taken for %+v", b, e)
		}
	})
}

// BenchmarkExec is how long after an exec its event has been read.
func BenchmarkExec(b *testing.B) {
	l := listener(b)
	var late time.Duration
	for b.Loop() {
		cmd := exec.Command("/proc/self/exe", "-test.run=^$")
		cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		late += now() - of(b, l, cmd.Process.Pid).At
		if err := cmd.Wait(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(late.Microseconds())/float64(b.N), "late-µs")
}
