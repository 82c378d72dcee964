package node

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// A transport is raft's network transport, which also remembers when each peer last acknowledged a
// message of this leader. That is what reads, leases and membership changes rest on.
type transport struct {
	*raft.NetworkTransport
	contacts contacts
	probes   probes
}

func newTransport(n *raft.NetworkTransport) *transport {
	return &transport{
		NetworkTransport: n,
		contacts:         contacts{last: map[raft.ServerID]contact{}},
		probes:           probes{peers: map[raft.ServerID]*probed{}},
	}
}

// SetHeartbeatHandler does nothing: heartbeats take raft's main loop like all other messages. The
// library's fast path for heartbeats changes term and state on another goroutine, which lets a
// deposed leader log a client's command under its successor's term (hashicorp/raft issue 695). The
// price is that a heartbeat waits while a follower writes to its disk.
func (t *transport) SetHeartbeatHandler(func(raft.RPC)) {}

// AppendEntries sends one message to a peer and notes when it was sent, if the peer is still in our
// term. Whether it could append the entries makes no difference: it follows no newer leader.
func (t *transport) AppendEntries(id raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	order, sent := t.contacts.order(), time.Now()
	err := t.NetworkTransport.AppendEntries(id, target, args, resp)
	if err == nil && resp.Term == args.Term {
		t.contacts.note(id, contact{order: order, sent: sent, term: args.Term, lastLog: resp.LastLog})
	}
	return err
}

// A contact is the latest message of ours that a peer acknowledged.
type contact struct {
	order   uint64    // the message's place among all that contacts.order has counted
	sent    time.Time // when we sent it; carries both the wall and the monotonic clock
	term    uint64    // the term that we sent it in, and the peer was in
	lastLog uint64    // the peer's last log index when it answered
}

// contacts are the latest contacts with all peers. What was sent before what is a matter of counting, not of
// clocks: those may stand still.
type contacts struct {
	broadcast
	last  map[raft.ServerID]contact // guarded by the broadcast's mutex
	count atomic.Uint64
}

// order returns a number that is higher than all it has returned before.
func (c *contacts) order() uint64 { return c.count.Add(1) }

func (c *contacts) note(id raft.ServerID, n contact) {
	c.announce(func() {
		if old := c.last[id]; n.term > old.term || n.term == old.term && n.order > old.order { // answers may overtake each other
			c.last[id] = n
		}
	})
}

// with returns the latest contact with a peer, and a channel that is closed at the next note of any.
func (c *contacts) with(id raft.ServerID) (last contact, changed <-chan struct{}) {
	changed = c.look(func() { last = c.last[id] })
	return last, changed
}

// live returns those voters that acknowledged a message which we sent in the given term after the order
// since, ourselves included, and a channel that is closed when this may have changed.
func (c *contacts) live(self raft.ServerID, voters []raft.Server, term, since uint64) (ids []raft.ServerID, changed <-chan struct{}) {
	changed = c.look(func() {
		for _, v := range voters {
			last := c.last[v.ID]
			if v.ID == self || last.term == term && last.order > since {
				ids = append(ids, v.ID)
			}
		}
	})
	return ids, changed
}

// awaitLive returns once at least want of the voters have acknowledged a message sent after the order since.
func (c *contacts) awaitLive(ctx context.Context, self raft.ServerID, voters []raft.Server, term, since uint64, want int) error {
	for {
		ids, changed := c.live(self, voters, term, since)
		if len(ids) >= want {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// probes sends heartbeats of our own to peers, at most one at a time to each.
type probes struct {
	mu      sync.Mutex
	peers   map[raft.ServerID]*probed
	sending sync.WaitGroup
}

// A probed peer has a heartbeat of ours under way, and maybe one that must follow it.
type probed struct {
	next *raft.AppendEntriesRequest
	to   raft.Server
}

// probe sends a peer a heartbeat, soon, and certainly after the call began. It returns at once.
func (t *transport) probe(to raft.Server, heartbeat *raft.AppendEntriesRequest) {
	p := &t.probes
	p.mu.Lock()
	defer p.mu.Unlock()
	if busy := p.peers[to.ID]; busy != nil {
		busy.next, busy.to = heartbeat, to
		return
	}
	peer := &probed{next: heartbeat, to: to}
	p.peers[to.ID] = peer
	p.sending.Add(1)
	go t.send(peer)
}

// send sends a peer's heartbeats until none is waiting.
func (t *transport) send(peer *probed) {
	p := &t.probes
	defer p.sending.Done()
	for {
		p.mu.Lock()
		heartbeat, to := peer.next, peer.to
		peer.next = nil
		if heartbeat == nil {
			delete(p.peers, to.ID)
		}
		p.mu.Unlock()
		if heartbeat == nil {
			return
		}
		var resp raft.AppendEntriesResponse
		_ = t.AppendEntries(to.ID, to.Address, heartbeat, &resp) // a failure shows as a missing contact
	}
}
