package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A process is a running node. The handle (a pidfd) stands for this very process: when it has ended and
// its PID is given to another one, signals go nowhere.
type process struct {
	pid    int
	handle *os.File
}

// findProcess returns the replica's process, or nil if the PID file is missing or names a process that
// has ended or is not that node: PIDs are used again, at the latest after the machine restarted.
func findProcess(r replica) (*process, error) {
	pid, err := readPID(r.pidFile())
	if err != nil || pid == 0 {
		return nil, err
	}
	p, err := openProcess(pid)
	if err != nil || p == nil {
		return nil, err
	}
	// The process that was looked at is the one of the handle if that has not ended meanwhile.
	if isNode(pid, r) && !p.ended() {
		return p, nil
	}
	p.close()
	return nil, nil
}

// openProcess returns nil if there is no such process.
func openProcess(pid int) (*process, error) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	switch {
	case errors.Is(err, unix.ESRCH), errors.Is(err, unix.ENOENT), errors.Is(err, unix.EINVAL): // the last two: a thread
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("look at process %d: %w", pid, err)
	}
	return &process{pid, os.NewFile(uintptr(fd), "pidfd")}, nil
}

func (p *process) close() { p.handle.Close() }

// isNode says whether a process runs as that node: with its name first and its data last on the command
// line. A rebuilt or moved program does not matter, nor does whose process it is.
func isNode(pid int, r replica) bool {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)) // empty if it has ended
	if err != nil {
		return false
	}
	args := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
	return len(args) > 3 && args[1] == "-id" && args[2] == r.alias && sameFile(args[len(args)-1], r.data())
}

// sameFile allows for symbolic links, and for a folder that was deleted under a running node.
func sameFile(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return a == b || errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

// ended says whether the process has ended.
func (p *process) ended() (yes bool) {
	p.control(func(fd int) { yes = exited(fd) })
	return yes
}

// exited asks a pidfd, which becomes readable when its process ends.
func exited(fd int) bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	return err == nil && n > 0
}

// wait returns nil when the process has ended, or the error of ctx.
func (p *process) wait(ctx context.Context) error {
	raw, err := p.handle.SyscallConn()
	if err != nil {
		return err
	}
	expired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(expired)
		_ = p.handle.SetReadDeadline(time.Unix(1, 0)) // cannot fail: the kernel polls pidfds
	})
	err = raw.Read(func(fd uintptr) bool { return exited(int(fd)) })
	if !stop() {
		<-expired
		_ = p.handle.SetReadDeadline(time.Time{})
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return ctx.Err()
	}
	return err
}

// signal sends a signal. That the process has ended is no error.
func (p *process) signal(s unix.Signal) (err error) {
	p.control(func(fd int) { err = unix.PidfdSendSignal(fd, s, nil, 0) })
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("send %s to process %d: %w", unix.SignalName(s), p.pid, err)
	}
	return nil
}

func (p *process) control(f func(fd int)) {
	raw, err := p.handle.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { f(int(fd)) })
	}
	if err != nil {
		panic(fmt.Sprintf("process %d: used after close: %v", p.pid, err))
	}
}

// readPID returns 0 if there is no such file.
func readPID(path string) (int, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the PID file: %w", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || pid <= 0 {
		return 0, fmt.Errorf("%s: %q given, the number of a process expected; remove the file if no node runs", path, clip(string(b)))
	}
	return pid, nil
}

// writePID writes the file whole or not at all.
func writePID(path string, pid int) error {
	next := path + ".new"
	if err := os.WriteFile(next, fmt.Appendln(nil, pid), 0o644); err != nil {
		return fmt.Errorf("write the PID file: %w", err)
	}
	if err := os.Rename(next, path); err != nil {
		return fmt.Errorf("write the PID file: %w", err)
	}
	return nil
}

// lock keeps other programs like this one from starting or stopping nodes of the same data directory.
func lock(dataDir string) (unlock func(), err error) {
	f, err := os.Open(dataDir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("another clusterctl is starting or stopping nodes in %s", dataDir)
		}
		return nil, fmt.Errorf("lock %s: %w", dataDir, err)
	}
	return func() { f.Close() }, nil
}
