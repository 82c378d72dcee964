//go:build linux && amd64

package vdso

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// childMode is the variable that makes the test binary the process whose clocks are skewed: "idle", or "busy" with threads that
// come and go, signals, and goroutines that ask for the time.
const childMode = "VDSO_TEST_CHILD"

func TestMain(m *testing.M) {
	if mode := os.Getenv(childMode); mode != "" {
		if err := runChild(mode); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// sample is what the child saw of its clocks between two instants of the true ones. All times are in ns.
type sample struct {
	Wall, Monotonic seen
	StepsBack       int64   // of the monotonic clock, seen by the busy goroutines so far
	NowCost         float64 // ns for one time.Now
}

// seen is a clock's answer, between Low and High, when the true clock showed something between After and Before.
type seen struct{ After, Low, High, Before int64 }

// runChild answers each line on standard input with a sample, until its end.
func runChild(mode string) error {
	c := newChild()
	if mode == "busy" {
		stop, err := c.keepBusy()
		if err != nil {
			return err
		}
		defer stop()
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if lines.Text() == "exec" {
			fmt.Println("done")
			pprof.StopCPUProfile() // its timer would outlive the exec, and its signal end the next program
			return syscall.Exec("/proc/self/exe", os.Args, os.Environ())
		}
		s, err := c.sample(lines.Text() == "cost")
		if err != nil {
			return err
		}
		if err := json.NewEncoder(os.Stdout).Encode(s); err != nil {
			return err
		}
	}
	return lines.Err()
}

type child struct {
	start     time.Time
	began     seen // start, on the true monotonic clock
	stepsBack atomic.Int64
}

// newChild notes when it began, as exactly as it can: Go does not tell the monotonic clock itself, only the time since.
func newChild() *child {
	c := &child{}
	for range 100 {
		after, _ := hostClock(monotonic)
		start := time.Now()
		before, _ := hostClock(monotonic)
		if c.start.IsZero() || before-after < c.began.Before-c.began.After {
			c.start, c.began = start, seen{After: after, Before: before}
		}
	}
	return c
}

func (c *child) sample(cost bool) (s sample, err error) {
	if s.Wall.After, err = hostClock(wall); err != nil {
		return s, err
	}
	s.Wall.Low = time.Now().UnixNano()
	s.Wall.High = s.Wall.Low
	s.Wall.Before, _ = hostClock(wall)
	s.Monotonic.After, _ = hostClock(monotonic)
	since := int64(time.Since(c.start))
	s.Monotonic.Before, _ = hostClock(monotonic)
	s.Monotonic.Low, s.Monotonic.High = c.began.After+since, c.began.Before+since
	s.StepsBack = c.stepsBack.Load()
	if cost {
		s.NowCost = nowCost()
	}
	return s, nil
}

// nowCost is what one time.Now takes in ns, at best: others use the machine too.
func nowCost() float64 {
	const calls = 100_000
	best := time.Hour
	for range 20 {
		began := time.Now()
		for range calls {
			_ = time.Now()
		}
		best = min(best, time.Since(began))
	}
	return float64(best) / calls
}

// keepBusy asks for the time in every way a Go program does, from threads that come and go, under signals.
func (c *child) keepBusy() (stop func(), err error) {
	debug.SetGCPercent(20)
	if err := pprof.StartCPUProfile(io.Discard); err != nil {
		return nil, err
	}
	done := make(chan struct{})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { c.watch(done) })
	}
	all.Go(func() { // goroutines that end locked take their thread along
		for isOpen(done) {
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				runtime.LockOSThread()
				time.Sleep(time.Microsecond)
			}()
			<-ended
		}
	})
	all.Go(func() { // fork, exec and the signal of their end
		for isOpen(done) {
			_ = exec.Command("/proc/self/exe", "-test.list", "^$").Run()
			time.Sleep(20 * time.Millisecond)
		}
	})
	return func() {
		close(done)
		all.Wait()
		pprof.StopCPUProfile()
	}, nil
}

func isOpen(done chan struct{}) bool {
	select {
	case <-done:
		return false
	default:
		return true
	}
}

// watch counts how often the monotonic clock steps back, and whether the wall clock answers at all.
func (c *child) watch(done chan struct{}) {
	var last time.Duration
	for isOpen(done) {
		now := time.Since(c.start)
		if now < last {
			c.stepsBack.Add(1)
		}
		last = now
		if time.Now().Unix() < 0 {
			panic("the wall clock shows a time before 1970")
		}
	}
}

// running is a child as the test sees it.
type running struct {
	t   testing.TB
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader

	ended chan struct{} // closed when it has been collected
}

// startChild starts a child process, and ends it with the test.
func startChild(t testing.TB, mode string) *running {
	t.Helper()
	needPtrace(t)
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), childMode+"="+mode, "GORACE=atexit_sleep_ms=0")
	return startProcess(t, cmd)
}

// startProcess starts a process that answers lines with lines.
func startProcess(t testing.TB, cmd *exec.Cmd) *running {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := &running{t, cmd, in, bufio.NewReader(out), make(chan struct{})}
	go func() {
		defer close(r.ended)
		if err := AwaitEnd(cmd.Process.Pid); err != nil {
			t.Error(err)
		}
		_ = cmd.Wait() // how it ended stands in cmd.ProcessState
	}()
	t.Cleanup(func() {
		in.Close()
		<-r.ended
		if state := cmd.ProcessState; !state.Success() && !ended(state, syscall.SIGKILL) {
			t.Errorf("the child ended with %v and said:\n%s", state, said.String())
		}
	})
	r.ask("hello")
	return r
}

// ended says whether a process was ended by a signal.
func ended(state *os.ProcessState, by syscall.Signal) bool {
	status := state.Sys().(syscall.WaitStatus)
	return status.Signaled() && status.Signal() == by
}

func (r *running) pid() int { return r.cmd.Process.Pid }

// ask sends a line and returns the answer.
func (r *running) ask(line string) string {
	r.t.Helper()
	if _, err := fmt.Fprintln(r.in, line); err != nil {
		r.t.Fatalf("the child does not listen: %v", err)
	}
	answer, err := r.out.ReadString('\n')
	if err != nil {
		r.t.Fatalf("the child does not answer: %v", err)
	}
	return answer
}

func (r *running) sample() sample {
	r.t.Helper()
	var s sample
	if answer := r.ask("now"); json.Unmarshal([]byte(answer), &s) != nil {
		r.t.Fatalf("the child says %q", answer)
	}
	return s
}

// attach attaches to the child, and lets go of it with the test.
func (r *running) attach() *Process {
	r.t.Helper()
	p, err := Attach(r.pid())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { p.Close() })
	return p
}

// needPtrace skips a test where processes cannot be traced, unless the environment insists.
func needPtrace(t testing.TB) {
	t.Helper()
	if os.Getuid() == 0 {
		return
	}
	if os.Getenv("RIFT_REQUIRE_DOCKER") == "1" {
		t.Fatal("RIFT_REQUIRE_DOCKER=1, but the tests do not run as root, who may patch other processes")
	}
	t.Skip("skewing clocks needs root: it patches another process")
}
