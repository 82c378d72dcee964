package nemesis

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"rift/nemesis/netspace"
)

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

// knockOnceUp is knock at a node that may have just been started, and refuses until it listens: it waits for that, at most for upTime.
func knockOnceUp(ctx context.Context, h Host, n int) (*knocks, error) {
	const between = 10 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, upTime)
	defer cancel()
	for {
		k, err := knock(h, n)
		if !errors.Is(err, unix.ECONNREFUSED) || !rest(ctx.Done(), between) {
			return k, err
		}
		k.leave()
	}
}

// ableToKnock says why the nodes cannot be knocked at; nil if they can. It has tried. A node that has just been started may not listen yet, and
// refuses: that will do.
func ableToKnock(c Cluster) error {
	for _, node := range c.Nodes() {
		h, up := c.Host(node)
		if !up {
			continue
		}
		k, err := knock(h, 1)
		k.leave()
		if err != nil && !errors.Is(err, unix.ECONNREFUSED) {
			return err
		}
	}
	return nil
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
