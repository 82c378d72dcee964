//go:build linux && amd64

package vdso

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// stopTime bounds how long the threads of a process may take to stop. One that is frozen, or that hangs in
// the kernel, does not stop.
const stopTime = 2 * time.Second

// stopped is a process whose threads are all held still by ptrace.
type stopped struct {
	pid     int
	mem     *os.File // of the program that was stopped, which an exec may have made another than was expected
	threads map[int]*thread

	mu     sync.Mutex
	others []int // the seized threads but for the first, for collect
}

// whileStopped stops every thread of a process, runs do, and lets the process go on as if nothing had been. do runs on
// the one operating-system thread that may ask ptrace about the process.
func whileStopped(pid int, do func(s *stopped) error) error {
	done := make(chan error)
	go onOwnThread(func() (clean bool) {
		s := &stopped{pid: pid, threads: make(map[int]*thread)}
		err := s.stop()
		if err == nil {
			err = s.withMemory(do)
		}
		clean = s.release()
		done <- err
		return clean
	})
	return <-done
}

func (s *stopped) withMemory(do func(s *stopped) error) (err error) {
	if s.mem, err = openMemory(s.pid); err != nil {
		return err
	}
	defer s.mem.Close()
	return do(s)
}

// stop seizes threads until there is none that it has not: those it has not stopped yet may start others. At the end all that
// were seized still stand still, so that none can have begun an exec that the list of threads did not show.
func (s *stopped) stop() error {
	finish := s.collect()
	defer finish()
	deadline := time.Now().Add(stopTime)
	for {
		fresh, err := s.seize(deadline)
		if err != nil {
			return err
		}
		if err := s.settle(deadline); err != nil {
			return err
		}
		if fresh == 0 {
			break
		}
	}
	still := 0
	for _, t := range s.threads {
		if t.stopped {
			still++
		}
		if t.ended && t.first {
			return fmt.Errorf("stop process %d: %w", s.pid, ErrGone)
		}
	}
	if still == 0 {
		return fmt.Errorf("stop process %d: %w", s.pid, ErrGone)
	}
	return nil
}

// seize begins to stop the threads that it has not seen yet, and returns their number. Threads that are ending are passed over. If another
// part of this program holds the process just now, seize waits for it; all begin with the same thread, so they do not
// wait for each other.
func (s *stopped) seize(deadline time.Time) (fresh int, err error) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", s.pid))
	if err != nil {
		return 0, gone(err)
	}
	for _, e := range entries {
		tid, err := strconv.Atoi(e.Name())
		if err != nil || s.threads[tid] != nil {
			continue
		}
		for try := 0; ; try++ {
			err = unix.PtraceSeize(tid)
			if err == unix.EPERM && unix.PtraceInterrupt(tid) == nil {
				err = nil // a thread that was seized has taken this number by an exec
			}
			if err != unix.EPERM || hasEnded(s.pid, tid) || time.Now().After(deadline) {
				break
			}
			pause(try)
		}
		if err == unix.ESRCH || err == unix.EPERM && hasEnded(s.pid, tid) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("seize thread %d of process %d (needs CAP_SYS_PTRACE, and no debugger on it): %w", tid, s.pid, err)
		}
		s.add(tid)
		fresh++
		if err := unix.PtraceInterrupt(tid); err != nil && err != unix.ESRCH {
			return 0, fmt.Errorf("interrupt thread %d of process %d: %w", tid, s.pid, err)
		}
	}
	return fresh, nil
}

func (s *stopped) add(tid int) {
	s.threads[tid] = &thread{tid: tid, first: tid == s.pid}
	if tid != s.pid {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.others = append(s.others, tid)
	}
}

// settle waits until each seized thread has stopped or ended. An exec by one thread ends the others, those that have stopped included, and
// goes on when their ends have been collected, so it asks them all again and again.
func (s *stopped) settle(deadline time.Time) error {
	for try := 0; ; try++ {
		var moving *thread
		for _, t := range s.threads {
			if t.ended {
				continue
			}
			if err := t.poll(s.pid); err != nil {
				return err
			}
			if t.stopped || t.ended {
				continue
			}
			// An exec by a thread that was not seized yet gives it the number of the first thread, which is no more.
			if t.ended = unix.PtraceInterrupt(t.tid) == unix.ESRCH; !t.ended {
				moving = t
			}
		}
		if moving == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("thread %d of process %d, in state %s, did not stop within %v", moving.tid, s.pid, threadState(s.pid, moving.tid), stopTime)
		}
		pause(try)
	}
}

// collect collects the ends of the seized threads every few milliseconds, until it is told to finish. The thread that seizes cannot do
// it: a seizure waits for an exec that is under way, and the exec for these ends (ptrace(2), BUGS).
func (s *stopped) collect() (finish func()) {
	done, finished := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(finished)
		again := time.NewTicker(10 * time.Millisecond)
		defer again.Stop()
		for {
			select {
			case <-done:
				return
			case <-again.C:
				s.mu.Lock()
				s.others = slices.DeleteFunc(s.others, func(tid int) bool { return hasEnded(s.pid, tid) && reap(tid) })
				s.mu.Unlock()
			}
		}
	}()
	return func() {
		close(done)
		<-finished
	}
}

// release lets all threads go on, each with the signal it was about to take. It returns false if
// the kernel still has a thread down as ours.
func (s *stopped) release() (clean bool) {
	clean = true
	for _, t := range s.threads {
		if !t.reaped && (!t.stopped || ptrace(unix.PTRACE_DETACH, t.tid, 0, uintptr(t.signal.number)) != nil) {
			clean = false // it did not stop in time, or ended, or took another's number by an exec
		}
	}
	return clean
}
