package system

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	"rift/harness"
)

// maxAnswer bounds an answer that a client reads, in bytes.
const maxAnswer = 64 << 20

// connection is one HTTP connection to one node. It makes one attempt a request, whatever becomes of it.
type connection struct {
	base string
	http *http.Client
}

// connect gives a connection to a node's port; it is made by the first request.
func connect(n harness.Node, port int) connection {
	return connection{
		base: "http://" + address(n, port),
		http: &http.Client{Transport: &http.Transport{DialContext: dialer(n).DialContext, MaxConnsPerHost: 1, DisableCompression: true}},
	}
}

// dialer dials a node from this machine's address on the nodes' network.
func dialer(n harness.Node) *net.Dialer {
	d := &net.Dialer{}
	if n.From.IsValid() {
		d.LocalAddr = &net.TCPAddr{IP: n.From.AsSlice()}
	}
	return d
}

// Close closes the connection.
func (c connection) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// send makes one request and reads the answer, whatever its status. An error wraps harness.ErrDidNotHappen if the request has not left.
func (c connection) send(ctx context.Context, method, path string, header http.Header, body []byte) (status int, answer []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, fmt.Errorf("%w (%w)", err, harness.ErrDidNotHappen)
	}
	req.GetBody = nil // so that the transport never sends a request twice
	req.Header = header
	got, err := c.http.Do(req)
	if err != nil {
		return 0, nil, plainError(err)
	}
	defer got.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(got.Body, maxAnswer))
	if err != nil {
		return 0, nil, plainError(err)
	}
	return got.StatusCode, answer, nil
}

// plainError drops the address and the method, which stand in the history anyway, and marks what never left this machine.
func plainError(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return fmt.Errorf("connect: %w (%w)", dial.Err, harness.ErrDidNotHappen)
	}
	return err
}
