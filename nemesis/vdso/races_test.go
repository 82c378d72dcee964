//go:build linux && amd64

package vdso

import (
	"errors"
	"syscall"
	"testing"
	"time"
)

// A busy program with threads that come and go, profiling signals, a hard-working collector and children, stays alive and
// right while it is patched again and again.
func TestBusyProcessSurvives(t *testing.T) {
	c := startChild(t, "busy")
	rounds := 200
	if testing.Short() {
		rounds = 20
	}
	for i := range rounds {
		p, err := Attach(c.pid())
		if err != nil {
			t.Fatal(err)
		}
		offset := time.Duration(i+1) * time.Minute
		set(t, p, Skew{Wall: Clock{Offset: offset}})
		if i%10 == 0 {
			r := read(t, p)
			near(t, "the wall clock", r.Wall, offset, r.Error)
			asSet(t, c, p)
		}
		p.Close()
		if err := Restore(c.pid()); err != nil {
			t.Fatal(err)
		}
	}
	isTrue(t, c)
	p := c.attach()
	for i := range 50 {
		set(t, p, Skew{Monotonic: Clock{Rate: []float64{0.3, 1, 0.9}[i%3]}})
	}
	if s := asSet(t, c, p); s.StepsBack != 0 {
		t.Errorf("the monotonic clock stepped back %d times", s.StepsBack)
	}
}

// Several handles, and several goroutines, may work on one process.
func TestAtTheSameTime(t *testing.T) {
	c := startChild(t, "idle")
	failed := make(chan error, 4)
	for range cap(failed) {
		go func() {
			p, err := Attach(c.pid())
			if err == nil {
				_, err = p.Read()
				err = errors.Join(err, p.Close())
			}
			failed <- err
		}()
	}
	for range cap(failed) {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	isTrue(t, c)
}

// A program with many threads that replaces itself while it is being patched goes on, with clocks that are true or skewed as a whole.
func TestExecMeanwhile(t *testing.T) {
	c := startChild(t, "busy")
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		for isOpen(stop) {
			p, err := Attach(c.pid())
			if err == nil {
				_, err = p.Read()
				p.Close()
			}
			if err == nil {
				err = Restore(c.pid())
			}
			if err != nil && !errors.Is(err, ErrGone) {
				stopped <- err
				return
			}
		}
		stopped <- nil
	}()
	for range 20 {
		c.ask("exec")
		isTrue(t, c)
	}
	close(stop)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// A process that is killed while it is being patched is gone, and its parent, here the test, learns how it ended.
func TestKilledMeanwhile(t *testing.T) {
	for range 20 {
		c := startChild(t, "busy")
		killed := make(chan error)
		go func() { killed <- c.cmd.Process.Kill() }()
		for {
			p, err := Attach(c.pid())
			if err == nil {
				_, err = p.Read()
				p.Close()
			}
			if err == nil {
				err = Restore(c.pid())
			}
			if errors.Is(err, ErrGone) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := <-killed; err != nil {
			t.Error(err)
		}
		<-c.ended
		if !ended(c.cmd.ProcessState, syscall.SIGKILL) {
			t.Errorf("the child ended with %v", c.cmd.ProcessState)
		}
	}
}

// A process that was stopped by a signal can be skewed and read, and stays stopped.
func TestPausedProcess(t *testing.T) {
	c := startChild(t, "idle")
	if err := syscall.Kill(c.pid(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	p := c.attach()
	set(t, p, Skew{Wall: Clock{Offset: time.Hour}})
	r := read(t, p)
	near(t, "the wall clock", r.Wall, time.Hour, r.Error)
	deadline := time.Now().Add(5 * time.Second)
	for threadState(c.pid(), c.pid()) != "T" {
		if time.Now().After(deadline) {
			t.Fatalf("the process is in state %s, want stopped", threadState(c.pid(), c.pid()))
		}
		time.Sleep(time.Millisecond)
	}
	if err := syscall.Kill(c.pid(), syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	asSet(t, c, p)
}
