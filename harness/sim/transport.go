package sim

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"

	"rift/harness/sim/guest"
)

// transport carries a task's HTTP requests over the simulated network, one at a time on one connection that is kept. It is the http.RoundTripper of clients,
// whose own code is that of real runs.
type transport struct {
	task    *task
	host    *host
	to      string // an address of the form IP:port
	timeout time.Duration

	conn   uint32 // the number of the latest connection
	opened bool
	lost   error // why it is of no use any more; of none yet, that there is none
	in     []byte
}

var errNoConnection = errors.New("there is no connection")

func newTransport(t *task, ip, to string, timeout time.Duration) *transport {
	c := &transport{task: t, host: t.world.net.join(ip), to: to, timeout: timeout, lost: errNoConnection}
	c.host.attach(c.receive)
	return c
}

// receive takes a frame of the latest connection.
func (c *transport) receive(frame []byte) {
	kind, id, payload := guest.ParseFrame(frame)
	if id != c.conn {
		return
	}
	switch kind {
	case guest.FrameOpen:
		c.opened = true
	case guest.FrameData:
		c.in = append(c.in, payload...)
	case guest.FrameRefused:
		c.lost = &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	case guest.FrameEnd:
		c.lost = io.ErrUnexpectedEOF
	case guest.FrameReset:
		c.lost = syscall.ECONNRESET
	}
	c.task.world.after(0, c.task.wake)
}

// RoundTrip makes one request, and waits for its answer, at most for the timeout.
func (c *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	until := c.task.world.now + c.timeout
	if c.lost != nil {
		if err := c.connect(until); err != nil {
			return nil, err
		}
	}
	var request bytes.Buffer
	if err := r.Write(&request); err != nil {
		return nil, fmt.Errorf("write the request: %w", err)
	}
	c.in = nil
	c.host.take(guest.FrameData, c.conn, request.Bytes())
	var answer *http.Response
	c.task.wait(until, func() bool {
		answer = parseAnswer(c.in, r)
		return answer != nil || c.lost != nil
	})
	switch {
	case answer != nil:
		return answer, nil
	case c.lost != nil:
		return nil, c.lost
	}
	c.drop()
	return nil, context.DeadlineExceeded
}

func (c *transport) connect(until time.Duration) error {
	c.conn++
	c.opened, c.lost = false, nil
	c.host.take(guest.FrameDial, c.conn, []byte(c.to))
	c.task.wait(until, func() bool { return c.opened || c.lost != nil })
	if !c.opened && c.lost == nil {
		c.drop()
		return &net.OpError{Op: "dial", Net: "tcp", Err: context.DeadlineExceeded}
	}
	return c.lost
}

// drop gives the connection up.
func (c *transport) drop() {
	c.host.take(guest.FrameEnd, c.conn, nil)
	c.lost = errNoConnection
}

// parseAnswer is the answer to a request, with its body read; nil if it is not whole yet.
func parseAnswer(in []byte, r *http.Request) *http.Response {
	answer, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(in)), r)
	if err != nil {
		return nil
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	return answer
}
