package nemesis

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// process is a process held by a descriptor (pidfd_open(2), Linux 5.3), so that another process that is given its number after
// its end is never mistaken for it.
type process struct {
	pid int
	fd  int
}

func openProcess(pid int) (process, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return process{}, fmt.Errorf("hold process %d: %w", pid, err)
	}
	return process{pid, fd}, nil
}

func (p process) close() { unix.Close(p.fd) }

// signal sends a signal; it does nothing to a process that has ended.
func (p process) signal(s unix.Signal) error {
	err := unix.PidfdSendSignal(p.fd, s, nil, 0)
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("send %s to process %d: %w", unix.SignalName(s), p.pid, err)
	}
	return nil
}

// ended waits for the process to end, at most the given time or until the context ends, and says whether it has.
func (p process) ended(ctx context.Context, most time.Duration) bool {
	const slice = 20 * time.Millisecond // how soon the end of the context is noticed
	poll := []unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}
	for deadline := time.Now().Add(most); ; {
		left := max(0, time.Until(deadline))
		n, err := unix.Poll(poll, int(min(left, slice).Milliseconds()))
		if n > 0 {
			return true
		}
		if err != nil && !errors.Is(err, unix.EINTR) || left == 0 || ctx.Err() != nil {
			return false
		}
	}
}

// threads counts the process's threads, and those of them that are stopped by a signal. Threads that have
// ended are not counted; a process that has ended has none.
func (p process) threads() (all, stopped int) {
	if p.ended(context.Background(), 0) {
		return 0, 0
	}
	stats, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.pid)) // the pattern is well formed
	for _, path := range stats {
		switch state, _ := readStat(path); state {
		case 'T':
			all++
			stopped++
		case 'Z', 'X', 0:
		default:
			all++
		}
	}
	return all, stopped
}

// readStat reads the state and the parent's number from a stat file of /proc; zeros if the process is gone. The command's name,
// in brackets before them, may itself contain brackets and spaces. See proc(5).
func readStat(path string) (state byte, parent int) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, 0
	}
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) < 2 {
		return 0, 0
	}
	parent, _ = strconv.Atoi(string(fields[1]))
	return fields[0][0], parent
}

// family lists the processes that make up a host, sorted: its first process, the descendants of that one, and, if it has a PID
// namespace of its own, everything in that namespace. It refuses a family that this process belongs to.
func family(first int) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	children := make(map[int][]int)
	members := map[int]bool{first: true}
	namespace := ownNamespace(first)
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		_, parent := readStat("/proc/" + e.Name() + "/stat")
		children[parent] = append(children[parent], pid)
		if namespace != nil && sameFile(namespace, pid) {
			members[pid] = true
		}
	}
	for queue := []int{first}; len(queue) > 0; queue = queue[1:] {
		for _, child := range children[queue[0]] {
			members[child] = true
			queue = append(queue, child)
		}
	}
	if members[os.Getpid()] {
		return nil, fmt.Errorf("process %d is no host: this program is one of its descendants", first)
	}
	return slices.Sorted(maps.Keys(members)), nil
}

// ownNamespace is the PID namespace of a process, or nil if that is this program's own or cannot be read.
func ownNamespace(pid int) os.FileInfo {
	theirs, err := os.Stat(namespacePath(pid))
	if err != nil || sameFile(theirs, os.Getpid()) {
		return nil
	}
	return theirs
}

func sameFile(namespace os.FileInfo, pid int) bool {
	other, err := os.Stat(namespacePath(pid))
	return err == nil && os.SameFile(namespace, other)
}

func namespacePath(pid int) string { return fmt.Sprintf("/proc/%d/ns/pid", pid) }
