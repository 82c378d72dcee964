//go:build linux && amd64

package vdso

import (
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"
)

// between fails the test unless a clock's answer is one that a block gives for the instants between which it was asked.
// Steps of the clock (a strobe) must not lie in between.
func between(t *testing.T, what string, s seen, skewed timeline) {
	t.Helper()
	if low, high := skewed.at(s.After), skewed.at(s.Before); s.High < low || s.Low > high {
		t.Errorf("the %s clock shows %d to %d, want %d to %d (true: %d to %d)", what, s.Low, s.High, low, high, s.After, s.Before)
	}
}

// asSet compares what the child sees of both clocks with what its block says.
func asSet(t *testing.T, c *running, p *Process) sample {
	t.Helper()
	_, b, err := p.blocks()
	if err != nil {
		t.Fatal(err)
	}
	s := c.sample()
	between(t, "wall", s.Wall, b[wall])
	between(t, "monotonic", s.Monotonic, b[monotonic])
	return s
}

func isTrue(t *testing.T, c *running) {
	t.Helper()
	s := c.sample()
	between(t, "wall", s.Wall, timeline{})
	between(t, "monotonic", s.Monotonic, timeline{})
}

func set(t testing.TB, p *Process, s Skew) {
	t.Helper()
	if err := p.Set(s); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, p *Process) Reading {
	t.Helper()
	r, err := p.Read()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// near fails the test unless a measured offset is the wanted one within the error of the measurement.
func near(t *testing.T, what string, got, want, within time.Duration) {
	t.Helper()
	if got < want-within || got > want+within {
		t.Errorf("%s is %v off, want %v within %v", what, got, want, within)
	}
}

func TestAble(t *testing.T) {
	if err := Able(); err != nil {
		t.Fatal(err)
	}
}

func TestAttachKeepsClocksTrue(t *testing.T) {
	c := startChild(t, "idle")
	p := c.attach()
	isTrue(t, c)
	r := read(t, p)
	near(t, "the wall clock", r.Wall, 0, r.Error)
	near(t, "the monotonic clock", r.Monotonic, 0, r.Error)
}

func TestBump(t *testing.T) {
	c, other := startChild(t, "idle"), startChild(t, "idle")
	p := c.attach()
	for _, offset := range []time.Duration{time.Hour, -time.Hour, MaxOffset, -MaxOffset, 10 * time.Millisecond} {
		set(t, p, Skew{Wall: Clock{Offset: offset}})
		s := asSet(t, c, p)
		if got := time.Duration(s.Wall.Low - s.Wall.After); got < offset {
			t.Errorf("set to %v the wall clock is at most %v off", offset, got)
		}
		r := read(t, p)
		near(t, "the wall clock", r.Wall, offset, r.Error)
		near(t, "the monotonic clock", r.Monotonic, 0, r.Error)
		isTrue(t, other)
	}
	// The test itself asks through its own vDSO, by time.Now.
	after, _ := hostClock(wall)
	now := time.Now().UnixNano()
	if before, _ := hostClock(wall); now < after || now > before {
		t.Errorf("the test's own clock is skewed: %d, true %d to %d", now, after, before)
	}
}

func TestDrift(t *testing.T) {
	c := startChild(t, "idle")
	p := c.attach()
	for _, rate := range []float64{0.5, 2} {
		set(t, p, Skew{Wall: Clock{Rate: rate}})
		first := asSet(t, c, p).Wall
		time.Sleep(50 * time.Millisecond)
		second := asSet(t, c, p).Wall
		least := float64(second.After-first.Before) * rate
		most := float64(second.Before-first.After) * rate
		if passed := float64(second.Low - first.Low); passed < least-1 || passed > most+1 {
			t.Errorf("at rate %v %v ns passed, want %v to %v", rate, passed, least, most)
		}
	}
}

func TestSlowMonotonicClock(t *testing.T) {
	c := startChild(t, "idle")
	p := c.attach()
	isTrue(t, c)
	set(t, p, Skew{Monotonic: Clock{Rate: 0.5}})
	first := asSet(t, c, p).Monotonic
	time.Sleep(50 * time.Millisecond)
	second := asSet(t, c, p).Monotonic
	if passed, most := second.Low-first.Low, (second.Before-first.After)/2+1; passed > most || passed < 1 {
		t.Errorf("at half the rate %v ns passed, at most %v did", passed, most)
	}
	if r := read(t, p); r.Monotonic > -25*time.Millisecond+r.Error {
		t.Errorf("after 50 ms at half the rate the monotonic clock is only %v off", r.Monotonic)
	}
	before := read(t, p)
	if err := p.Heal(); err != nil {
		t.Fatal(err)
	}
	asSet(t, c, p)
	r := read(t, p)
	if r.Monotonic > before.Monotonic+before.Error+r.Error {
		t.Errorf("healing took the monotonic clock from %v to %v", before.Monotonic, r.Monotonic)
	}
	time.Sleep(20 * time.Millisecond)
	again := read(t, p)
	near(t, "the healed monotonic clock", again.Monotonic, r.Monotonic, r.Error+again.Error)
}

func TestStrobe(t *testing.T) {
	c := startChild(t, "idle")
	p := c.attach()
	const amplitude, half = 3 * time.Second, 5 * time.Millisecond
	set(t, p, Skew{Wall: Clock{Offset: time.Minute, Strobe: Strobe{amplitude, half}}})
	seenAt := map[time.Duration]int{}
	deadline := time.Now().Add(10 * time.Second)
	for seenAt[time.Minute-amplitude] < 2 || seenAt[time.Minute+amplitude] < 2 {
		if time.Now().After(deadline) {
			t.Fatalf("saw only %v", seenAt)
		}
		s := c.sample().Wall
		off := time.Duration(s.Low - s.After).Truncate(time.Second)
		if off != time.Minute-amplitude && off != time.Minute+amplitude {
			t.Fatalf("the wall clock is %v off", off)
		}
		seenAt[off]++
	}
}

func TestHeal(t *testing.T) {
	c := startChild(t, "idle")
	p := c.attach()
	set(t, p, Skew{Wall: Clock{Offset: -time.Hour, Rate: 2, Strobe: Strobe{time.Second, time.Second}}, Monotonic: Clock{Offset: time.Minute}})
	asSet(t, c, p)
	if err := p.Heal(); err != nil {
		t.Fatal(err)
	}
	asSet(t, c, p)
	r := read(t, p)
	near(t, "the wall clock", r.Wall, 0, r.Error)
	near(t, "the monotonic clock", r.Monotonic, time.Minute, r.Error)
}

// The shim does in the child what the Go code says, for any skew.
func TestShimMatchesBlocks(t *testing.T) {
	c := startChild(t, "idle")
	p := c.attach()
	r := rand.New(rand.NewPCG(5, 6))
	for range 100 {
		s := randomSkew(r)
		s.Wall.Strobe = Strobe{}
		set(t, p, s)
		asSet(t, c, p)
	}
}

func TestSetRefusesBadSkew(t *testing.T) {
	c := startChild(t, "idle")
	p := c.attach()
	set(t, p, Skew{Wall: Clock{Offset: time.Hour}})
	if err := p.Set(Skew{Monotonic: Clock{Offset: -time.Second}}); err == nil || !strings.Contains(err.Error(), "Monotonic.Offset") {
		t.Errorf("a step back of the monotonic clock: %v", err)
	}
	r := read(t, p)
	near(t, "the wall clock", r.Wall, time.Hour, r.Error)
}

func TestShimIsRecognised(t *testing.T) {
	c := startChild(t, "idle")
	if is, err := Skewed(c.pid()); is || err != nil {
		t.Fatalf("before: %v, %v", is, err)
	}
	first := c.attach()
	set(t, first, Skew{Wall: Clock{Offset: time.Hour}})
	first.Close()
	if is, err := Skewed(c.pid()); !is || err != nil {
		t.Fatalf("after: %v, %v", is, err)
	}
	second := c.attach()
	r := read(t, second)
	near(t, "the wall clock", r.Wall, time.Hour, r.Error)
	if err := second.Heal(); err != nil {
		t.Fatal(err)
	}
	asSet(t, c, second)
}

func TestRestore(t *testing.T) {
	c := startChild(t, "idle")
	original := imageOf(t, c.pid())
	for range 3 {
		p := c.attach()
		set(t, p, Skew{Wall: Clock{Offset: time.Hour}, Monotonic: Clock{Rate: 0.5}})
		asSet(t, c, p)
		if err := Restore(c.pid()); err != nil {
			t.Fatal(err)
		}
		if is, err := Skewed(c.pid()); is || err != nil {
			t.Fatalf("after Restore: %v, %v", is, err)
		}
		isTrue(t, c)
		if now := imageOf(t, c.pid()); string(now.bytes[:now.used]) != string(original.bytes[:original.used]) {
			t.Fatal("the vDSO is not as the kernel made it")
		}
	}
	if err := Restore(c.pid()); err != nil {
		t.Errorf("Restore of a process without a shim: %v", err)
	}
}

func imageOf(t *testing.T, pid int) image {
	t.Helper()
	p, img, err := open(pid)
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
	return img
}

func TestRestoreNeverStepsBack(t *testing.T) {
	c := startChild(t, "idle")
	p := c.attach()
	set(t, p, Skew{Wall: Clock{Offset: time.Hour}, Monotonic: Clock{Offset: time.Minute}})
	if err := Restore(c.pid()); err == nil || !strings.Contains(err.Error(), "must not step back") {
		t.Errorf("Restore of a process ahead of time: %v", err)
	}
	r := read(t, p)
	near(t, "the wall clock", r.Wall, 0, r.Error)
	near(t, "the monotonic clock", r.Monotonic, time.Minute, r.Error)
}

// Where there is no room behind the vDSO, the process maps a page for the shim.
func TestPageOfItsOwn(t *testing.T) {
	c := startChild(t, "busy")
	p, err := attach(c.pid(), true)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	img := imageOf(t, c.pid())
	if p.shim.base >= img.start && p.shim.base < img.start+uint64(len(img.bytes)) {
		t.Fatalf("the shim stands at %#x, in the vDSO", p.shim.base)
	}
	set(t, p, Skew{Wall: Clock{Offset: time.Hour}})
	asSet(t, c, p)
	r := read(t, c.attach())
	near(t, "the wall clock", r.Wall, time.Hour, r.Error)
}

func TestRestartHasTrueClocks(t *testing.T) {
	c := startChild(t, "idle")
	p := c.attach()
	set(t, p, Skew{Wall: Clock{Offset: time.Hour}})
	if err := c.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-c.ended
	if err := p.Set(Skew{}); !errors.Is(err, ErrGone) {
		t.Errorf("Set of an ended process: %v", err)
	}
	if _, err := p.Read(); !errors.Is(err, ErrGone) {
		t.Errorf("Read of an ended process: %v", err)
	}
	if _, err := Attach(c.pid()); !errors.Is(err, ErrGone) {
		t.Errorf("Attach to an ended process: %v", err)
	}
	if err := Restore(c.pid()); !errors.Is(err, ErrGone) {
		t.Errorf("Restore of an ended process: %v", err)
	}
	again := startChild(t, "idle")
	isTrue(t, again)
	if is, err := Skewed(again.pid()); is || err != nil {
		t.Errorf("a new process: %v, %v", is, err)
	}
}

func TestExecHasTrueClocks(t *testing.T) {
	c := startChild(t, "idle")
	p := c.attach()
	set(t, p, Skew{Wall: Clock{Offset: time.Hour}})
	asSet(t, c, p)
	c.ask("exec")
	isTrue(t, c)
	if err := p.Set(Skew{}); !errors.Is(err, ErrGone) {
		t.Errorf("Set after an exec: %v", err)
	}
	if _, err := p.Read(); !errors.Is(err, ErrGone) {
		t.Errorf("Read after an exec: %v", err)
	}
	asSet(t, c, c.attach())
}

func TestNoSuchProcess(t *testing.T) {
	needPtrace(t)
	const none = 1 << 22 // the largest PID is below
	if _, err := Attach(none); !errors.Is(err, ErrGone) {
		t.Errorf("Attach: %v", err)
	}
	if _, err := Skewed(none); !errors.Is(err, ErrGone) {
		t.Errorf("Skewed: %v", err)
	}
	const kthreadd = 2
	if comm, err := os.ReadFile("/proc/2/comm"); err == nil && string(comm) == "kthreadd\n" {
		if is, err := Skewed(kthreadd); is || err == nil {
			t.Errorf("Skewed of a kernel thread: %v, %v", is, err)
		}
	}
}
