package sim

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"rift/harness/sim/guest"
)

// calm are conditions under which nothing is lost and everything takes the same time.
var calm = conditions{latency: time.Millisecond, spread: 1}

func TestEventsComeInTheOrderOfTimeAndTiesInADrawnOne(t *testing.T) {
	order := func(seed int64) string {
		w := newWorld(t.Context(), seed, calm)
		var got []string
		for _, name := range []string{"a", "b", "c", "d", "e"} {
			w.at(time.Second, func() { got = append(got, name) })
		}
		w.at(time.Millisecond, func() { got = append(got, "first") })
		w.at(time.Millisecond, func() { got = append(got, "never") }).off()
		if err := w.until(func() bool { return len(got) == 6 }); err != nil {
			t.Fatal(err)
		}
		if got[0] != "first" || w.now != time.Second {
			t.Errorf("%v happened until %s", got, w.now)
		}
		return strings.Join(got, " ")
	}
	var orders []string
	for seed := range int64(20) {
		if first := order(seed); first != order(seed) {
			t.Errorf("seed %d gives two orders", seed)
		}
		orders = append(orders, order(seed))
	}
	slices.Sort(orders)
	if n := len(slices.Compact(orders)); n < 10 {
		t.Errorf("20 seeds gave %d orders of 5 events of one instant", n)
	}
}

func TestAWorldInWhichNothingCanHappenSaysSo(t *testing.T) {
	w := newWorld(t.Context(), 1, calm)
	w.who = func() string { return "n1 is down" }
	err := w.until(func() bool { return false })
	if !errors.Is(err, errStill) || !strings.Contains(err.Error(), "n1 is down") {
		t.Errorf("%v, an error wanted that says that nothing is going to happen, and why", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := newWorld(ctx, 1, calm).until(func() bool { return false }); !errors.Is(err, context.Canceled) {
		t.Errorf("%v from a world whose context has ended", err)
	}
}

func TestTasksWaitInVirtualTimeAndAreStopped(t *testing.T) {
	w := newWorld(t.Context(), 1, calm)
	done, woken, unwound := false, false, false
	w.spawn(func(t *task) {
		t.sleep(time.Hour)
		done = true
	})
	flag := false
	waits := w.spawn(func(t *task) { woken = t.wait(2*time.Hour, func() bool { return flag }) })
	w.after(time.Minute, func() {
		flag = true
		waits.wake()
	})
	w.spawn(func(t *task) {
		defer func() { unwound = true }()
		for {
			t.sleep(time.Minute)
		}
	})
	if err := w.until(func() bool { return done }); err != nil {
		t.Fatal(err)
	}
	if !woken || w.now != time.Hour || unwound {
		t.Errorf("woken %t, unwound %t at %s", woken, unwound, w.now)
	}
	if w.end(); !unwound {
		t.Error("a task went on after the world's end")
	}
}

// pipe is a connection between two hosts of a world, and what has arrived at its far end.
func pipe(t *testing.T, w *world) (near *host, far *[]string) {
	t.Helper()
	near, far = w.net.join("10.0.0.1"), new([]string)
	near.attach(func([]byte) {})
	other := w.net.join("10.0.0.2")
	other.attach(func(frame []byte) {
		kind, _, payload := guest.ParseFrame(frame)
		*far = append(*far, string(kind)+string(payload))
	})
	other.take(guest.FrameListen, 0, []byte("10.0.0.2:7000"))
	near.take(guest.FrameDial, 1, []byte("10.0.0.2:7000"))
	if err := w.until(func() bool { return near.ends[1].peer != nil }); err != nil {
		t.Fatal(err)
	}
	*far = nil
	return near, far
}

func TestAStreamKeepsItsOrderWhateverIsLost(t *testing.T) {
	w := newWorld(t.Context(), 1, conditions{latency: time.Millisecond, spread: 50 * time.Millisecond})
	near, far := pipe(t, w)
	link := w.net.link("10.0.0.1", "10.0.0.2")
	link.troubles = append(link.troubles, &disturbed{loss: 0.5, share: 0.5, hold: time.Second})
	var want []string
	for i := range 50 {
		payload := string(rune('A' + i))
		want = append(want, "d"+payload)
		near.take(guest.FrameData, 1, []byte(payload))
	}
	near.take(guest.FrameEnd, 1, nil)
	if err := w.until(func() bool { return len(*far) > len(want) }); err != nil {
		t.Fatal(err)
	}
	if got := (*far)[:len(want)]; !slices.Equal(got, want) || (*far)[len(want)] != "e" {
		t.Errorf("%v arrived", *far)
	}
	if w.now < time.Second {
		t.Errorf("all arrived within %s, though half of it was lost", w.now)
	}
}

func TestACutLinkCarriesNothingUntilItIsHealed(t *testing.T) {
	w := newWorld(t.Context(), 1, calm)
	near, far := pipe(t, w)
	link := w.net.link("10.0.0.1", "10.0.0.2")
	link.troubles = append(link.troubles, &disturbed{loss: 1})
	near.take(guest.FrameData, 1, []byte("x"))
	w.after(10*time.Second, func() { link.troubles = nil })
	if err := w.until(func() bool { return len(*far) > 0 }); err != nil {
		t.Fatal(err)
	}
	if w.now < 10*time.Second || w.now > 10*time.Second+resendLongest+time.Second {
		t.Errorf("the segment came at %s", w.now)
	}
}

func TestThePeersOfAProcessThatEndsAreTold(t *testing.T) {
	w := newWorld(t.Context(), 1, calm)
	near, far := pipe(t, w)
	near.detach()
	if err := w.until(func() bool { return len(*far) > 0 }); err != nil {
		t.Fatal(err)
	}
	if (*far)[0] != "r" {
		t.Errorf("%v arrived, a reset wanted", *far)
	}
	var refused []byte
	near.attach(func(frame []byte) { refused = frame })
	near.take(guest.FrameDial, 2, []byte("10.0.0.2:1"))
	if err := w.until(func() bool { return refused != nil }); err != nil {
		t.Fatal(err)
	}
	if kind, id, _ := guest.ParseFrame(refused); kind != guest.FrameRefused || id != 2 {
		t.Errorf("frame %c for connection %d, a refusal wanted", kind, id)
	}
}

func TestWorldsHaveTheirOwnConditions(t *testing.T) {
	lossy, slow := 0, 0
	for seed := range int64(100) {
		c := drawConditions(seed, 5)
		if c.latency < latencyLeast || c.latency > latencyMost || len(c.syncs) != 5 || c.loss > lossMost {
			t.Errorf("seed %d: %+v", seed, c)
		}
		if c.loss > 0 {
			lossy++
		}
		if slices.Max(c.syncs) > syncMost {
			slow++
		}
	}
	if lossy < 15 || lossy > 60 || slow < 15 || slow > 60 {
		t.Errorf("of 100 worlds %d lose segments and %d have a bad disk, about a third wanted", lossy, slow)
	}
}
