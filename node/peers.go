package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync/atomic"
	"time"
)

// The headers of requests between nodes.
const (
	headerForwardedBy = "Rift-Forwarded-By" // the id of the node that forwards: nobody forwards it again
	headerTimeout     = "Rift-Timeout"      // what is left of the client's deadline, in milliseconds
)

// maxAnswer bounds the bytes that a node reads of another node's answer.
const maxAnswer = 64 << 20

// peers is a node's HTTP client for the other members.
type peers struct {
	self   string
	client http.Client
}

func newPeers(self string, host Host, heartbeat time.Duration) *peers {
	dial := func(ctx context.Context, _, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, heartbeat)
		defer cancel()
		return host.Dial(ctx, address)
	}
	return &peers{self: self, client: http.Client{Transport: &http.Transport{
		DialContext:         dial,
		MaxIdleConnsPerHost: 256,
		IdleConnTimeout:     time.Minute,
		DisableCompression:  true,
	}}}
}

func (p *peers) close() { p.client.CloseIdleConnections() }

// A request to another node, and its answer.
type exchange struct {
	method, address, target string // the target is the path with the query
	body                    []byte
	header                  http.Header

	status int
	answer []byte
	sent   bool // whether any part of the request may have reached the other node
}

// do carries out an exchange. If it fails, sent tells whether the other node may have seen the request.
func (p *peers) do(ctx context.Context, x *exchange) error {
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { sent.Store(true) }})
	defer func() { x.sent = sent.Load() }()
	r, err := http.NewRequestWithContext(ctx, x.method, "http://"+x.address+x.target, bytes.NewReader(x.body))
	if err != nil {
		return err
	}
	for name, values := range x.header {
		r.Header[name] = values
	}
	r.Header.Set(headerForwardedBy, p.self)
	if deadline, ok := ctx.Deadline(); ok {
		r.Header.Set(headerTimeout, strconv.FormatInt(max(1, time.Until(deadline).Milliseconds()), 10))
	}
	response, err := p.client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	x.status, x.header = response.StatusCode, response.Header
	if x.answer, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer)); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	return nil
}

// call sends in as JSON, if it is not nil, and decodes the answer into out. An error that the other node
// answered with comes back as an *Error.
func (p *peers) call(ctx context.Context, method, address, target string, in, out any) error {
	if address == "" {
		return errors.New("its HTTP address is not known yet")
	}
	x := exchange{method: method, address: address, target: target}
	if in != nil {
		var err error
		if x.body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	if err := p.do(ctx, &x); err != nil {
		return err
	}
	if e := x.failure(); e != nil {
		return e
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(x.answer, out)
}

// failure returns the *Error that the other node answered with, or nil if it answered with success.
func (x *exchange) failure() *Error {
	if x.status < 300 {
		return nil
	}
	var body errorBody
	if err := json.Unmarshal(x.answer, &body); err != nil || body.Error == nil {
		return perhaps(CodeInternal, "%s answered with status %d", x.address, x.status)
	}
	return body.Error
}

// forward sends a client's request on to the leader and passes the answer back. The error says whether
// the leader may have carried the request out. Answers of a node that is not the leader come back as
// errors, for the caller to look for the leader again.
func (n *Node) forward(w http.ResponseWriter, r *http.Request, body []byte, leader leaderInfo) error {
	x := exchange{method: r.Method, address: leader.HTTP, target: r.URL.RequestURI(), body: body, header: http.Header{}}
	if t := r.Header.Get("Content-Type"); t != "" {
		x.header.Set("Content-Type", t)
	}
	n.metrics.forwarded.Inc()
	if err := n.peers.do(r.Context(), &x); err != nil {
		switch {
		case !x.sent:
			return definitely(CodeNoLeader, "the leader %s cannot be reached: %v", leader, err)
		case r.Context().Err() != nil:
			return perhaps(CodeTimeout, "the leader %s has not answered in time; it may still carry the operation out", leader)
		default:
			return perhaps(CodeLeadershipLost, "the connection to the leader %s broke: %v", leader, err)
		}
	}
	if e := x.failure(); e != nil && e.elsewhere() {
		return e
	}
	w.Header().Set("Content-Type", x.header.Get("Content-Type"))
	w.WriteHeader(x.status)
	_, _ = w.Write(x.answer) // the client is gone, then
	return nil
}

// elsewhere tells whether the operation may be tried again on another node, or later.
func (e *Error) elsewhere() bool {
	return e.Definite && (e.Code == CodeNotLeader || e.Code == CodeNoLeader || e.Code == CodeShuttingDown)
}
