package nemesis

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// extraKnocks is how many more connections are made than there are spare descriptors.
const extraKnocks = 4

// openFiles is the set of a process's open file descriptors. A process that has ended has none.
func openFiles(pid int) (map[int]bool, error) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ESRCH) {
		return nil, fmt.Errorf("list the open files of process %d: %w", pid, err)
	}
	open := make(map[int]bool)
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil {
			open[fd] = true
		}
	}
	return open, nil
}

// limitFor is the highest limit under which just so many more descriptors can be opened. The kernel gives out the lowest free number, and none at or above
// the limit, so that what counts is not how many are open but which.
func limitFor(open map[int]bool, spare int) uint64 {
	fd := 0
	for ; open[fd] || spare > 0; fd++ {
		if !open[fd] {
			spare--
		}
	}
	return uint64(fd)
}

// free counts the descriptors that can still be opened under a limit.
func free(open map[int]bool, limit uint64) (n int) {
	for fd := range int(limit) {
		if !open[fd] {
			n++
		}
	}
	return n
}

// prove connects to the node more often than it has descriptors to spare. Connecting succeeds all the same, since that is the kernel's
// doing; that the node cannot accept is seen by connections that no process of its has got, with no descriptor free.
func (l *filesLimit) prove(ctx context.Context, applied time.Duration) (proof, error) {
	k, err := knockOnceUp(ctx, l.host, l.spare+extraKnocks)
	defer k.leave()
	if err != nil {
		return proof{}, err
	}
	var (
		left, waiting int
		failed        error
	)
	proven := seen(ctx, func() bool {
		var open map[int]bool
		if open, failed = openFiles(l.host.PID); failed != nil {
			return true
		}
		left = free(open, l.limit)
		if waiting, failed = k.waiting(); failed != nil {
			return true
		}
		return left == 0 && waiting > 0
	})
	if failed != nil && !errors.Is(failed, fs.ErrNotExist) {
		return proof{}, failed
	}
	if failed != nil {
		return proof{applied: applied, saw: "its process ended"}, nil
	}
	return proof{
		proven: proven, applied: applied,
		saw:      fmt.Sprintf("%d of the %d descriptors allowed are free, and of %d connections %d wait to be accepted", left, l.limit, len(k.sockets), waiting),
		measures: map[string]float64{"limit": float64(l.limit), "free": float64(left), "waiting": float64(waiting)},
	}, nil
}

// proveAgain shows the limit on a process that has just started, and may not even listen yet: it is what the kernel says it is.
func (l *filesLimit) proveAgain(applied time.Duration) (proof, error) {
	var now unix.Rlimit
	err := unix.Prlimit(l.host.PID, unix.RLIMIT_NOFILE, nil, &now)
	if errors.Is(err, unix.ESRCH) {
		return proof{saw: "its process ended"}, nil
	}
	return proof{
		proven: err == nil && now.Cur <= l.limit, applied: applied,
		saw:      fmt.Sprintf("the kernel lets it have %d descriptors", now.Cur),
		measures: map[string]float64{"limit": float64(now.Cur)},
	}, err
}

// accepts connects to a node once, and waits for the connection to be accepted. A node that was refused descriptors may wait for a
// second before it tries again.
func accepts(ctx context.Context, h Host) (took time.Duration, accepted bool, err error) {
	k, err := knockOnceUp(ctx, h, 1)
	defer k.leave()
	if err != nil {
		return 0, false, err
	}
	start := time.Now()
	accepted = seen(ctx, func() bool {
		var n int
		n, err = k.waiting()
		return err != nil || n == 0
	})
	return time.Since(start), accepted && err == nil, err
}
