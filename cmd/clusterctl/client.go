package main

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
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"rift/node"
)

const (
	dialTimeout = time.Second
	// answerGrace is how much longer than the node's own deadline the client waits: what the node says
	// about an operation that it could not finish is better than silence.
	answerGrace = 500 * time.Millisecond
	maxAnswer   = 64 << 20 // bytes
	// maxRequestTimeout is the longest deadline that a node takes.
	maxRequestTimeout = time.Minute
)

// A client talks to nodes.
type client struct {
	http    http.Client
	timeout time.Duration // for one node to answer
}

// newClient makes a client that sends each request at most once: it reuses no connection, since the
// standard library repeats a PUT or DELETE that a reused connection loses.
func newClient(timeout time.Duration) *client {
	dialer := net.Dialer{Timeout: dialTimeout}
	return &client{timeout: timeout, http: http.Client{
		Transport:     &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// A request is what to ask a node.
type request struct {
	method, path string
	query        url.Values
	body         string
	changes      bool // it is no mere read
}

// A refusal is an answer that is no success, or none at all.
type refusal struct {
	alias  string
	status int         // of the answer; 0 without one
	answer *node.Error // nil if the node did not say
	sent   bool        // whether any part of the request may have reached the node
	cause  error
}

func (e *refusal) Error() string { return fmt.Sprintf("%s: %v", e.alias, e.cause) }
func (e *refusal) Unwrap() error { return e.cause }

// definite says whether the operation certainly had no effect and never will have.
func (e *refusal) definite() bool { return !e.sent || e.answer != nil && e.answer.Definite }

// elsewhere says whether another node may do better.
func (e *refusal) elsewhere() bool {
	return e.status == 0 || e.status >= http.StatusInternalServerError || e.status == http.StatusMisdirectedRequest
}

// ask asks the nodes in turn until one answers. A change goes on to the next node only as long as it
// certainly has not happened.
func (c *client) ask(ctx context.Context, nodes []replica, r request) ([]byte, error) {
	var failed []error
	for _, to := range nodes {
		answer, err := c.askOne(ctx, to, r)
		if err == nil {
			return answer, nil
		}
		if r.changes && !err.definite() {
			return nil, unknown(err)
		}
		if !err.elsewhere() || ctx.Err() != nil {
			return nil, err
		}
		failed = append(failed, err)
	}
	if r.changes {
		return nil, fmt.Errorf("no node could carry out the change, which certainly did not happen:\n%w", errors.Join(failed...))
	}
	return nil, fmt.Errorf("no node could answer:\n%w", errors.Join(failed...))
}

// unknown is the error of a change of which nobody knows whether it happened.
func unknown(err error) error {
	return codedError{fmt.Errorf("outcome unknown (the change may have happened, or may still happen; read before you repeat it): %w", err), exitUnknown}
}

// askOne asks one node once.
func (c *client) askOne(ctx context.Context, to replica, r request) ([]byte, *refusal) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout+answerGrace)
	defer cancel()
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { sent.Store(true) }})
	fail := func(status int, cause error) *refusal {
		return &refusal{alias: to.alias, status: status, sent: sent.Load(), cause: cause}
	}
	query := url.Values{"timeout": {c.timeout.String()}}
	for name, values := range r.query {
		query[name] = values
	}
	target := "http://" + to.http + r.path + "?" + query.Encode()
	outgoing, err := http.NewRequestWithContext(ctx, r.method, target, strings.NewReader(r.body))
	if err != nil {
		return nil, fail(0, err)
	}
	response, err := c.http.Do(outgoing)
	if err != nil {
		return nil, fail(0, plainly(err, c.timeout))
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, fail(0, fmt.Errorf("read the answer: %w", plainly(err, c.timeout)))
	}
	if response.StatusCode < 300 {
		return answer, nil
	}
	var body struct{ Error *node.Error }
	if json.Unmarshal(answer, &body) != nil || body.Error == nil {
		return nil, fail(response.StatusCode, fmt.Errorf("answered %s: %s", response.Status, clip(string(bytes.TrimSpace(answer)))))
	}
	refused := fail(response.StatusCode, errors.New(body.Error.Message))
	refused.answer = body.Error
	return nil, refused
}

// plainly drops the method and the address from an error of the HTTP client, and says what a timeout is.
func plainly(err error, timeout time.Duration) error {
	if wrapped := new(url.Error); errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no answer within %s", timeout)
	}
	return err
}

// keyPath is the path of a key. Every byte that could have a meaning in a path is escaped, and so are
// the two names that would be taken for folders.
func keyPath(key string) string {
	escaped := url.PathEscape(key)
	if key == "." || key == ".." {
		escaped = strings.ReplaceAll(key, ".", "%2E")
	}
	return "/v1/kv/" + escaped
}

// status asks a node about itself.
func (c *client) status(ctx context.Context, r replica) (node.Status, error) {
	var s node.Status
	answer, failed := c.askOne(ctx, r, request{method: http.MethodGet, path: "/v1/status"})
	if failed != nil {
		return s, failed.cause
	}
	if err := json.Unmarshal(answer, &s); err != nil {
		return s, fmt.Errorf("read its status: %w", err)
	}
	if s.ID != r.alias {
		return s, fmt.Errorf("another node, %q, answers at %s", clip(s.ID), r.http)
	}
	return s, nil
}

// ready returns nil if a node can serve now, and else why not.
func (c *client) ready(ctx context.Context, r replica) error {
	_, failed := c.askOne(ctx, r, request{method: http.MethodGet, path: "/readyz"})
	if failed != nil {
		return failed.cause
	}
	return nil
}
