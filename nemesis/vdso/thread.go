//go:build linux && amd64

package vdso

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// thread is a thread that ptrace has seized.
type thread struct {
	tid     int
	first   bool // of its process
	stopped bool // it stands still
	ended   bool
	reaped  bool    // we have collected its end, so that the kernel has nothing left of it
	signal  siginfo // that it was about to take when it was stopped; the zero value for none
}

// siginfo is what the kernel tells of a signal.
type siginfo struct {
	number, errno, code int32
	_                   [29]int32
}

// poll looks whether a thread has stopped or ended.
//
// It does not use a wait call. Those of any thread of this program take the reports of all that this program traces, so the report of a
// stop may go to a goroutine that waits for the end of a child.
func (t *thread) poll(pid int) error {
	var info siginfo
	switch err := ptrace(unix.PTRACE_GETSIGINFO, t.tid, 0, uintptr(unsafe.Pointer(&info))); err {
	case nil:
		t.stopped, t.signal = true, info
		if info.code>>8 == unix.PTRACE_EVENT_STOP {
			t.signal = siginfo{} // our own interruption, or a stop of the whole process
		}
	case unix.ESRCH: // it has not stopped, or has ended
		t.stopped = false
		t.ended = hasEnded(pid, t.tid)
		t.reaped = t.ended && !t.first && reap(t.tid)
	default:
		return fmt.Errorf("ask thread %d for its signal: %w", t.tid, err)
	}
	return nil
}

// reap collects the end of a thread that has ended and is not the first of its process, which nobody but its tracer can do. The end of a
// first thread is left to the process's parent. It returns false if there was nothing to collect.
func reap(tid int) bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, tid, &info, unix.WEXITED|unix.WALL|unix.WNOHANG, nil)
	return err == nil && info.Signo != 0
}

// hasEnded says whether a thread has ended.
func hasEnded(pid, tid int) bool {
	return strings.Contains("ZX?", threadState(pid, tid))
}

// registers of a stopped thread.
func (t *thread) registers() (unix.PtraceRegs, error) {
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(t.tid, &regs); err != nil {
		return regs, fmt.Errorf("read the registers of thread %d: %w", t.tid, gone(err))
	}
	return regs, nil
}

func (t *thread) setRegisters(regs unix.PtraceRegs) error {
	if err := unix.PtraceSetRegs(t.tid, &regs); err != nil {
		return fmt.Errorf("set the registers of thread %d: %w", t.tid, gone(err))
	}
	return nil
}

// threadState is the letter by which proc(5) names a thread's state; "?" if there is no such thread.
func threadState(pid, tid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/stat", pid, tid))
	if at := bytes.LastIndexByte(stat, ')'); err == nil && at+2 < len(stat) {
		return string(stat[at+2])
	}
	return "?"
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

// pause lets time pass between questions to the kernel, the more the more were asked in vain: there is no wait for several threads
// with a deadline. It keeps the operating-system thread, unlike time.Sleep, which is slow to come back to a goroutine that is locked
// to one.
func pause(try int) {
	if try > 50 {
		d := unix.NsecToTimespec(int64(min(time.Duration(try)*time.Microsecond, time.Millisecond)))
		unix.Nanosleep(&d, nil)
	}
}

// ptrace makes the requests that the unix package has no function for.
func ptrace(request, tid int, address, data uintptr) error {
	if _, _, errno := unix.Syscall6(unix.SYS_PTRACE, uintptr(request), uintptr(tid), address, data, 0, 0); errno != 0 {
		return errno
	}
	return nil
}
