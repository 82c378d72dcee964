//go:build linux && amd64

package vdso

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// compile makes a program of a C file in testdata.
func compile(t *testing.T, name string, flags ...string) string {
	t.Helper()
	needPtrace(t)
	compiler, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler (cc) here, so no C program is skewed")
	}
	program := filepath.Join(t.TempDir(), name)
	out, err := exec.Command(compiler, append(flags, "-O2", "-o", program, filepath.Join("testdata", name+".c"))...).CombinedOutput()
	if err != nil {
		t.Fatalf("compile %s: %v\n%s", name, err, out)
	}
	return program
}

// cClocks are the clocks that testdata/clocks.c shows: the timeline each belongs to (-1: none), and how coarse it is.
var cClocks = map[string]struct {
	timeline int
	coarse   time.Duration
}{
	"realtime": {wall, 0}, "realtime_coarse": {wall, 20 * time.Millisecond}, "tai": {tai, 0},
	"gettimeofday": {wall, time.Microsecond}, "time": {wall, time.Second + 20*time.Millisecond},
	"monotonic": {monotonic, 0}, "monotonic_coarse": {monotonic, 20 * time.Millisecond},
	"monotonic_raw": {raw, 0}, "boottime": {boot, 0}, "cpu": {-1, 0},
}

func TestC(t *testing.T) {
	for _, linked := range []string{"-static", "-pie"} {
		t.Run(linked[1:], func(t *testing.T) {
			c := startProcess(t, exec.Command(compile(t, "clocks", linked)))
			cSees(t, c, block{})
			p := c.attach()
			cSees(t, c, block{})
			for _, s := range []Skew{
				{Wall: Clock{Offset: time.Hour, Rate: 2}, Monotonic: Clock{Rate: 0.5}},
				{Wall: Clock{Offset: -5 * 365 * 24 * time.Hour}, Monotonic: Clock{Offset: time.Hour}},
				{},
			} {
				set(t, p, s)
				_, b, err := p.blocks()
				if err != nil {
					t.Fatal(err)
				}
				cSees(t, c, b)
			}
			r := read(t, p)
			near(t, "the wall clock", r.Wall, 0, r.Error)
		})
	}
}

// cSees compares every clock that the C program shows with what the block says.
func cSees(t *testing.T, c *running, b block) {
	t.Helper()
	words := strings.Fields(c.ask("now"))
	shown := 0
	for ; len(words) >= 4; words = words[4:] {
		clock, ok := cClocks[words[0]]
		var times [3]int64
		for i := range times {
			var err error
			if times[i], err = strconv.ParseInt(words[i+1], 10, 64); err != nil {
				t.Fatal(err)
			}
		}
		var line timeline
		if clock.timeline >= 0 {
			line = b[clock.timeline]
		}
		low, high := line.at(times[0]-int64(clock.coarse))-int64(clock.coarse), line.at(times[2])
		if !ok || times[1] < low || times[1] > high {
			t.Errorf("%s shows %d, want %d to %d", words[0], times[1], low, high)
		}
		shown++
	}
	if shown != len(cClocks) || strings.Join(words, " ") != "error 1" {
		t.Errorf("the program shows %d clocks, want %d; then %q, want an unknown clock to be an error", shown, len(cClocks), words)
	}
}

func TestPython(t *testing.T) {
	needPtrace(t)
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 here")
	}
	// The launcher that LookPath finds may only start the real one.
	real, err := exec.Command(python, "-c", "import sys; print(sys.executable)").Output()
	if err != nil {
		t.Fatal(err)
	}
	c := startProcess(t, exec.Command(strings.TrimSpace(string(real)), filepath.Join("testdata", "clocks.py")))
	p := c.attach()
	set(t, p, Skew{Wall: Clock{Offset: -time.Hour}, Monotonic: Clock{Offset: time.Minute}})
	_, b, err := p.blocks()
	if err != nil {
		t.Fatal(err)
	}
	before, err := hostClocks()
	if err != nil {
		t.Fatal(err)
	}
	var shown [timelines]int64
	if _, err := fmt.Sscan(c.ask("now"), &shown[wall], &shown[monotonic]); err != nil {
		t.Fatal(err)
	}
	after, err := hostClocks()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{wall, monotonic} {
		if low, high := b[i].at(before[i]), b[i].at(after[i]); shown[i] < low || shown[i] > high {
			t.Errorf("timeline %d shows %d, want %d to %d", i, shown[i], low, high)
		}
	}
}

