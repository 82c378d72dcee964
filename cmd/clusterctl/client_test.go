package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// refuse answers as a node does that did not carry out a request.
func refuse(status int, code string, definite bool) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"error":{"code":%q,"message":"it says %s","leader":null,"definite":%t}}`, code, code, definite)
	}
}

// hangUp takes the request and breaks the connection.
func hangUp(w http.ResponseWriter, _ *http.Request) {
	connection, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		connection.Close()
	}
}

// cutShort begins an answer and breaks the connection.
func cutShort(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Length", "1000")
	w.WriteHeader(http.StatusOK)
	w.(http.Flusher).Flush()
	hangUp(w, r)
}

func silence(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

// The first of two nodes fails in some way; the second one would carry the request out. Whether it is
// asked, and how the command ends, is what the rules about unknown outcomes come down to.
func TestAskInTurn(t *testing.T) {
	const unreachable = "unreachable"
	for _, test := range []struct {
		name          string
		first         http.HandlerFunc // nil: nobody listens
		read, write   int              // exit codes
		readsElsewise bool             // a read goes on to the second node
		writesToo     bool             // and so does a write
	}{
		{unreachable, nil, exitDone, exitDone, true, true},
		{"no leader", refuse(503, "no_leader", true), exitDone, exitDone, true, true},
		{"not the leader", refuse(421, "not_leader", true), exitDone, exitDone, true, true},
		{"leadership lost", refuse(503, "leadership_lost", false), exitDone, exitUnknown, true, false},
		{"a timeout", refuse(504, "timeout", false), exitDone, exitUnknown, true, false},
		{"compare failed", refuse(409, "compare_failed", true), exitFailed, exitFailed, false, false},
		{"a bad request", refuse(400, "bad_request", true), exitFailed, exitFailed, false, false},
		{"hang up", hangUp, exitDone, exitUnknown, true, false},
		{"half an answer", cutShort, exitDone, exitUnknown, true, false},
		{"silence", silence, exitDone, exitUnknown, true, false},
		{"a redirect", http.RedirectHandler("/elsewhere", http.StatusTemporaryRedirect).ServeHTTP, exitFailed, exitUnknown, false, false},
		{"no node", http.NotFound, exitFailed, exitUnknown, false, false},
	} {
		for _, write := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, write %t", test.name, write), func(t *testing.T) {
				t.Parallel()
				var asked [2]atomic.Int32
				first := "127.0.0.1:1" // a port that nothing may listen at
				if test.first != nil {
					first = serve(t, &asked[0], test.first)
				}
				second := serve(t, &asked[1], func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{}`) })
				r := request{method: http.MethodGet, path: "/v1/kv/k"}
				want, goesOn := test.read, test.readsElsewise
				if write {
					r = request{method: http.MethodPut, path: "/v1/kv/k", body: "v", changes: true}
					want, goesOn = test.write, test.writesToo
				}
				_, err := newClient(50*time.Millisecond).ask(t.Context(), []replica{{alias: "n1", http: first}, {alias: "n2", http: second}}, r)
				if got := codeOf(err); got != want {
					t.Errorf("exit code %d, want %d: %v", got, want, err)
				}
				if got := asked[1].Load() == 1; got != goesOn {
					t.Errorf("the second node was asked: %t, want %t", got, goesOn)
				}
				if n := asked[0].Load(); test.first != nil && n != 1 {
					t.Errorf("the first node was asked %d times", n)
				}
				if err != nil && !strings.Contains(err.Error(), "n1: ") {
					t.Errorf("the error does not name the node: %v", err)
				}
			})
		}
	}
}

// codeOf is the exit code of an error, as run has it.
func codeOf(err error) int {
	var coded codedError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &coded):
		return coded.code
	default:
		return exitFailed
	}
}

// serve is a node that counts its requests.
func serve(t *testing.T, asked *atomic.Int32, h http.HandlerFunc) (address string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		h(w, r)
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// If no node can be reached, nothing has happened, and all reasons are told.
func TestAskNobody(t *testing.T) {
	nodes := []replica{{alias: "n1", http: "127.0.0.1:1"}, {alias: "n2", http: "127.0.0.1:1"}}
	_, err := newClient(time.Second).ask(t.Context(), nodes, request{method: http.MethodPut, path: "/v1/kv/k", changes: true})
	if codeOf(err) != exitFailed {
		t.Errorf("exit code %d", codeOf(err))
	}
	for _, want := range []string{"certainly did not happen", "n1: ", "n2: ", "connection refused"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %v", want, err)
		}
	}
}

func TestStatusOfAnotherNode(t *testing.T) {
	var asked atomic.Int32
	address := serve(t, &asked, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"id":"n7","state":"leader","term":3}`) })
	s := replica{alias: "n1", http: address, dir: t.TempDir()}.status(t.Context(), newClient(time.Second))
	if want := fmt.Sprintf(`another node, "n7", answers at %s`, address); s.State != "down" || s.Problem != want {
		t.Errorf("got %+v, want the problem %q", s, want)
	}
}

// FuzzKeyPath: each key arrives as it was given.
func FuzzKeyPath(f *testing.F) {
	for _, key := range []string{"a", ".", "..", "/", "a//b/../c", "%2F", "a b?c#d&e=f", "\x00\xff", "käse", "*", "{x}"} {
		f.Add(key)
	}
	mux := http.NewServeMux()
	var got string
	mux.HandleFunc("GET /v1/kv/{key...}", func(_ http.ResponseWriter, r *http.Request) { got = r.PathValue("key") })
	f.Fuzz(func(t *testing.T, key string) {
		if key == "" {
			return
		}
		r, err := http.NewRequest(http.MethodGet, "http://"+net.JoinHostPort("127.0.0.1", "1")+keyPath(key)+"?timeout=1s", nil)
		if err != nil {
			t.Fatal(err)
		}
		got = ""
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		if w.Code != http.StatusOK || got != key {
			t.Errorf("%q arrived as %q with status %d", key, got, w.Code)
		}
	})
}
