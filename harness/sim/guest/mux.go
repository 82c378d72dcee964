// Package guest is what a program needs to live in the simulated world of package sim: connections and a log on the simulated disk. Time, randomness
// and files need nothing, since the world answers the calls that Go's runtime makes for them.
//
// The one idea behind it is that the program is not told that it is simulated. It listens, dials and writes files as elsewhere; only what Go's port to
// WebAssembly lacks, the network, comes from here: connections over one device, on which the world and the program exchange frames.
package guest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// The kinds of frames. A frame is its length without these four bytes, its kind, the connection's number, and what the kind says.
const (
	FrameListen  = 'L' // to the world: an address that this program listens at; the number is 0
	FrameDial    = 'D' // to the world: an address to connect to, under a number that the program chose
	FrameAccept  = 'A' // to the program: somebody connects; the address at which, a space, and the one from which
	FrameOpen    = 'O' // to the program: the connection that it dialled is made; its own address
	FrameRefused = 'R' // to the program: there will be no connection
	FrameData    = 'd' // both ways
	FrameEnd     = 'e' // both ways: nothing follows
	FrameReset   = 'r' // both ways: the connection is lost
	FrameStop    = 't' // to the program: it is to shut down
)

// FrameHeader is how many bytes stand before what a frame says.
const FrameHeader = 9

// AppendFrame appends a frame.
func AppendFrame(b []byte, kind byte, conn uint32, payload []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(5+len(payload)))
	b = append(b, kind)
	b = binary.LittleEndian.AppendUint32(b, conn)
	return append(b, payload...)
}

// mux shares the device among connections.
type mux struct {
	device io.ReadWriter

	mu        sync.Mutex
	last      uint32 // the number of the last connection that was dialled
	listeners map[string]*listener
	conns     map[uint32]*conn
	stopped   bool
	stop      chan struct{} // closed when the program is to shut down
}

func newMux(device io.ReadWriter) *mux {
	m := &mux{device: device, listeners: make(map[string]*listener), conns: make(map[uint32]*conn), stop: make(chan struct{})}
	go m.receive()
	return m
}

// receive hands out frames for as long as there are any. The world ends with the program, so that it never stops by itself.
func (m *mux) receive() {
	buffer, kept := make([]byte, 64<<10), 0
	for {
		n, err := m.device.Read(buffer[kept:])
		if err != nil {
			return
		}
		kept += n
		rest := buffer[:kept]
		for len(rest) >= FrameHeader {
			size := int(binary.LittleEndian.Uint32(rest)) + 4
			if len(rest) < size {
				break
			}
			m.take(rest[4], binary.LittleEndian.Uint32(rest[5:]), rest[FrameHeader:size])
			rest = rest[size:]
		}
		kept = copy(buffer, rest)
		if kept == len(buffer) {
			buffer = append(buffer, make([]byte, len(buffer))...)
		}
	}
}

func (m *mux) take(kind byte, id uint32, payload []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if kind == FrameStop && !m.stopped {
		m.stopped = true
		close(m.stop)
	}
	if kind == FrameAccept {
		var at, from string
		if _, err := fmt.Sscan(string(payload), &at, &from); err != nil {
			return
		}
		l := m.listeners[at]
		if l == nil {
			m.send(FrameReset, id, nil)
			return
		}
		c := m.open(id, at, from)
		l.offer(c)
		return
	}
	c := m.conns[id]
	if c == nil {
		return // it was closed here, and the other side did not know
	}
	switch kind {
	case FrameOpen:
		c.opened(string(payload), nil)
	case FrameRefused:
		delete(m.conns, id)
		c.opened("", syscall.ECONNREFUSED)
	case FrameData:
		c.arrive(payload, nil)
	case FrameEnd:
		c.arrive(nil, io.EOF)
	case FrameReset:
		c.arrive(nil, syscall.ECONNRESET)
	}
}

// open makes a connection's near end. The mux is locked.
func (m *mux) open(id uint32, local, remote string) *conn {
	c := &conn{mux: m, id: id, local: address(local), remote: address(remote)}
	c.changed.L = &c.mu
	m.conns[id] = c
	return c
}

// send writes one frame. The world takes it at once.
func (m *mux) send(kind byte, id uint32, payload []byte) {
	_, _ = m.device.Write(AppendFrame(make([]byte, 0, FrameHeader+len(payload)), kind, id, payload))
}

func (m *mux) listen(at string) (net.Listener, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.listeners[at] != nil {
		return nil, fmt.Errorf("listen at %s: %w", at, syscall.EADDRINUSE)
	}
	l := &listener{mux: m, at: at}
	l.changed.L = &l.mu
	m.listeners[at] = l
	m.send(FrameListen, 0, []byte(at))
	return l, nil
}

func (m *mux) dial(ctx context.Context, to string) (net.Conn, error) {
	m.mu.Lock()
	m.last++
	c := m.open(m.last, "", to)
	c.made = make(chan struct{})
	m.send(FrameDial, c.id, []byte(to))
	m.mu.Unlock()
	select {
	case <-c.made:
	case <-ctx.Done():
		c.Close()
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: address(to), Err: ctx.Err()}
	}
	if c.failed != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: address(to), Err: c.failed}
	}
	return c, nil
}