// A signal handler that runs while the process is patched may return into the bytes that were replaced.
func TestSignalInsideFunction(t *testing.T) {
	img := selfImage(t)
	const pushRBP = 0x55
	if img.at(img.entry[0])[0] != pushRBP {
		t.Skipf("this kernel's clock_gettime does not begin with push rbp, which the test is made for, but with % x", img.at(img.entry[0])[:5])
	}
	program := compile(t, "inside")
	c := startProcess(t, exec.Command(program, fmt.Sprint(img.entry[0]-img.start)))
	p := c.attach() // the child waits in its handler now
	set(t, p, Skew{Wall: Clock{Offset: time.Hour}})
	before, _ := hostClock(wall)
	seconds, err := strconv.ParseInt(strings.TrimSpace(c.ask("go on")), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	// The call began before the patch, so it shows true time.
	after, _ := hostClock(wall)
	if seconds < before/1e9 || seconds > after/1e9 {
		t.Errorf("the function gave %d s, want %d to %d", seconds, before/1e9, after/1e9)
	}
}

// A thread that stands inside the bytes which are replaced goes on at the same instruction of the moved function.
func TestThreadInsideFunction(t *testing.T) {
	c := startChild(t, "idle")
	p, img, err := open(c.pid())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	code, err := newShim(&img, img.start+uint64(img.used+63)&^63)
	if err != nil {
		t.Fatal(err)
	}
	err = whileStopped(c.pid(), func(s *stopped) error {
		thread, own, err := s.caller()
		if err != nil {
			return err
		}
		for i, entry := range img.entry {
			for inside := uint64(0); inside <= jumpSize; inside++ {
				regs, want := own, entry+inside
				if inside > 0 && inside < jumpSize {
					want = code.moved[i] + inside
				}
				regs.Rip = entry + inside
				if err := errors.Join(thread.setRegisters(regs), s.clear(&img, code)); err != nil {
					return err
				}
				if regs, err = thread.registers(); err != nil {
					return err
				}
				if regs.Rip != want {
					t.Errorf("a thread %d bytes inside %s goes on at %#x, want %#x", inside, hooked[i], regs.Rip, want)
				}
			}
		}
		return thread.setRegisters(own)
	})
	if err != nil {
		t.Fatal(err)
	}
	isTrue(t, c)
}

func TestSignalReturns(t *testing.T) {
	moved := func(rip uint64) (uint64, bool) { return rip + 1000, rip == 77 }
	stack := make([]byte, 0, 80)
	for _, word := range []uint64{77, 0x246, 0x10, 77, 0x246, 0x2b_0000_0000_0033, 77, 78, 0x33, 77} {
		stack = binary.LittleEndian.AppendUint64(stack, word)
	}
	found := signalReturns(stack, moved)
	if len(found) != 2 || found[24] != 1077 || found[48] != 1077 {
		t.Errorf("found %v", found)
	}
}

// What is done on a thread of its own never runs on the first, and ends the thread unless it was clean.
func TestOnOwnThread(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for range 20 {
		ran := make(chan int)
		go onOwnThread(func() bool {
			ran <- unix.Gettid()
			return false
		})
		tid := <-ran
		if tid == unix.Getpid() {
			t.Fatal("it ran on the first thread")
		}
		deadline := time.Now().Add(5 * time.Second)
		for unix.Tgkill(unix.Getpid(), tid, 0) != unix.ESRCH {
			if time.Now().After(deadline) {
				t.Fatalf("thread %d lives on", tid)
			}
			time.Sleep(time.Millisecond)
		}
	}
}
