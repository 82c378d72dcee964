package node

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/hashicorp/raft"
)

// view returns a state of this node's own state machine that contains every write which was
// acknowledged, anywhere, before the call: reads from it are linearizable. It is the ReadIndex
// procedure of Ongaro's dissertation (section 6.4): ask the leader what is committed, wait until the
// own state machine is there, read locally.
func (n *Node) view(ctx context.Context) (*state, error) {
	if n.seams.trust != nil && n.seams.trust() {
		return n.machine.state(), nil
	}
	patience, cancel := context.WithTimeout(ctx, n.patience())
	defer cancel()
	for {
		changed := n.leadership.changed()
		index, err := n.readIndex(patience)
		if err == nil {
			s, err := n.machine.wait(ctx, index)
			if err != nil {
				return nil, definitely(CodeTimeout, "this node has not caught up with the leader in time")
			}
			return s, nil
		}
		select {
		case <-changed:
		case <-time.After(n.retryPause()):
		case <-patience.Done():
			e := asError(err)
			e.Definite = true // a read that failed changed nothing
			if e.Code == CodeInternal || e.Code == CodeTimeout && ctx.Err() == nil {
				e.Code, e.Message = CodeNoLeader, "no leader could be confirmed"
			}
			return nil, e
		}
	}
}

// readIndex asks the leader, or, on the leader, a quorum. Many readers share one round.
func (n *Node) readIndex(ctx context.Context) (uint64, error) {
	if n.raft.State() == raft.Leader {
		return n.confirmed.get(ctx)
	}
	return n.asked.get(ctx)
}

// confirmLeadership returns the index up to which a linearizable read must wait, or an error if this
// node is not certainly the leader.
//
// The index is the last entry for the state machine that was committed when the round began; those of
// earlier leaders are covered because the gate of a term opens once an entry of that very term was
// applied. What this node's own state machine has applied would not do: a follower's may be ahead of
// it, and has perhaps served a newer value already (Rift found that with this very node). Then a
// majority of the voters must acknowledge a message that was sent after the round began, in the same
// term: at that moment no newer leader had been elected.
// (The library's VerifyLeader also credits answers to messages sent earlier, and non-voters.)
func (n *Node) confirmLeadership(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, n.config.HeartbeatTimeout)
	defer cancel()
	term := n.raft.CurrentTerm()
	if n.raft.State() != raft.Leader {
		return 0, definitely(CodeNotLeader, "this node is not the leader")
	}
	if err := n.gate.wait(ctx, term); err != nil {
		return 0, definitely(CodeNoLeader, "the leader of term %d has not yet committed an entry of its own", term)
	}
	began := n.transport.contacts.order()
	index, err := n.committed()
	if err != nil {
		return 0, definitely(CodeNoLeader, "the leader of term %d cannot read its log: %v", term, err)
	}
	if err := n.contactQuorum(ctx, term, began); err != nil {
		return 0, definitely(CodeNoLeader, "the leader of term %d has not reached a quorum", term)
	}
	if n.raft.CurrentTerm() != term {
		return 0, definitely(CodeNotLeader, "this node is not the leader any more")
	}
	return index, nil
}

// committed is the index of the last committed log entry that the state machine sees. The library's
// commit index will not do where it is that of a no-op or a barrier, which the state machine never
// sees and would be waited for in vain.
func (n *Node) committed() (uint64, error) {
	applied := n.machine.state().index
	for i := n.raft.CommitIndex(); i > applied; i-- {
		var l raft.Log
		if err := n.logs.GetLog(i, &l); err != nil {
			if newer := n.machine.state().index; newer >= i {
				return newer, nil // applied, and compacted away, in the meantime
			}
			return 0, fmt.Errorf("entry %d: %w", i, err)
		}
		if l.Type == raft.LogCommand || l.Type == raft.LogConfiguration {
			return i, nil
		}
	}
	return applied, nil
}

// contactQuorum probes all voters and waits until a majority of them answered to a message that was
// sent in the given term and after began.
func (n *Node) contactQuorum(ctx context.Context, term, began uint64) error {
	all := voters(n.configuration())
	want := len(all)/2 + 1
	n.probeAll(all, term)
	return n.transport.contacts.awaitLive(ctx, raft.ServerID(n.config.ID), all, term, began, want)
}

// probeAll sends a heartbeat to each of the servers but this one.
func (n *Node) probeAll(servers []raft.Server, term uint64) {
	self := raft.ServerID(n.config.ID)
	address := n.transport.EncodePeer(self, n.transport.LocalAddr())
	heartbeat := &raft.AppendEntriesRequest{
		RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(self), Addr: address},
		Term:      term,
	}
	for _, s := range servers {
		if s.ID != self {
			n.transport.probe(s, heartbeat)
		}
	}
}

func voters(c raft.Configuration) []raft.Server {
	var all []raft.Server
	for _, s := range c.Servers {
		if s.Suffrage == raft.Voter {
			all = append(all, s)
		}
	}
	return all
}

// A readIndexAnswer is the body of the answer to POST /v1/readindex.
type readIndexAnswer struct {
	Index uint64 `json:"index"`
}

// askReadIndex asks the leader for the read index, for all the linearizable reads that wait here.
func (n *Node) askReadIndex(ctx context.Context) (uint64, error) {
	leader := n.leader()
	switch leader.ID {
	case "":
		return 0, definitely(CodeNoLeader, "no leader is known")
	case n.config.ID:
		return 0, definitely(CodeNoLeader, "this node is becoming the leader")
	}
	ctx, cancel := context.WithTimeout(ctx, 2*n.config.HeartbeatTimeout)
	defer cancel()
	var answer readIndexAnswer
	if err := n.peers.call(ctx, http.MethodPost, leader.HTTP, "/v1/readindex", nil, &answer); err != nil {
		var e *Error
		if errors.As(err, &e) {
			return 0, e
		}
		return 0, definitely(CodeNoLeader, "ask %s for the read index: %v", leader.ID, err)
	}
	return answer.Index, nil
}

// A gate tells in which terms this node has committed, and applied, an entry of its own as leader.
type gate struct {
	broadcast
	term uint64 // guarded by the broadcast's mutex
}

func (g *gate) open(term uint64) {
	g.announce(func() { g.term = term })
}

// opened tells whether the gate of the given term is open.
func (g *gate) opened(term uint64) bool {
	var now uint64
	g.look(func() { now = g.term })
	return now == term
}

// wait returns once the gate of the given term is open; it fails when ctx ends.
func (g *gate) wait(ctx context.Context, term uint64) error {
	for {
		var now uint64
		changed := g.look(func() { now = g.term })
		if now == term {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for the gate of term %d: %w", term, ctx.Err())
		}
	}
}