// address is an address of the simulated network.
type address string

// Network is that of the addresses.
func (address) Network() string { return "tcp" }

// String is the address.
func (a address) String() string { return string(a) }

// listener hands out connections that come in.
type listener struct {
	mux *mux
	at  string

	mu      sync.Mutex
	changed sync.Cond
	waiting []*conn
	closed  bool
}

func (l *listener) offer(c *conn) {
	l.mu.Lock()
	l.waiting = append(l.waiting, c)
	l.mu.Unlock()
	l.changed.Broadcast()
}

// Accept waits for the next connection.
func (l *listener) Accept() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.waiting) == 0 && !l.closed {
		l.changed.Wait()
	}
	if l.closed {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: address(l.at), Err: net.ErrClosed}
	}
	c := l.waiting[0]
	l.waiting = l.waiting[1:]
	return c, nil
}

// Close ends Accept. Connections that were accepted go on.
func (l *listener) Close() error {
	l.mux.mu.Lock()
	delete(l.mux.listeners, l.at)
	l.mux.mu.Unlock()
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.changed.Broadcast()
	return nil
}

// Addr is where it listens.
func (l *listener) Addr() net.Addr { return address(l.at) }

// conn is one end of a connection. Writes never wait: the world takes everything at once, and delivers it in its time.
type conn struct {
	mux           *mux
	id            uint32
	local, remote address
	made          chan struct{} // of one that was dialled: closed when it is known whether there is a connection
	failed        error         // why there is none

	mu       sync.Mutex
	changed  sync.Cond
	in       []byte
	ended    error // what Read says when in is empty
	closed   bool
	deadline time.Time // for reads; writes never wait
}

func (c *conn) opened(local string, err error) {
	c.local, c.failed = address(local), err
	close(c.made)
}

func (c *conn) arrive(b []byte, end error) {
	c.mu.Lock()
	c.in = append(c.in, b...)
	if end != nil && c.ended == nil {
		c.ended = end
	}
	if end == syscall.ECONNRESET {
		c.in = nil
	}
	c.mu.Unlock()
	c.changed.Broadcast()
}

// Read reads what has arrived, or waits for it.
func (c *conn) Read(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case c.closed:
			return 0, c.failure("read", net.ErrClosed)
		case len(b) == 0:
			return 0, nil
		case len(c.in) > 0:
			n := copy(b, c.in)
			if c.in = c.in[n:]; len(c.in) == 0 {
				c.in = nil
			}
			return n, nil
		case c.ended == io.EOF:
			return 0, io.EOF
		case c.ended != nil:
			return 0, c.failure("read", c.ended)
		}
		if !c.wait() {
			return 0, c.failure("read", os.ErrDeadlineExceeded)
		}
	}
}

// wait waits for a change, or for the deadline, which it then says has passed. The connection is locked.
func (c *conn) wait() bool {
	if c.deadline.IsZero() {
		c.changed.Wait()
		return true
	}
	left := time.Until(c.deadline)
	if left <= 0 {
		return false
	}
	alarm := time.AfterFunc(left, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.changed.Broadcast()
	})
	c.changed.Wait()
	alarm.Stop()
	return true
}

func (c *conn) failure(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
}

// Write hands everything to the world.
func (c *conn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, c.failure("write", net.ErrClosed)
	}
	if c.ended != nil && !errors.Is(c.ended, io.EOF) {
		return 0, c.failure("write", syscall.EPIPE)
	}
	if !c.deadline.IsZero() && time.Until(c.deadline) <= 0 {
		return 0, c.failure("write", os.ErrDeadlineExceeded)
	}
	c.mux.send(FrameData, c.id, b)
	return len(b), nil
}

// Close ends the connection.
func (c *conn) Close() error {
	c.mu.Lock()
	closed := c.closed
	c.closed = true
	c.mu.Unlock()
	c.changed.Broadcast()
	if closed {
		return c.failure("close", net.ErrClosed)
	}
	c.mux.mu.Lock()
	delete(c.mux.conns, c.id)
	c.mux.mu.Unlock()
	c.mux.send(FrameEnd, c.id, nil)
	return nil
}

// LocalAddr is the near end's address.
func (c *conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr is the far end's address.
func (c *conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline bounds reads that wait, now and later.
func (c *conn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	c.deadline = t
	c.mu.Unlock()
	c.changed.Broadcast()
	return nil
}

// SetReadDeadline is SetDeadline.
func (c *conn) SetReadDeadline(t time.Time) error { return c.SetDeadline(t) }

// SetWriteDeadline does nothing: writes never wait.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

// ParseFrame takes one whole frame apart.
func ParseFrame(frame []byte) (kind byte, conn uint32, payload []byte) {
	return frame[4], binary.LittleEndian.Uint32(frame[5:]), frame[FrameHeader:]
}
