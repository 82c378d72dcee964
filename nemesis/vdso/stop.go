//go:build linux && amd64

package vdso

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// stopTime bounds how long the threads of a process may take to stop. One that is frozen, or that hangs in
// the kernel, does not stop.
const stopTime = 2 * time.Second

// stopped is a process whose threads are all held still by ptrace.
type stopped struct {
	pid     int
	mem     *os.File
	threads map[int]*thread
}

// thread is a thread that stands still.
type thread struct {
	tid     int
	stopped bool
	signal  int // that it was about to take when it was stopped; 0 for none
}

// whileStopped stops every thread of a process, runs do, and lets the process go on as if nothing had been. do runs on
// the one operating-system thread that may ask ptrace about the process.
func whileStopped(pid int, mem *os.File, do func(*stopped) error) error {
	done := make(chan error)
	go onOwnThread(func() (clean bool) {
		s := &stopped{pid: pid, mem: mem, threads: make(map[int]*thread)}
		err := s.stop()
		if err == nil {
			err = do(s)
		}
		clean = s.release()
		done <- err
		return clean
	})
	return <-done
}

// onOwnThread runs do locked to an operating-system thread. If do cannot say that it left nothing behind, the thread is ended,
// upon which the kernel lets go of everything it traced. It is kept otherwise, because its end would also kill the
// children that were started from it with a parent-death signal. The first thread of a process cannot be ended, so do
// never runs there.
func onOwnThread(do func() (clean bool)) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		elsewhere := make(chan struct{})
		go func() {
			defer close(elsewhere)
			onOwnThread(do)
		}()
		<-elsewhere
		runtime.UnlockOSThread()
		return
	}
	if do() {
		runtime.UnlockOSThread()
	}
}

// stop seizes threads until there is none that it has not: those it has not stopped yet may start others.
func (s *stopped) stop() error {
	deadline := time.Now().Add(stopTime)
	for {
		fresh, err := s.seize(deadline)
		if err != nil {
			return err
		}
		if len(fresh) == 0 {
			break
		}
		for _, t := range fresh {
			if err := t.wait(deadline); err != nil && !errors.Is(err, ErrGone) {
				return fmt.Errorf("stop thread %d of process %d, which is %s: %w", t.tid, s.pid, threadState(s.pid, t.tid), err)
			}
		}
	}
	for _, t := range s.threads {
		if t.stopped {
			return nil
		}
	}
	return fmt.Errorf("stop process %d: %w", s.pid, ErrGone)
}

// seize begins to stop the threads that it has not seen yet, and returns them. Threads that are ending are passed over. If another
// part of this program holds the process just now, seize waits for it; all begin with the same thread, so they do not
// wait for each other.
func (s *stopped) seize(deadline time.Time) ([]*thread, error) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", s.pid))
	if err != nil {
		return nil, gone(err)
	}
	var fresh []*thread
	for _, e := range entries {
		tid, err := strconv.Atoi(e.Name())
		if err != nil || s.threads[tid] != nil {
			continue
		}
		for err = unix.PtraceSeize(tid); err == unix.EPERM && !s.ending(tid) && time.Now().Before(deadline); err = unix.PtraceSeize(tid) {
			sleep(time.Millisecond)
		}
		if err == unix.ESRCH || err == unix.EPERM && s.ending(tid) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("seize thread %d of process %d (needs CAP_SYS_PTRACE, and no debugger on it): %w", tid, s.pid, err)
		}
		t := &thread{tid: tid}
		s.threads[tid] = t
		fresh = append(fresh, t)
		if err := unix.PtraceInterrupt(tid); err != nil && err != unix.ESRCH {
			return nil, fmt.Errorf("interrupt thread %d of process %d: %w", tid, s.pid, err)
		}
	}
	return fresh, nil
}

// errNotStopped is of a thread that did not come to a stop in time.
var errNotStopped = fmt.Errorf("it did not stop within %v", stopTime)

// wait waits for a thread's next stop. A thread that ends is ErrGone.
//
// It asks for stops only: to collect an exit would take it from the process's parent, which may be another part of this
// program. The kernel has no such wait with a deadline, so it asks again and again, more and more slowly.
func (t *thread) wait(deadline time.Time) error {
	for try := 0; ; try++ {
		var info struct {
			Signo, Errno, Code, _ int32
			PID, UID, Status      int32
			_                     [25]int32
		}
		err := unix.Waitid(unix.P_PID, t.tid, (*unix.Siginfo)(unsafe.Pointer(&info)), unix.WSTOPPED|unix.WALL|unix.WNOHANG, nil)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			t.stopped = false
			return gone(fmt.Errorf("wait for thread %d: %w", t.tid, err))
		case info.Signo != 0:
			t.stopped = true
			t.signal = int(info.Status & 0x7f)
			if info.Status>>8 != 0 {
				t.signal = 0 // our own interruption, or a stop of the whole process
			}
			return nil
		case time.Now().After(deadline):
			return errNotStopped
		case try > 50:
			sleep(min(time.Duration(try)*time.Microsecond, time.Millisecond))
		}
	}
}

// release lets all threads go on, each with the signal it was about to take. It returns false if
// the kernel still has a thread down as ours.
func (s *stopped) release() (clean bool) {
	clean = true
	for _, t := range s.threads {
		if t.stopped && ptrace(unix.PTRACE_DETACH, t.tid, 0, uintptr(t.signal)) == nil {
			continue
		}
		clean = false // it ended, or did not stop in time
	}
	return clean
}

// sleep keeps the operating-system thread, unlike time.Sleep, which is slow to come back to a goroutine that is locked to one.
func sleep(d time.Duration) {
	pause := unix.NsecToTimespec(int64(d))
	unix.Nanosleep(&pause, nil)
}

// ending says whether a thread has ended, or is about to.
func (s *stopped) ending(tid int) bool {
	return strings.Contains("ZX?", threadState(s.pid, tid))
}

// threadState is the letter by which proc(5) names a thread's state; "?" if there is no such thread.
func threadState(pid, tid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/stat", pid, tid))
	if at := bytes.LastIndexByte(stat, ')'); err == nil && at+2 < len(stat) {
		return string(stat[at+2])
	}
	return "?"
}

// ptrace makes the requests that the unix package has no function for.
func ptrace(request, tid int, address, data uintptr) error {
	if _, _, errno := unix.Syscall6(unix.SYS_PTRACE, uintptr(request), uintptr(tid), address, data, 0, 0); errno != 0 {
		return errno
	}
	return nil
}
