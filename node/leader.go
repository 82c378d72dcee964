package node

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// A leaderInfo is where the leader is, as far as this node knows.
type leaderInfo struct {
	Peer
	Raft string
}

// leader returns the leader, with empty fields for what is unknown.
func (n *Node) leader() leaderInfo {
	address, id := n.raft.LeaderWithID()
	info := leaderInfo{Peer{ID: string(id)}, string(address)}
	if info.ID == n.config.ID {
		info.HTTP = n.config.HTTPAddr
	} else {
		info.HTTP = n.machine.state().members[info.ID]
	}
	return info
}

// configuration returns the newest configuration in this node's log.
func (n *Node) configuration() raft.Configuration {
	return n.raft.GetConfiguration().Configuration() // answered from a copy, never fails
}

// patience is how long an operation waits for a leader: long enough for an election.
func (n *Node) patience() time.Duration {
	return 2 * (n.config.HeartbeatTimeout + n.config.ElectionTimeout)
}

// retryPause is how long to wait before asking a leader again that did not know that it was one.
func (n *Node) retryPause() time.Duration { return n.config.HeartbeatTimeout / 20 }

// watchLeader announces changes of the leader, and of this node's role.
func (n *Node) watchLeader(ctx context.Context) {
	observations := make(chan raft.Observation, 64)
	observer := raft.NewObserver(observations, false, func(o *raft.Observation) bool {
		switch o.Data.(type) {
		case raft.LeaderObservation, raft.RaftState:
			return true
		}
		return false
	})
	n.raft.RegisterObserver(observer)
	defer n.raft.DeregisterObserver(observer)
	for {
		select {
		case o := <-observations:
			if l, ok := o.Data.(raft.LeaderObservation); ok && l.LeaderID != "" {
				n.metrics.leaderChanges.Inc()
				n.logger.Info("leader", "leader", l.LeaderID, "term", n.raft.CurrentTerm())
			}
			n.leadership.announce(func() {})
		case <-ctx.Done():
			return
		}
	}
}

// watchOwnLeadership takes office each time this node is elected. It reads raft's announcements from
// NotifyCh, which keeps them in order and loses none; raft waits until each is read.
func (n *Node) watchOwnLeadership(ctx context.Context) {
	leave := func() {}
	for {
		select {
		case elected := <-n.notify:
			leave()
			leave = func() {}
			n.leads.Store(elected)
			if elected {
				leave = n.takeOffice(ctx)
			}
		case <-ctx.Done():
			leave()
			return
		}
	}
}

// takeOffice commits a first entry in the new term, which makes sure that everything earlier leaders
// acknowledged has been applied here, and opens the term's gate for reads. The entry also names the
// cluster and tells the others where this node serves HTTP. From then on it keeps the replicated time. The
// returned function stops it and waits.
func (n *Node) takeOffice(ctx context.Context) (leave func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			term := n.raft.CurrentTerm()
			_, err := n.proposer.propose(ctx,
				command{op: opCluster, value: n.identity.cluster()},
				command{op: opMember, key: n.config.ID, value: n.config.HTTPAddr})
			if err == nil && n.raft.CurrentTerm() == term { // so it was logged in this term
				n.gate.open(term)
				n.leadership.announce(func() {})
				n.correctOwnAddress(ctx)
				n.keepTime(ctx)
				return
			}
			select {
			case <-time.After(n.retryPause()):
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() { cancel(); <-done }
}

// correctOwnAddress tells the cluster this node's raft address, if it was started with a new one.
func (n *Node) correctOwnAddress(ctx context.Context) {
	self := raft.ServerID(n.config.ID)
	s := findServer(n.configuration(), n.config.ID)
	if s == nil || s.Suffrage != raft.Voter || s.Address == n.transport.LocalAddr() {
		return
	}
	if err := settle(ctx, n.raft.AddVoter(self, n.transport.LocalAddr(), 0, enqueueTimeout)); err != nil {
		n.logger.Warn("could not announce the new raft address", "error", err)
	}
}

// settle waits for a future of the library, which may never answer, no longer than ctx allows.
func settle(ctx context.Context, f raft.Future) error {
	done := make(chan error, 1)
	go func() { done <- f.Error() }() // owned by the future: it ends when raft answers
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// transferTries is how often a leader that shuts down tries to hand its leadership over.
const transferTries = 3

// handOver makes another voter the leader, if this node is the leader and there is another voter.
func (n *Node) handOver() {
	if n.raft.State() != raft.Leader || len(voters(n.configuration())) < 2 {
		return
	}
	for try := 1; try <= transferTries; try++ {
		ctx, cancel := context.WithTimeout(n.ctx, 2*n.config.ElectionTimeout)
		err := n.transfer(ctx, "")
		cancel()
		if err == nil || n.raft.State() != raft.Leader {
			n.logger.Info("handed the leadership over")
			return
		}
		n.logger.Warn("could not hand the leadership over", "try", try, "error", err)
	}
}

// transfer hands the leadership over to the voter with the given id, or to the most current one if it
// is empty. It picks only voters that answered within the last heartbeat timeout: waiting for one that
// does not answer can leave the library refusing all writes (hashicorp/raft issue 696).
func (n *Node) transfer(ctx context.Context, to string) error {
	if n.raft.State() != raft.Leader {
		return definitely(CodeNotLeader, "this node is not the leader")
	}
	all := voters(n.configuration())
	term := n.raft.CurrentTerm()
	var best *raft.Server
	var bestLog uint64
	for i, v := range all {
		last, _ := n.transport.contacts.with(v.ID)
		switch {
		case string(v.ID) == n.config.ID || last.term != term || time.Since(last.sent) > n.config.HeartbeatTimeout:
		case string(v.ID) == to:
			best = &all[i]
		case to == "" && (best == nil || last.lastLog > bestLog):
			best, bestLog = &all[i], last.lastLog
		}
	}
	switch {
	case to != "" && findServer(raft.Configuration{Servers: all}, to) == nil:
		return definitely(CodeMemberNotFound, "there is no voter %q", to)
	case to == n.config.ID:
		return nil
	case best == nil:
		return definitely(CodeNoQuorum, "no other voter answers, or not the one that was asked for")
	}
	n.logger.Info("handing the leadership over", "to", best.ID)
	if err := settle(ctx, n.raft.LeadershipTransferToServer(best.ID, best.Address)); err != nil {
		return perhaps(CodeTimeout, "hand the leadership over to %s: %v", best.ID, err)
	}
	n.machine.trace.transferred(best.ID)
	return nil
}

// String names the leader for messages.
func (l leaderInfo) String() string { return fmt.Sprintf("%s (HTTP %s)", l.ID, l.HTTP) }
