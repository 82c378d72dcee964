package node

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// A sharedBuffer is a buffer that several goroutines write to.
type sharedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *sharedBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *sharedBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// traced starts a node on its own, has it take a write and a snapshot, shuts it down, and returns its log.
func traced(t *testing.T, trace bool) string {
	t.Helper()
	config := DefaultConfig()
	config.ID, config.HTTPAddr, config.RaftAddr, config.InMemory, config.Trace = "n1", "127.0.0.1:0", "127.0.0.1:0", true, trace
	config.HeartbeatTimeout, config.ElectionTimeout, config.LeaseTimeout = 100*time.Millisecond, 100*time.Millisecond, 100*time.Millisecond
	var log sharedBuffer
	n, err := Start(config, LocalHost(), slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []struct{ method, path string }{{"PUT", "/v1/kv/city"}, {"POST", "/v1/snapshot"}} {
		request, err := http.NewRequestWithContext(t.Context(), r.method, "http://"+n.HTTPAddr()+r.path, strings.NewReader("Paris"))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("%s %s: %s %s %v", r.method, r.path, answer.Status, body, err)
		}
	}
	if err := n.Shutdown(); err != nil {
		t.Fatal(err)
	}
	return log.String()
}

func TestTraceTellsEveryTransition(t *testing.T) {
	rest := traced(t, true)
	for _, want := range []string{
		"msg=trace node=n1 event=start existing=false\n", "event=term term=1\n", "event=role role=Candidate term=1\n",
		"event=term term=2\n", "event=vote term=2 candidate=127.0.0.1:", "event=role role=Leader term=2\n",
		"event=apply entries=1:1:", " members=true index=1 revision=0 hash=", " members=false index=", " revision=1 hash=",
		"event=snapshot index=", "event=snapshot-end index=",
	} {
		_, after, ok := strings.Cut(rest, want)
		if !ok {
			t.Fatalf("%q is not there, or not in its place; behind what stands before it there is\n%s", want, rest)
		}
		rest = after
	}
}

func TestNothingIsTracedUnlessAskedFor(t *testing.T) {
	if log := traced(t, false); strings.Contains(log, "msg=trace") {
		t.Errorf("the log has\n%s", log)
	}
}
