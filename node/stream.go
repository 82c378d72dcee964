package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// helloMagic opens every connection between nodes; its last character is the protocol's version.
const helloMagic = "rift1\n"

// maxHello bounds the length of the line that opens a connection, in bytes.
const maxHello = 4096

// A purpose says what a connection between nodes is for.
type purpose string

const (
	forRaft  purpose = "raft"  // raft's own traffic follows
	forProbe purpose = "probe" // only to learn who answers at an address
	forAdmit purpose = "admit" // like forProbe, and the answering node may take part in raft from now on
)

// A hello is the line that the dialling node sends first. hashicorp/raft knows no cluster id: without
// this exchange, a node of another cluster could join, vote and replicate by accident.
type hello struct {
	Purpose purpose `json:"purpose"`
	Cluster string  `json:"cluster"` // "" if the node belongs to no cluster yet
	ID      string  `json:"id"`
}

// A welcome is the line that answers a hello.
type welcome struct {
	Cluster string `json:"cluster"`
	ID      string `json:"id"`
	Fresh   bool   `json:"fresh"`             // the node has no data, and waits to be admitted
	Refused string `json:"refused,omitempty"` // why the connection is closed
}

// A stream is raft's stream layer (raft.StreamLayer): TCP connections that begin with a handshake.
type stream struct {
	host     Host
	listener net.Listener
	identity *identity
	timeout  time.Duration // for the two lines that open a connection
	// admitted is closed once the node takes part in raft. A node without data waits for a leader to take
	// it in, whatever an old configuration says of it: it may have forgotten its votes.
	admitted chan struct{}
	admit    func() // closes admitted, once
	logger   *slog.Logger

	accepted chan net.Conn
	closed   chan struct{}
	once     sync.Once
	serving  sync.WaitGroup
	mu       sync.Mutex
	open     map[net.Conn]struct{}
}

func newStream(host Host, l net.Listener, id *identity, timeout time.Duration, logger *slog.Logger) *stream {
	s := &stream{
		host: host, listener: l, identity: id, timeout: timeout, logger: logger,
		admitted: make(chan struct{}), accepted: make(chan net.Conn), closed: make(chan struct{}), open: map[net.Conn]struct{}{},
	}
	s.admit = sync.OnceFunc(func() { close(s.admitted) })
	s.serving.Add(1)
	go s.serve()
	return s
}

// serve accepts connections and greets each on a goroutine of its own, so that a silent peer holds up
// nobody else.
func (s *stream) serve() {
	defer s.serving.Done()
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			select {
			case <-s.closed:
				return
			case <-time.After(10 * time.Millisecond): // out of descriptors, say: try again
				continue
			}
		}
		s.serving.Add(1)
		go func() {
			defer s.serving.Done()
			if err := s.greet(conn); err != nil {
				conn.Close()
				s.logger.Warn("refused a connection", "from", conn.RemoteAddr(), "reason", err)
			}
		}()
	}
}

// greet answers a hello, and hands a connection for raft over to Accept.
func (s *stream) greet(conn net.Conn) error {
	tracked, ok := s.track(conn)
	if !ok {
		return net.ErrClosed
	}
	tracked.SetDeadline(time.Now().Add(s.timeout))
	var in hello
	if err := readLine(tracked, &in); err != nil {
		return fmt.Errorf("read hello: %w", err)
	}
	own := s.identity.cluster()
	out := welcome{Cluster: own, ID: s.identity.id, Fresh: !s.hasAdmission(0)}
	switch {
	case own != "" && in.Cluster != "" && own != in.Cluster:
		out.Refused = fmt.Sprintf("this is cluster %q, not %q", own, in.Cluster)
	case in.Purpose == forAdmit:
		s.admit()
	case in.Purpose == forRaft && !s.hasAdmission(s.timeout/4): // a leader's first messages come before the admission
		out.Refused = "this node has no data and has not been admitted"
	}
	if err := writeLine(tracked, out); err != nil {
		return fmt.Errorf("write welcome: %w", err)
	}
	if out.Refused != "" {
		return errors.New(out.Refused)
	}
	if in.Purpose != forRaft {
		return tracked.Close()
	}
	tracked.SetDeadline(time.Time{})
	select {
	case s.accepted <- tracked:
		return nil
	case <-s.closed:
		return net.ErrClosed
	}
}

