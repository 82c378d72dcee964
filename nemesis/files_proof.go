package nemesis

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"rift/nemesis/netspace"
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
	k, err := knock(l.host, l.spare+extraKnocks)
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
	k, err := knock(h, 1)
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

// knocks are connections of this program's to a node's peer port, from inside the node's network namespace, where no partition is.
type knocks struct {
	pid     int // of the node
	sockets []int
	names   map[string]bool // their addresses, as /proc/net/tcp has them
}

// knock makes so many connections. Those that were made are left open also with an error.
func knock(h Host, n int) (k *knocks, err error) {
	k = &knocks{pid: h.PID, names: make(map[string]bool)}
	err = netspace.Inside(h.NetNS, func() error {
		for range n {
			if err := k.connect(h); err != nil {
				return fmt.Errorf("connect to %s:%d of %s: %w", h.IP, h.Port, h.Node, err)
			}
		}
		return nil
	})
	return k, err
}

func (k *knocks) connect(h Host) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	k.sockets = append(k.sockets, fd)
	// The kernel tries again and again where the node's backlog is full; on the way to itself a packet is answered at once.
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_SYNCNT, 1); err != nil {
		return err
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(h.Port), Addr: h.IP.As4()}); err != nil {
		return err
	}
	own, err := unix.Getsockname(fd)
	if err != nil {
		return err
	}
	if own, ok := own.(*unix.SockaddrInet4); ok {
		k.names[fmt.Sprintf("%08X:%04X", binary.NativeEndian.Uint32(own.Addr[:]), own.Port)] = true
	}
	return nil
}

// leave closes the connections.
func (k *knocks) leave() {
	for _, fd := range k.sockets {
		unix.Close(fd)
	}
}

// waiting counts the connections that the kernel has made and no process has accepted: the node's end of them has no inode yet, see
// proc_net_tcp in the kernel's documentation. A dual-stack listener has its connections in tcp6.
func (k *knocks) waiting() (n int, err error) {
	const established = "01"
	for _, table := range []string{"tcp", "tcp6"} {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", k.pid, table))
		if errors.Is(err, fs.ErrNotExist) && table == "tcp6" {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("list the connections of process %d: %w", k.pid, err)
		}
		for line := range strings.Lines(string(b)) {
			const remote, state, inode = 2, 3, 9
			words := strings.Fields(line)
			if len(words) <= inode || words[state] != established || words[inode] != "0" {
				continue
			}
			if address := words[remote]; len(address) >= 13 && k.names[address[len(address)-13:]] {
				n++
			}
		}
	}
	return n, nil
}
