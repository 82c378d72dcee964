//go:build linux

package procevents

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Of linux/connector.h and linux/cn_proc.h. A message is a netlink header, a header of the connector and then, from the kernel, a
// struct proc_event. Everything is in the machine's byte order.
const (
	connectorHeader = 20 // struct cn_msg: two numbers that name the connector, sequence, acknowledged, length, flags
	processes       = 1  // CN_IDX_PROC and CN_VAL_PROC
	listen          = 1  // PROC_CN_MCAST_LISTEN

	eventWhat = 0  // uint32: the kind of the event
	eventTime = 8  // uint64: nanoseconds of the monotonic clock
	eventData = 16 // of an exec: uint32 thread, uint32 process; of an answer: uint32 error

	answer = 0 // PROC_EVENT_NONE
	execed = 2 // PROC_EVENT_EXEC
)

// answerTime bounds how long the kernel may take to answer that it will tell.
const answerTime = time.Second

// Listener hears of every exec on the machine. One goroutine may read from it.
type Listener struct {
	socket *os.File
	buffer []byte
}

// Listen begins to listen. The error wraps ErrUnavailable where the kernel does not tell.
func Listen() (*Listener, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_CONNECTOR)
	if err != nil {
		return nil, fmt.Errorf("open the process connector: %w: %w", err, ErrUnavailable)
	}
	l := &Listener{socket: os.NewFile(uintptr(fd), "process connector"), buffer: make([]byte, 4096)}
	if err := l.subscribe(fd); err != nil {
		l.Close()
		return nil, fmt.Errorf("listen to the process connector: %w: %w", err, ErrUnavailable)
	}
	return l, nil
}

// subscribe asks for every event, and then for execs alone. The kernel answers the first alone: to those who want execs it sends no
// answers. Before 6.6 it does not know the second, and goes on to send everything.
func (l *Listener) subscribe(fd int) error {
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: processes}); err != nil {
		return err
	}
	const much = 1 << 20                                                   // of a burst of events, as of a build; the default holds a thousand
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, much) // with less, ErrLost comes sooner
	kernel := &unix.SockaddrNetlink{Family: unix.AF_NETLINK}
	if err := unix.Sendto(fd, request(listen), 0, kernel); err != nil {
		return err
	}
	if err := l.answered(); err != nil {
		return err
	}
	return unix.Sendto(fd, request(listen, execed), 0, kernel)
}

// request is a message to the kernel.
func request(words ...uint32) []byte {
	native := binary.NativeEndian
	size := 4 * len(words)
	b := native.AppendUint32(nil, uint32(unix.NLMSG_HDRLEN+connectorHeader+size))
	b = native.AppendUint16(b, unix.NLMSG_DONE)
	b = append(b, make([]byte, unix.NLMSG_HDRLEN-len(b))...)
	for _, word := range []uint32{processes, processes, 0, 0} {
		b = native.AppendUint32(b, word)
	}
	b = native.AppendUint16(b, uint16(size))
	b = native.AppendUint16(b, 0)
	for _, word := range words {
		b = native.AppendUint32(b, word)
	}
	return b
}

// answered waits for the kernel's answer.
func (l *Listener) answered() error {
	if err := l.socket.SetReadDeadline(time.Now().Add(answerTime)); err != nil {
		return err
	}
	defer l.socket.SetReadDeadline(time.Time{})
	for {
		event, err := l.read()
		if err != nil && !errors.Is(err, ErrLost) {
			return err
		}
		if len(event) < eventData+4 || binary.NativeEndian.Uint32(event[eventWhat:]) != answer {
			continue
		}
		if errno := unix.Errno(binary.NativeEndian.Uint32(event[eventData:])); errno != 0 {
			return errno
		}
		return nil
	}
}

// Next returns the next exec. It blocks until there is one, the context ends or the listener is closed. After ErrLost
// it may be called again.
func (l *Listener) Next(ctx context.Context) (Exec, error) {
	if err := l.socket.SetReadDeadline(time.Time{}); err != nil {
		return Exec{}, err
	}
	stop := context.AfterFunc(ctx, func() { l.socket.SetReadDeadline(time.Unix(1, 0)) }) // the read returns at once
	defer stop()
	for {
		event, err := l.read()
		if ctx.Err() != nil {
			return Exec{}, ctx.Err()
		}
		if err != nil {
			return Exec{}, err
		}
		if e, ok := parse(event); ok {
			return e, nil
		}
	}
}

// parse reads an event; false if it is not of an exec.
func parse(event []byte) (Exec, bool) {
	if len(event) < eventData+8 || binary.NativeEndian.Uint32(event[eventWhat:]) != execed {
		return Exec{}, false
	}
	return Exec{
		PID: int(binary.NativeEndian.Uint32(event[eventData+4:])),
		At:  time.Duration(binary.NativeEndian.Uint64(event[eventTime:])),
	}, true
}

// read returns the next event as the kernel sends it, without the headers.
func (l *Listener) read() ([]byte, error) {
	n, err := l.socket.Read(l.buffer)
	if errors.Is(err, unix.ENOBUFS) {
		return nil, ErrLost
	}
	if err != nil {
		return nil, fmt.Errorf("read the process connector: %w", err)
	}
	return l.buffer[min(n, unix.NLMSG_HDRLEN+connectorHeader):n], nil
}

// Close ends the listening.
func (l *Listener) Close() error { return l.socket.Close() }
