package node

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// Only what certainly did not happen may be called so.
func TestTheFateOfProposals(t *testing.T) {
	for _, test := range []struct {
		err      error
		code     Code
		definite bool
	}{
		{raft.ErrNotLeader, CodeNotLeader, true},
		{errStaleTerm, CodeNotLeader, true},
		{raft.ErrLeadershipTransferInProgress, CodeNoLeader, true},
		{raft.ErrEnqueueTimeout, CodeTimeout, true},
		{raft.ErrLeadershipLost, CodeLeadershipLost, false},
		{raft.ErrRaftShutdown, CodeShuttingDown, false},
		{raft.ErrAbortedByRestore, CodeStorage, false},
		{errStalled, CodeStorage, false},
		{context.DeadlineExceeded, CodeTimeout, false},
	} {
		if e := proposalError(test.err); e.Code != test.code || e.Definite != test.definite {
			t.Errorf("%v: %+v", test.err, e)
		}
	}
	if e := asError(errors.New("?")); e.Definite {
		t.Error("an unknown error is called definite")
	}
	for code := range statusOf {
		if http.StatusText(statusOf[code]) == "" {
			t.Errorf("%s has no HTTP status", code)
		}
	}
}

// A proposal that nobody waits for any more is dropped if it has not been logged, and then that is
// what the client is told.
func TestAProposalThatWasNotLoggedDidNotHappen(t *testing.T) {
	p := &proposer{queue: make(chan *proposal, 10), stop: make(chan struct{})} // nobody takes proposals
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := p.propose(ctx, command{op: opPut})
	if e := asError(err); e.Code != CodeTimeout || !e.Definite {
		t.Errorf("%+v", e)
	}
	for len(p.queue) > 0 {
		if batch := p.gather(<-p.queue); len(batch) != 0 {
			t.Error("it was logged all the same")
		}
	}
	waiting := &proposal{ctx: context.Background(), done: make(chan struct{})}
	if batch := p.gather(waiting); len(batch) != 1 || !waiting.taken.Load() {
		t.Errorf("gathered %v", batch)
	}
}

// A write on a leader without a quorum is logged and not committed: nobody can say what becomes of it.
func TestAWriteWithoutAQuorumIsUnknown(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	leader := c.leader()
	c.isolate(leader)
	e := c.call(leader, "PUT", "/v1/kv/x?forward=false", "y").failure()
	switch {
	case e.Code == CodeLeadershipLost && !e.Definite: // as it should be
	case e.Definite && (e.Code == CodeNoLeader || e.Code == CodeNotLeader): // it had already stepped down
	default:
		t.Errorf("%+v", e)
	}
	if e := c.call(leader, "PUT", "/v1/kv/x?timeout=100ms", "y").failure(); !e.Definite {
		t.Errorf("a write without a leader: %+v", e)
	}
	if e := c.call(leader, "GET", "/v1/kv/x?timeout=100ms", "").failure(); !e.Definite {
		t.Errorf("a read without a leader: %+v", e)
	}
	if c.statusOf(leader).ID != leader {
		t.Error("a node without a leader does not show its status")
	}
	if e := c.call(leader, "GET", "/readyz", "").failure(); e.Code != CodeNoLeader {
		t.Errorf("readyz: %+v", e)
	}
}

// A leader whose disk hangs cannot lead. It must not keep the others from electing one that can, and
// it must be of use again when its disk is (hashicorp/raft issues 503, 612, 614).
func TestALeaderWhoseDiskHangsStepsDown(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	leader := c.leader()
	c.net.hang(leader, true)
	defer c.net.hang(leader, false)
	if e := c.call(leader, "PUT", "/v1/kv/x?forward=false", "lost or not").failure(); e.Definite && e.Code != CodeNotLeader && e.Code != CodeNoLeader {
		t.Errorf("the write on the hanging disk: %+v", e)
	}
	next := c.leader(c.others(leader)...)
	c.must(next, "PUT", "/v1/kv/x", "new")
	c.net.hang(leader, false)
	if got := c.must(leader, "GET", "/v1/kv/x", "").value(); got != "new" {
		t.Errorf("the node whose disk hung reads %q", got)
	}
	await(t, "all nodes have the same log", func() bool {
		return c.statusOf(leader).LastLogIndex == c.statusOf(c.leader()).LastLogIndex
	})
}

// What a follower says of a forwarded write depends on how far the request got.
func TestForwardingTellsHowFarItGot(t *testing.T) {
	breaks := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			conn.Close()
		}
	}))
	defer breaks.Close()
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the server does not notice that the client has gone
		<-r.Context().Done()
	}))
	defer hangs.Close()
	retreats := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusMisdirectedRequest, errorBody{definitely(CodeNotLeader, "not me")})
	}))
	defer retreats.Close()
	n := &Node{peers: newPeers("n1", LocalHost(), testPatience), metrics: newMetrics()}
	defer n.peers.close()
	for _, test := range []struct {
		address  string
		code     Code
		definite bool
	}{
		{"127.0.0.1:1", CodeNoLeader, true},
		{breaks.Listener.Addr().String(), CodeLeadershipLost, false},
		{hangs.Listener.Addr().String(), CodeTimeout, false},
		{retreats.Listener.Addr().String(), CodeNotLeader, true},
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		r := httptest.NewRequestWithContext(ctx, "PUT", "/v1/kv/x", nil)
		err := n.forward(httptest.NewRecorder(), r, []byte("y"), leaderInfo{Peer: Peer{ID: "n2", HTTP: test.address}})
		if e := asError(err); e.Code != test.code || e.Definite != test.definite {
			t.Errorf("%s: %+v, want %s, definite %v", test.address, e, test.code, test.definite)
		}
		cancel()
	}
}

func TestAHandOverThatNeverEndsStopsTheNode(t *testing.T) {
	var reason error
	s := stuckTransfer{limit: 0, fail: func(err error) { reason = err }}
	s.note(raft.ErrLeadershipTransferInProgress)
	s.note(nil)
	s.note(raft.ErrLeadershipTransferInProgress)
	if reason != nil {
		t.Fatalf("an interrupted row of refusals: %v", reason)
	}
	await(t, "the node gives up", func() bool { s.note(raft.ErrLeadershipTransferInProgress); return reason != nil })
}
