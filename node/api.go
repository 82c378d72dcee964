package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// The limits of what a client may send.
const (
	maxKey  = 1 << 10 // bytes
	maxBody = 1 << 20 // bytes; also the longest value

	defaultTimeout = 5 * time.Second
	maxTimeout     = time.Minute
)

// A handler answers a request, or returns an error and has written nothing.
type handler func(w http.ResponseWriter, r *http.Request) error

// routes is the whole HTTP interface.
func (n *Node) routes() http.Handler {
	mux := http.NewServeMux()
	for pattern, h := range map[string]handler{
		"POST /key":         n.onLeader(n.paperPutMany),
		"GET /key/{key}":    n.paperGet,
		"POST /key/{key}":   n.onLeader(n.paperPut),
		"DELETE /key/{key}": n.onLeader(n.paperDelete),
		"POST /join":        n.onLeader(n.paperJoin),
		"GET /status":       n.paperStatus,

		"GET /v1/kv":               n.list,
		"GET /v1/kv/{key...}":      n.get,
		"PUT /v1/kv/{key...}":      n.onLeader(n.put),
		"DELETE /v1/kv/{key...}":   n.onLeader(n.remove),
		"POST /v1/txn":             n.transact,
		"GET /v1/status":           n.status,
		"GET /v1/members":          n.members,
		"POST /v1/members":         n.onLeader(n.addMember),
		"DELETE /v1/members/{id}":  n.onLeader(n.removeMember),
		"POST /v1/leader/transfer": n.onLeader(n.transferLeadership),
		"POST /v1/snapshot":        n.forceSnapshot,
		"POST /v1/readindex":       n.serveReadIndex,
		"GET /healthz":             n.healthy,
		"GET /readyz":              n.ready,

		"POST /v1/members/{id}/promote": n.onLeader(n.promoteMember),
	} {
		mux.Handle(pattern, n.timed(pattern, h))
	}
	mux.Handle("GET /metrics", n.serveMetrics())
	mux.Handle("/", n.timed("", func(_ http.ResponseWriter, r *http.Request) error {
		for _, method := range []string{"GET", "PUT", "POST", "DELETE"} {
			if _, pattern := mux.Handler(&http.Request{Method: method, URL: r.URL, Host: r.Host}); pattern != "" && pattern != "/" {
				return definitely(CodeMethodNotAllowed, "%s does not serve %s", r.URL.Path, r.Method)
			}
		}
		return definitely(CodeNotFound, "there is no %s", r.URL.Path)
	}))
	unclean := n.timed("", func(_ http.ResponseWriter, r *http.Request) error {
		return definitely(CodeBadRequest, "path: %q has empty or dotted segments; percent-encode them in keys", r.URL.EscapedPath())
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The mux would redirect such a path, and clients would then repeat a PUT as a GET.
		if p := r.URL.EscapedPath(); p != "/" && path.Clean(p) != strings.TrimSuffix(p, "/") {
			unclean.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// timed gives a request its deadline, counts it, and writes its error.
func (n *Node) timed(pattern string, h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		timeout, err := requestTimeout(r)
		if err == nil {
			ctx, cancel := context.WithTimeout(r.Context(), timeout)
			defer cancel()
			err = h(w, r.WithContext(ctx))
		}
		outcome := "ok"
		if err != nil {
			e := *asError(err)
			if leader := n.leader(); e.Leader == nil && leader.ID != "" {
				e.Leader = &leader.Peer
			}
			outcome = string(e.Code)
			writeJSON(w, statusOf[e.Code], errorBody{&e})
		}
		n.metrics.request(pattern, outcome, time.Since(began))
	})
}

// errorBody is the body of every answer that is not a success.
type errorBody struct {
	Error *Error `json:"error"`
}

func requestTimeout(r *http.Request) (time.Duration, error) {
	if ms, err := strconv.ParseInt(r.Header.Get(headerTimeout), 10, 64); err == nil {
		return min(time.Duration(ms)*time.Millisecond, maxTimeout), nil
	}
	given := r.URL.Query().Get("timeout")
	if given == "" {
		return defaultTimeout, nil
	}
	d, err := time.ParseDuration(given)
	if err != nil || d <= 0 || d > maxTimeout {
		return 0, definitely(CodeBadRequest, "timeout: %q is not a duration above 0 and up to %s, such as 500ms", given, maxTimeout)
	}
	return d, nil
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		status, b = http.StatusInternalServerError, fmt.Appendf(nil, `{"error":{"code":%q,"message":%q}}`, CodeInternal, err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // the client is gone, then
}

// onLeader runs a handler on the leader: here, or by forwarding the request there. As long as the
// operation certainly has not happened, it looks for the leader again, for as long as an election may
// take. With ?forward=false, or for a request that has been forwarded, it never forwards.
func (n *Node) onLeader(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if n.draining.Load() {
			return definitely(CodeShuttingDown, "the node is shutting down")
		}
		forwarding, err := choice(r, "forward", "true", "false")
		if err != nil {
			return err
		}
		body, err := readBody(w, r)
		if err != nil {
			return err
		}
		local := r.Header.Get(headerForwardedBy) != "" || forwarding == "false"
		patience, cancel := context.WithTimeout(r.Context(), n.patience())
		defer cancel()
		for {
			changed := n.leadership.changed()
			err := n.tryLeader(h, w, r, body, local)
			if err == nil || local || !asError(err).elsewhere() {
				return err
			}
			select {
			case <-changed:
			case <-time.After(n.retryPause()):
			case <-patience.Done():
				return err
			}
		}
	}
}

// readBody reads the whole body of a request, if it is not too long.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLong := new(http.MaxBytesError); errors.As(err, &tooLong) {
		return nil, definitely(CodeTooLarge, "the body is longer than %d bytes", maxBody)
	} else if err != nil {
		return nil, definitely(CodeBadRequest, "read the body: %v", err)
	}
	return body, nil
}

