package harness

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"rift/harness/history"
	"rift/nemesis"
	"rift/nemesis/vdso"
)

// oneNode is a cluster of one process, which may be down.
type oneNode struct {
	mu  sync.Mutex
	pid int
}

func (o *oneNode) Nodes() []string { return []string{"n1"} }

func (o *oneNode) Host(string) (nemesis.Host, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return nemesis.Host{Node: "n1", PID: o.pid}, o.pid != 0
}

func (o *oneNode) runs(pid int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pid = pid
}

// samples keeps what is taken down.
type samples struct {
	start time.Time
	list  chan history.ClockSample
}

func (s *samples) Now() time.Duration          { return time.Since(s.start) }
func (s *samples) Clock(c history.ClockSample) { s.list <- c }

// until waits for a sample that is as wanted, and returns it.
func (s *samples) until(t *testing.T, what string, wanted func(history.ClockSample) bool) history.ClockSample {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		select {
		case c := <-s.list:
			if wanted(c) {
				return c
			}
		case <-deadline:
			t.Fatalf("no sample shows %s", what)
		}
	}
}

// startCat starts a process that waits for the test's end.
func startCat(t *testing.T) int {
	t.Helper()
	cmd := exec.Command("cat")
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		if err := vdso.AwaitEnd(cmd.Process.Pid); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	return cmd.Process.Pid
}

func TestClocksAreWatchedOverLivesAndSkews(t *testing.T) {
	if err := vdso.Able(); err != nil || os.Geteuid() != 0 {
		t.Skipf("skewing clocks needs root on linux/amd64: %v", err)
	}
	node := &oneNode{}
	s := &samples{start: time.Now(), list: make(chan history.ClockSample, 10000)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		watchClocks(ctx, node, s)
	}()
	s.until(t, "a node that is down", func(c history.ClockSample) bool { return c.Down })
	pid := startCat(t)
	node.runs(pid)
	truth := func(c history.ClockSample) bool {
		return c == history.ClockSample{Time: c.Time, Node: "n1", WallRate: 1, MonotonicRate: 1}
	}
	s.until(t, "true clocks", truth)

	p, err := vdso.Attach(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	before := s.Now()
	if err := p.Set(vdso.Skew{Wall: vdso.Clock{Offset: -time.Hour, Rate: 1.5, Strobe: vdso.Strobe{Amplitude: time.Minute, HalfPeriod: time.Second}}}); err != nil {
		t.Fatal(err)
	}
	after := s.Now()
	got := s.until(t, "the skew", func(c history.ClockSample) bool {
		return c.Swing == time.Minute && c.WallRate == 1.5 && c.MonotonicRate == 1
	})
	// The watcher's clock and the shim's are not asked at the same instant.
	if slack := 50 * time.Millisecond; got.Time < before-slack || got.Time > after+slack || (got.Wall+time.Hour).Abs() > slack {
		t.Errorf("the skew was put in between %v and %v at -1h, the sample says at %v at %v", before, after, got.Time, got.Wall)
	}
	node.runs(startCat(t))
	s.until(t, "the true clocks of a new life", truth)
	cancel()
	<-ended
}

// Samples that tell nothing new are left out, but for one now and then.
func TestClockSamplesAreThinned(t *testing.T) {
	s := &samples{start: time.Now(), list: make(chan history.ClockSample, 1000)}
	w := clockWatcher{node: "n1"}
	for at := time.Millisecond; at < 10*time.Second; at += clocksEvery {
		sample := history.ClockSample{Time: at, Node: "n1", WallRate: 1.5, Wall: at / 2, MonotonicRate: 1}
		if at > 5*time.Second {
			sample.Wall = time.Hour + at/2
		}
		w.take(sample, s)
	}
	close(s.list)
	var at []time.Duration
	for c := range s.list {
		at = append(at, c.Time.Truncate(time.Second/10))
	}
	want := []time.Duration{0, 2, 4, 5, 7, 9}
	for i := range want {
		want[i] *= time.Second
	}
	if !slices.Equal(at, want) {
		t.Errorf("samples were taken down at %v, want %v", at, want)
	}
}