// hasAdmission tells whether the node takes part in raft, and waits for that for a while.
func (s *stream) hasAdmission(patience time.Duration) bool {
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-s.admitted:
		return true
	default:
	}
	select {
	case <-s.admitted:
		return true
	case <-late.C:
	case <-s.closed:
	}
	return false
}

// Accept waits for the next connection that is for raft.
func (s *stream) Accept() (net.Conn, error) {
	select {
	case conn := <-s.accepted:
		return conn, nil
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

// Close stops accepting, ends every accepted connection, and waits for the goroutines that greet.
func (s *stream) Close() error {
	var err error
	s.once.Do(func() {
		close(s.closed)
		err = s.listener.Close()
		s.mu.Lock()
		for conn := range s.open {
			conn.Close()
		}
		s.open = nil
		s.mu.Unlock()
	})
	s.serving.Wait()
	return err
}

// Addr is the address that the other members dial.
func (s *stream) Addr() net.Addr { return s.listener.Addr() }

// Dial connects to another member for raft.
func (s *stream) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	conn, _, err := s.greeted(ctx, string(address), forRaft)
	return conn, err
}

// ask connects only to learn who answers at an address.
func (s *stream) ask(ctx context.Context, address string, p purpose) (welcome, error) {
	conn, answer, err := s.greeted(ctx, address, p)
	if err != nil {
		return answer, err
	}
	return answer, conn.Close()
}

// errRefused marks the error of a peer that answered, and refused.
var errRefused = errors.New("refused")

func (s *stream) greeted(ctx context.Context, address string, p purpose) (net.Conn, welcome, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	conn, err := s.host.Dial(ctx, address)
	if err != nil {
		return nil, welcome{}, err
	}
	deadline, _ := ctx.Deadline()
	conn.SetDeadline(deadline)
	var answer welcome
	err = writeLine(conn, hello{Purpose: p, Cluster: s.identity.cluster(), ID: s.identity.id})
	if err == nil {
		err = readLine(conn, &answer)
	}
	if err == nil && answer.Refused != "" {
		err = fmt.Errorf("%w by %s: %s", errRefused, address, answer.Refused)
	}
	if err != nil {
		conn.Close()
		return nil, answer, fmt.Errorf("handshake with %s: %w", address, err)
	}
	conn.SetDeadline(time.Time{})
	return conn, answer, nil
}

func writeLine(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(append([]byte(helloMagic), b...), '\n'))
	return err
}

// readLine reads the magic and one JSON line, byte by byte so as not to swallow what follows it.
func readLine(r io.Reader, v any) error {
	magic := make([]byte, len(helloMagic))
	if _, err := io.ReadFull(r, magic); err != nil {
		return err
	}
	if string(magic) != helloMagic {
		return errors.New("the peer speaks another protocol")
	}
	line := make([]byte, 0, 128)
	for one := make([]byte, 1); len(line) < maxHello; {
		if _, err := io.ReadFull(r, one); err != nil {
			return err
		}
		if one[0] == '\n' {
			return json.Unmarshal(line, v)
		}
		line = append(line, one[0])
	}
	return fmt.Errorf("the peer's first line is longer than %d bytes", maxHello)
}

// track remembers an accepted connection until it is closed, so that Close can end it.
func (s *stream) track(conn net.Conn) (net.Conn, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		return nil, false
	}
	s.open[conn] = struct{}{}
	return &trackedConn{Conn: conn, forget: func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.open, conn)
	}}, true
}

type trackedConn struct {
	net.Conn
	forget func()
}

func (c *trackedConn) Close() error {
	c.forget()
	return c.Conn.Close()
}
