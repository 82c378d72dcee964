package node

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// One client counts upwards while leadership moves and leaders are cut off. No read, on any node, that
// begins after a number was acknowledged, or was read on any node, may answer with a smaller one.
func TestReadsAreLinearizableWhileLeadersChange(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	c.must("n1", "PUT", "/v1/kv/x", "0")
	var acknowledged, written atomic.Int64 // acknowledged: or read
	raise := func(to int64) {
		for now := acknowledged.Load(); now < to && !acknowledged.CompareAndSwap(now, to); now = acknowledged.Load() {
		}
	}
	stop := make(chan struct{})
	var clients sync.WaitGroup
	clients.Add(1)
	go func() {
		defer clients.Done()
		for i := int64(1); ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			written.Store(i)
			if a := c.call(c.ids[i%3], "PUT", "/v1/kv/x?timeout=500ms", fmt.Sprint(i)); a.status == 200 {
				raise(i)
			}
		}
	}()
	var reads atomic.Int64
	for _, id := range c.ids {
		clients.Add(1)
		go func() {
			defer clients.Done()
			for {
				select {
				case <-stop:
					return
				default:
				}
				least := acknowledged.Load()
				a := c.call(id, "GET", "/v1/kv/x?timeout=200ms", "")
				if a.status != 200 {
					continue
				}
				got, err := strconv.ParseInt(a.value(), 10, 64)
				if most := written.Load(); err != nil || got < least || got > most {
					t.Errorf("%s reads %q, after %d was acknowledged and before %d was written (%v)", id, a.value(), least, most+1, err)
				}
				raise(got)
				reads.Add(1)
			}
		}()
	}
	for round := range 3 {
		before := reads.Load()
		leader := c.leader()
		c.call(leader, "POST", "/v1/leader/transfer", "")
		leader = c.leader()
		c.isolate(leader)
		c.leader(c.others(leader)...)
		await(t, "reads go on", func() bool { return reads.Load() > before+10 })
		c.net.heal()
		t.Logf("round %d: %d reads, %d writes", round, reads.Load(), acknowledged.Load())
	}
	close(stop)
	clients.Wait()
}

// An answer to a message that left before the round began proves nothing about the leader now, nor does
// one in another term, nor one of a server without a vote.
func TestOnlyFreshAnswersOfVotersInTheTermCount(t *testing.T) {
	c := contacts{last: map[raft.ServerID]contact{}}
	voters := []raft.Server{{ID: "me"}, {ID: "a"}, {ID: "b"}}
	began := c.order()
	for _, old := range []struct {
		id raft.ServerID
		contact
	}{
		{"a", contact{order: began, term: 2}},
		{"b", contact{order: began + 5, term: 1}},
		{"nonvoter", contact{order: began + 5, term: 2}},
	} {
		c.note(old.id, old.contact)
		if ids, _ := c.live("me", voters, 2, began); len(ids) != 1 {
			t.Errorf("after %+v, live are %v", old, ids)
		}
	}
	done := make(chan error, 1)
	go func() { done <- c.awaitLive(context.Background(), "me", voters, 2, began, 2) }()
	c.note("a", contact{order: c.order(), term: 2})
	if err := <-done; err != nil {
		t.Error(err)
	}
	c.note("a", contact{order: began - 1, term: 2}) // an answer that was overtaken
	if ids, _ := c.live("me", voters, 2, began); len(ids) != 2 {
		t.Errorf("live are %v", ids)
	}
}

// A leader whose term's gate is closed answers no reads: it may miss what earlier leaders acknowledged.
func TestAClosedGateHoldsReadsBack(t *testing.T) {
	c := newCluster(t, 1, nil)
	n := c.nodes["n1"]
	n.gate.open(0)
	if e := c.call("n1", "GET", "/v1/kv/x?timeout=50ms", "").failure(); !e.Definite || e.Code == CodeKeyNotFound {
		t.Errorf("%+v", e)
	}
	n.gate.open(n.raft.CurrentTerm())
	if e := c.call("n1", "GET", "/v1/kv/x", "").failure(); e.Code != CodeKeyNotFound {
		t.Errorf("%+v", e)
	}
}

// Heartbeats must take raft's main loop: on the library's fast path they change the term under the
// leader's feet (hashicorp/raft issue 695).
func TestHeartbeatsTakeTheMainLoop(t *testing.T) {
	c := newTestNetwork(t)
	host := c.host("n1")
	listener, err := host.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	id, err := loadIdentity("n1", "", raft.NewInmemStore())
	if err != nil {
		t.Fatal(err)
	}
	s := newStream(host, listener, id, testPatience, testLogger(t))
	s.admit()
	tr := newTransport(raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: s, MaxPool: 1, Timeout: testPatience, Logger: raftLogger{logger: testLogger(t)},
	}))
	defer tr.Close()
	tr.SetHeartbeatHandler(func(raft.RPC) { t.Error("a heartbeat took the fast path") })
	sent := make(chan error, 1)
	heartbeat := &raft.AppendEntriesRequest{RPCHeader: raft.RPCHeader{Addr: []byte("x")}, Term: 7}
	var answer raft.AppendEntriesResponse
	go func() { sent <- tr.AppendEntries("n1", tr.LocalAddr(), heartbeat, &answer) }()
	rpc := <-tr.Consumer()
	rpc.Respond(&raft.AppendEntriesResponse{Term: 7, LastLog: 9}, nil)
	if err := <-sent; err != nil || answer.LastLog != 9 {
		t.Errorf("%+v, %v", answer, err)
	}
	if last, _ := tr.contacts.with("n1"); last.term != 7 || last.lastLog != 9 {
		t.Errorf("the contact is %+v", last)
	}
}

// A leader's state machine may lag behind a follower's, which has perhaps served the newest value already. The read
// index must cover that value, and must not name an entry that no state machine ever sees.
func TestTheReadIndexIsThatOfTheLogAndNotOfTheStateMachine(t *testing.T) {
	c := newCluster(t, 1, nil)
	leader := c.nodes[c.leader()]
	c.must("n1", "PUT", "/v1/kv/x", "old")
	lagging := leader.machine.state()
	c.must("n1", "PUT", "/v1/kv/x", "new")
	newest := leader.machine.state()
	if err := leader.raft.Barrier(time.Second).Error(); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*state{newest, lagging} {
		leader.machine.current.Store(s)
		if got, err := leader.committed(); err != nil || got != newest.index {
			t.Errorf("with entry %d applied, the read index is %d (%v), want %d", s.index, got, err, newest.index)
		}
	}
}
