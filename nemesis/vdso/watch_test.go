//go:build linux && amd64

package vdso

import (
	"errors"
	"syscall"
	"testing"
	"time"
)

// A watch sees what the process itself is shown, over everything that can happen to it, and keeps nothing standing.
func TestWatchSeesWhatTheProcessSees(t *testing.T) {
	c := startChild(t, "idle")
	w, err := NewWatch(c.pid())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { w.Close() }()
	look := func() View {
		t.Helper()
		v, err := w.Look()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	truth := Course{Rate: 1}
	if v := look(); v.Wall != truth || v.Monotonic != truth || v.Changed != 0 {
		t.Errorf("a process that nobody touched shows %+v", v)
	}
	p := c.attach()
	set(t, p, Skew{Wall: Clock{Offset: -time.Hour, Rate: 1.5, Strobe: Strobe{time.Minute, time.Second}}, Monotonic: Clock{Rate: 0.5}})
	r, v := read(t, p), look()
	drifted := (v.At - r.At) / 2
	if v.Wall.Rate != 1.5 || v.Wall.Swing != time.Minute || v.Monotonic.Rate != 0.5 || v.Monotonic.Swing != 0 || v.Changed <= 0 || v.Changed > v.At {
		t.Errorf("it shows %+v", v)
	}
	near(t, "the monotonic clock", v.Monotonic.Offset, r.Monotonic-drifted, r.Error+time.Millisecond)
	if off := (r.Wall + drifted - v.Wall.Offset).Abs(); (off - time.Minute).Abs() > r.Error+time.Millisecond {
		t.Errorf("the wall clock was read %v from the middle of its strobe, want a minute", off)
	}
	if err := p.Heal(); err != nil {
		t.Fatal(err)
	}
	if v := look(); v.Wall != truth || v.Monotonic.Rate != 1 || v.Monotonic.Offset >= 0 {
		t.Errorf("healed it shows %+v", v)
	}
	c.ask("exec")
	isTrue(t, c)
	if _, err := w.Look(); !errors.Is(err, ErrGone) {
		t.Errorf("a look after an exec: %v", err)
	}
	w.Close()
	if w, err = NewWatch(c.pid()); err != nil {
		t.Fatal(err)
	}
	if v := look(); v.Wall != truth || v.Monotonic != truth {
		t.Errorf("the new program shows %+v", v)
	}
	if err := syscall.Kill(c.pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-c.ended
	if _, err := w.Look(); !errors.Is(err, ErrGone) {
		t.Errorf("a look at the dead: %v", err)
	}
}

// A skew from a past instant on is where it would be by now; one from an instant ahead waits for it, and is continuous there.
func TestSetAtAnInstant(t *testing.T) {
	c := startChild(t, "idle")
	p := c.attach()
	now := func() time.Duration {
		n, err := Now()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	at := func(s Skew, instant time.Duration) {
		t.Helper()
		if err := p.SetAt(s, instant); err != nil {
			t.Fatal(err)
		}
	}
	began := now() - time.Hour
	at(Skew{Wall: Clock{Rate: 1.5}, Monotonic: Clock{Rate: 0.5}}, began)
	r := read(t, p)
	near(t, "the wall clock", r.Wall, (r.At-began)/2, r.Error+5*time.Millisecond)
	if r.Monotonic < -time.Minute {
		t.Errorf("the monotonic clock stepped back by %v", r.Monotonic)
	}
	at(Skew{Wall: Clock{Strobe: Strobe{time.Hour, 30 * time.Minute}}}, now()-45*time.Minute)
	r = read(t, p)
	near(t, "the wall clock in its second half period", r.Wall, -time.Hour, r.Error)

	at(Skew{Wall: Clock{Rate: 2}}, now())
	ahead := now() + 50*time.Millisecond
	at(Skew{Wall: Clock{Offset: time.Minute}}, ahead)
	if left := ahead - now(); left > 0 {
		t.Errorf("it returned %v before its time", left)
	}
	_, b, err := p.blocks()
	if err != nil {
		t.Fatal(err)
	}
	if before := time.Duration(b[wall].Before.Skew); before < 50*time.Millisecond || before > time.Minute {
		t.Errorf("until its time the clock drifts to %v, want 50 ms at least", before)
	}
	asSet(t, c, p)
	if err := p.SetAt(Skew{}, now()+time.Hour); err == nil {
		t.Error("an instant in an hour was allowed")
	}
	r = read(t, p)
	near(t, "the wall clock", r.Wall, time.Minute, r.Error)
}
