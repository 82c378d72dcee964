package system

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"rift/harness"
	"rift/harness/history"
)

// clientOf is a client of a node that is played by handle.
func clientOf(t *testing.T, handle http.HandlerFunc) *referenceClient {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	c := newReferenceClient(harness.Node{Name: "n1", IP: netip.MustParseAddr("127.0.0.1")}, history.Test{})
	c.base = server.URL
	t.Cleanup(func() { c.Close() })
	return c
}

func refuse(status int, code string, definite bool) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"error":{"code":%q,"message":"m","definite":%t}}`, code, definite)
	}
}

func TestWhatTheNodeSaysIsWhatTheHistoryGets(t *testing.T) {
	write := history.Op{F: "write", Key: "r1", Value: json.RawMessage("7")}
	cas := history.Op{F: "cas", Key: "r1", Value: json.RawMessage("[1,2]")}
	read := history.Op{F: "read", Key: "r1"}
	for _, tc := range []struct {
		name     string
		op       history.Op
		node     http.HandlerFunc
		value    string
		outcome  history.Type
		mismatch bool
	}{
		{"a write", write, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"revision":3}`) }, "7", history.OK, false},
		{"a value", read, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"value":"7","revision":3}`) }, "7", history.OK, false},
		{"a value that no workload wrote", read, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"value":"x y"}`) }, `"x y"`, history.OK, false},
		{"a key that lives for a while", history.Op{F: "put-ttl", Key: "a/b", Value: json.RawMessage(`[7,"1.5s"]`)}, func(w http.ResponseWriter, r *http.Request) {
			if b, err := io.ReadAll(r.Body); err != nil || r.Method != http.MethodPut || r.URL.RequestURI() != "/v1/kv/a%2Fb?ttl=1.5s" || string(b) != "7" {
				http.Error(w, fmt.Sprintf("%s %s %s", r.Method, r.URL, b), http.StatusBadRequest)
			}
		}, `[7,"1.5s"]`, history.OK, false},
		{"one that lives for nobody knows how long", history.Op{F: "put-ttl", Key: "a", Value: json.RawMessage(`7`)}, nil, "", history.Fail, false},
		{"no value", read, refuse(404, "key_not_found", true), "null", history.OK, false},
		{"a list", history.Op{F: "list"}, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"items":[{"value":"1"},{"value":"2"}]}`) }, "[1,2]", history.OK, false},
		{"an empty list", history.Op{F: "list"}, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"items":[]}`) }, "[]", history.OK, false},
		{"a mismatch", cas, refuse(409, "compare_failed", true), "[1,2]", history.Fail, true},
		{"a definite refusal", write, refuse(503, "no_leader", true), "", history.Fail, false},
		{"an indefinite one", write, refuse(503, "leadership_lost", false), "", history.Info, false},
		{"an error that is not the node's", write, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "bad gateway", http.StatusBadGateway) }, "", history.Info, false},
		{"a broken connection", write, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "", history.Info, false},
		{"half an answer", read, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"value":`) }, "", history.Info, false},
		{"an unknown function", history.Op{F: "fly"}, refuse(500, "x", false), "", history.Fail, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			value, err := clientOf(t, tc.node).Invoke(t.Context(), tc.op)
			got := history.Info
			switch {
			case err == nil:
				got = history.OK
			case errors.Is(err, harness.ErrDidNotHappen):
				got = history.Fail
			}
			if got != tc.outcome || errors.Is(err, harness.ErrMismatch) != tc.mismatch || tc.outcome == history.OK && string(value) != tc.value {
				t.Errorf("%v, value %s, error %v", got, value, err)
			}
		})
	}
}

func TestACasOnAMissingKeyAsksForItsAbsence(t *testing.T) {
	asked := ""
	c := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.RawQuery
		fmt.Fprint(w, `{}`)
	})
	if _, err := c.Invoke(t.Context(), history.Op{F: "cas", Key: "r1", Value: json.RawMessage("[null,2]")}); err != nil || asked != "prev-revision=0" {
		t.Errorf("asked %q, error %v", asked, err)
	}
}

func TestANodeThatIsDownIsADefiniteFailure(t *testing.T) {
	closed, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := clientOf(t, nil)
	c.base = "http://" + closed.Addr().String()
	closed.Close()
	_, err = c.Invoke(t.Context(), history.Op{F: "write", Key: "k", Value: json.RawMessage("1")})
	if !errors.Is(err, harness.ErrDidNotHappen) || strings.Contains(err.Error(), "http://") {
		t.Errorf("got %v", err)
	}
}

func TestATimeOutIsIndeterminateAndIsNotTriedAgain(t *testing.T) {
	requests := make(chan struct{}, 10)
	release := make(chan struct{})
	c := clientOf(t, func(http.ResponseWriter, *http.Request) {
		requests <- struct{}{}
		<-release
	})
	defer close(release)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := c.Invoke(ctx, history.Op{F: "write", Key: "k", Value: json.RawMessage("1")})
	if err == nil || errors.Is(err, harness.ErrDidNotHappen) || len(requests) != 1 {
		t.Errorf("error %v after %d requests", err, len(requests))
	}
}

func TestFirstNodeFoundsAndTheOthersJoin(t *testing.T) {
	var all []harness.Node
	for i := range 3 {
		all = append(all, harness.Node{Name: fmt.Sprintf("n%d", i+1), IP: netip.AddrFrom4([4]byte{198, 18, 0, byte(11 + i)}), Data: "/data"})
	}
	s := Reference{Bin: "/bin/node"}
	for i, n := range all {
		l, err := s.Launch(n, all, history.Test{Bugs: []string{"stale-read", "lost-ack"}, Options: map[string]string{"snapshot-threshold": "7"}})
		if err != nil {
			t.Fatal(err)
		}
		line := strings.Join(l.Args, " ")
		if strings.Contains(line, "-join 198.18.0.11:8080") != (i > 0) || !strings.Contains(line, "--bug stale-read,lost-ack") ||
			!strings.Contains(line, "--snapshot-threshold 7") || !strings.HasSuffix(line, " /data") {
			t.Errorf("%s is started with %s", n.Name, line)
		}
	}
}
