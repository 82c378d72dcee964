package node

import (
	"context"
	"net/http"

	"github.com/hashicorp/raft"
)

// promoteMember serves POST /v1/members/{id}/promote: a learner gets its vote.
func (n *Node) promoteMember(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if err := n.changeMembers(r.Context(), func(ctx context.Context) error { return n.promote(ctx, id) }); err != nil {
		return err
	}
	return n.members(w, r)
}

// promote gives a learner its vote, if it has shown that it has caught up. It does not wait for that: whoever asks for a promotion
// can ask again. A voter stays one, once that is committed.
func (n *Node) promote(ctx context.Context, id string) error {
	s := findServer(n.configuration(), id)
	switch {
	case s == nil:
		return definitely(CodeMemberNotFound, "there is no member %q", id)
	case s.Suffrage == raft.Voter:
		return n.barrier(ctx)
	}
	answer, err := n.stream.ask(ctx, string(s.Address), forProbe)
	switch {
	case err != nil:
		return definitely(CodeUnreachable, "no node answers at the raft address %s: %v", s.Address, err)
	case answer.ID != id:
		return definitely(CodeIDTaken, "the node at %s is %q, not %q", s.Address, answer.ID, id)
	case answer.Fresh:
		return definitely(CodeNotCaughtUp, "%s has lost its data, and must join anew", id)
	}
	if !n.vouched() {
		if err := n.requireCaughtUp(ctx, raft.ServerID(id)); err != nil {
			return err
		}
		if err := n.requireQuorum(ctx, id, +1); err != nil {
			return err
		}
	}
	return n.giveVote(ctx, id, string(s.Address))
}

// requireCaughtUp refuses a server that does not show, while a follower hears from its leader several times, that it has the log.
func (n *Node) requireCaughtUp(ctx context.Context, id raft.ServerID) error {
	ctx, cancel := context.WithTimeout(ctx, 2*n.config.HeartbeatTimeout)
	defer cancel()
	if err := n.awaitCaughtUp(ctx, id); err != nil {
		last, _ := n.transport.contacts.with(id)
		return definitely(CodeNotCaughtUp, "%s has %d log entries of %d: %v", id, last.lastLog, n.raft.LastIndex(), err)
	}
	return nil
}