// tryLeader runs the handler here if this node is the leader, and else has the leader do it.
func (n *Node) tryLeader(h handler, w http.ResponseWriter, r *http.Request, body []byte, local bool) error {
	leader := n.leader()
	switch {
	case leader.ID == n.config.ID:
		r.Body = io.NopCloser(bytes.NewReader(body))
		return h(w, r)
	case leader.ID == "" || leader.HTTP == "" && !local:
		return definitely(CodeNoLeader, "no leader is known")
	case local:
		return definitely(CodeNotLeader, "this node is not the leader")
	}
	if n.seams.forward != nil {
		return n.seams.forward(w, r, body, leader)
	}
	return n.forward(w, r, body, leader)
}

// choice returns a query parameter that has one of the given values; the first is the default.
func choice(r *http.Request, name string, allowed ...string) (string, error) {
	given := r.URL.Query().Get(name)
	if given == "" {
		return allowed[0], nil
	}
	if !slices.Contains(allowed, given) {
		return "", definitely(CodeBadRequest, "%s: %q is not one of %s", name, given, strings.Join(allowed, ", "))
	}
	return given, nil
}

func keyOf(r *http.Request) (string, error) { return r.PathValue("key"), checkKey(r.PathValue("key")) }

func checkKey(key string) error {
	switch {
	case key == "":
		return definitely(CodeBadRequest, "key: empty")
	case len(key) > maxKey:
		return definitely(CodeTooLarge, "key: %d bytes are more than %d", len(key), maxKey)
	case !utf8.ValidString(key):
		return definitely(CodeBadRequest, "key: not valid UTF-8")
	}
	return nil
}

// valueOf is the body of the request as it is; onLeader has bounded it.
func valueOf(r *http.Request) (string, error) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return "", definitely(CodeBadRequest, "read the body: %v", err)
	}
	if !utf8.Valid(b) {
		return "", definitely(CodeBadRequest, "value: not valid UTF-8")
	}
	return string(b), nil
}
