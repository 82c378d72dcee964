package node

import (
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// splitClockLease lets a leader serve reads on a lease: no other leader can be elected for a while after
// a quorum has answered. That much is sound; but this lease's end is a time of day. When the wall clock
// is set back, the lease lasts as much longer, and a leader that was deposed meanwhile serves old values.
var splitClockLease = Bug{
	Name:        "split-clock-lease",
	Description: "a leader serves reads unconfirmed during a lease that it keeps by the wall clock",
	plant: func(n *Node) {
		l := &lease{node: n, wall: n.wallClock()}
		n.seams.trust = l.holds
	},
}

// A lease is the time until which this node takes its own state for current.
type lease struct {
	node *Node
	wall func() time.Time

	mu    sync.Mutex
	until time.Time // without a monotonic reading
}

// holds extends the lease, if this node is the leader, and tells whether it lasts.
func (l *lease) holds() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if end := l.end(); end.After(l.until) {
		l.until = end
	}
	return l.wall().Before(l.until)
}

// end is LeaseTimeout after the last moment at which a majority of the voters heard this leader.
func (l *lease) end() time.Time {
	sent, ok := l.node.heardByQuorum()
	if !ok {
		return time.Time{}
	}
	return sent.Round(0).Add(l.node.config.LeaseTimeout) // Round strips the monotonic reading
}

// heardByQuorum is the latest time at which this node, as the leader, sent something that a majority of the voters has
// answered, each its own message; false if there is none.
func (n *Node) heardByQuorum() (time.Time, bool) {
	term := n.raft.CurrentTerm()
	if n.raft.State() != raft.Leader || !n.gate.opened(term) {
		return time.Time{}, false
	}
	all := voters(n.configuration())
	sent := []time.Time{time.Now()} // by itself
	for _, v := range all {
		if last, _ := n.transport.contacts.with(v.ID); string(v.ID) != n.config.ID && last.term == term {
			sent = append(sent, last.sent)
		}
	}
	quorum := len(all)/2 + 1
	if len(sent) < quorum {
		return time.Time{}, false
	}
	slices.SortFunc(sent, func(a, b time.Time) int { return b.Compare(a) })
	return sent[quorum-1], true
}
