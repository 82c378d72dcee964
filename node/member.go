package node

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"github.com/hashicorp/raft"
)

// A joinRequest is the body of POST /join. The paper knows the first two fields.
type joinRequest struct {
	ID        string `json:"id"`
	Addr      string `json:"addr"`                 // for raft
	HTTPAddr  string `json:"http_addr,omitempty"`  // told by the node itself when it starts, if missing here
	ClusterID string `json:"cluster_id,omitempty"` // "": whatever cluster this is
}

type joinAnswer struct {
	ID        string `json:"id"`
	ClusterID string `json:"cluster_id"`
}

// join serves POST /join: it adds a voter, or brings what the cluster knows about one up to date.
func (n *Node) join(w http.ResponseWriter, r *http.Request) error {
	var j joinRequest
	if err := json.NewDecoder(r.Body).Decode(&j); err != nil {
		return definitely(CodeBadRequest, "the body is not a JSON object of strings: %v", err)
	}
	if !validID(j.ID) {
		return definitely(CodeBadRequest, "id: %q is not 1 to 64 characters of [A-Za-z0-9._-]", j.ID)
	}
	if err := validAddress(j.Addr); err != nil {
		return definitely(CodeBadRequest, "addr: %v", err)
	}
	if j.HTTPAddr != "" {
		if err := validAddress(j.HTTPAddr); err != nil {
			return definitely(CodeBadRequest, "http_addr: %v", err)
		}
	}
	if own := n.identity.cluster(); j.ClusterID != "" && j.ClusterID != own {
		return definitely(CodeClusterMismatch, "this is cluster %q, not %q", own, j.ClusterID)
	}
	if err := n.changeMembers(r.Context(), func(ctx context.Context) error { return n.admit(ctx, j) }); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, joinAnswer{j.ID, n.identity.cluster()})
	return nil
}

// changeMembers makes changes of the membership follow one another.
func (n *Node) changeMembers(ctx context.Context, change func(context.Context) error) error {
	select {
	case n.membership <- struct{}{}:
		defer func() { <-n.membership }()
		return change(ctx)
	case <-ctx.Done():
		return definitely(CodeTimeout, "another change of the membership is under way")
	}
}

// admit makes a node a voter: it asks the node who it is, adds it without a vote, lets it catch up, and
// then gives it its vote. Nothing is changed before the node has answered for itself. The library would
// let a new server vote at once, and so lose the quorum if it does not exist or is far behind.
func (n *Node) admit(ctx context.Context, j joinRequest) error {
	known, err := n.inspect(ctx, j)
	if err != nil {
		return err
	}
	if known == nil {
		if err := n.requireQuorum(ctx, j.ID, +1); err != nil {
			return err
		}
		add := n.raft.AddNonvoter(raft.ServerID(j.ID), raft.ServerAddress(j.Addr), 0, enqueueTimeout)
		if err := settle(ctx, add); err != nil {
			return proposalError(err)
		}
	}
	if known == nil || known.Suffrage != raft.Voter {
		if _, err := n.stream.ask(ctx, j.Addr, forAdmit); err != nil {
			return perhaps(CodeUnreachable, "%s was added without a vote, and then did not answer: %v", j.ID, err)
		}
		if err := n.awaitCaughtUp(ctx, raft.ServerID(j.ID)); err != nil {
			return perhaps(CodeTimeout, "%s has no vote yet, for it has not caught up: %v", j.ID, err)
		}
	}
	if known == nil || known.Suffrage != raft.Voter || string(known.Address) != j.Addr {
		promote := n.raft.AddVoter(raft.ServerID(j.ID), raft.ServerAddress(j.Addr), 0, enqueueTimeout)
		if err := settle(ctx, promote); err != nil {
			return proposalError(err)
		}
		n.awaitEverywhere(ctx, promote.Index())
		n.logger.Info("member", "id", j.ID, "raft", j.Addr)
	}
	if j.HTTPAddr != "" && n.machine.state().members[j.ID] != j.HTTPAddr {
		_, err = n.proposer.propose(ctx, command{op: opMember, key: j.ID, value: j.HTTPAddr})
	}
	return err
}

// inspect finds out whether the node may join under this id and address. It returns what the
// configuration already says of it, or nil if it must be added.
func (n *Node) inspect(ctx context.Context, j joinRequest) (*raft.Server, error) {
	answer, err := n.stream.ask(ctx, j.Addr, forProbe)
	switch {
	case errors.Is(err, errRefused):
		return nil, definitely(CodeClusterMismatch, "%v", err)
	case err != nil:
		return nil, definitely(CodeUnreachable, "no node answers at the raft address %s: %v", j.Addr, err)
	case answer.ID != j.ID:
		return nil, definitely(CodeIDTaken, "the node at %s is %q, not %q", j.Addr, answer.ID, j.ID)
	}
	configuration := n.configuration()
	for _, s := range configuration.Servers {
		if string(s.Address) == j.Addr && string(s.ID) != j.ID {
			return nil, definitely(CodeIDTaken, "the raft address %s belongs to %q; remove that member first", j.Addr, s.ID)
		}
	}
	known := findServer(configuration, j.ID)
	if known == nil {
		return nil, nil
	}
	if string(known.Address) != j.Addr {
		if other, err := n.stream.ask(ctx, string(known.Address), forProbe); err == nil && other.ID == j.ID {
			return nil, definitely(CodeIDTaken, "another node with the id %q runs at %s", j.ID, known.Address)
		}
	}
	if answer.Fresh && known.Suffrage == raft.Voter {
		// It lost its data, and with it votes and acknowledgements that the others rely on: as the voter
		// that it was, it could elect a second leader. It must begin anew.
		n.logger.Warn("a member comes back without its data", "id", j.ID)
		if err := n.drop(ctx, j.ID); err != nil {
			return nil, err
		}
		return nil, nil
	}
	return known, nil
}

// awaitCaughtUp returns once a server says that it has, but for a few entries, the whole log. What it said
// before does not count: it may have lost its data since.
func (n *Node) awaitCaughtUp(ctx context.Context, id raft.ServerID) error {
	const close = 64 // entries; the rest is a matter of milliseconds
	began := n.transport.contacts.order()
	for {
		last, changed := n.transport.contacts.with(id)
		if last.order > began && last.term == n.raft.CurrentTerm() && last.lastLog+close >= n.raft.LastIndex() && last.lastLog > 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
		if n.raft.State() != raft.Leader {
			return raft.ErrLeadershipLost
		}
	}
}

// awaitEverywhere waits until every voter has the log entry with the given index, or has not answered
// for two heartbeat timeouts. The library lets nobody vote for a candidate that is no voter in its own
// newest configuration: if the leader were lost before some voter heard of a new one, the rest might
// not be able to elect another, although they are a majority.
func (n *Node) awaitEverywhere(ctx context.Context, index uint64) {
	ctx, cancel := context.WithTimeout(ctx, 2*n.config.HeartbeatTimeout)
	defer cancel()
	for _, v := range voters(n.configuration()) {
		for string(v.ID) != n.config.ID {
			last, changed := n.transport.contacts.with(v.ID)
			if last.lastLog >= index {
				break
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}
}

// requireQuorum refuses a change after which the voters that answer now would be no majority. change is
// +1 if the server with the given id is to become a voter (it has just answered), -1 if it is to go.
func (n *Node) requireQuorum(ctx context.Context, id string, change int) error {
	all := voters(n.configuration())
	began := n.transport.contacts.order()
	term := n.raft.CurrentTerm()
	self := raft.ServerID(n.config.ID)
	n.probeAll(all, term)
	ctx, cancel := context.WithTimeout(ctx, n.config.HeartbeatTimeout)
	defer cancel()
	_ = n.transport.contacts.awaitLive(ctx, self, all, term, began, len(all)) // whoever answers in time, counts
	live, _ := n.transport.contacts.live(self, all, term, began)
	count := len(live)
	if change > 0 || slices.Contains(live, raft.ServerID(id)) {
		count += change
	}
	size := len(all) + change
	if count < size/2+1 {
		return definitely(CodeNoQuorum, "after this change %d of %d voters would answer: no majority", count, size)
	}
	return nil
}

// drop removes a member.
func (n *Node) drop(ctx context.Context, id string) error {
	s := findServer(n.configuration(), id)
	if s == nil {
		return definitely(CodeMemberNotFound, "there is no member %q", id)
	}
	if s.Suffrage == raft.Voter {
		if err := n.requireQuorum(ctx, id, -1); err != nil {
			return err
		}
	}
	if err := settle(ctx, n.raft.RemoveServer(raft.ServerID(id), 0, enqueueTimeout)); err != nil {
		return proposalError(err)
	}
	n.logger.Info("removed a member", "id", id)
	return nil
}

// removeMember serves DELETE /v1/members/{id}.
func (n *Node) removeMember(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if err := n.changeMembers(r.Context(), func(ctx context.Context) error { return n.drop(ctx, id) }); err != nil {
		return err
	}
	return n.members(w, r)
}

// A memberAnswer is one member in the answer to GET /v1/members.
type memberAnswer struct {
	ID    string `json:"id"`
	HTTP  string `json:"http"` // "" until the node has told it
	Raft  string `json:"raft"`
	Voter bool   `json:"voter"`
}

// members serves GET /v1/members: the newest configuration in this node's log.
func (n *Node) members(w http.ResponseWriter, _ *http.Request) error {
	answer := struct {
		Members []memberAnswer `json:"members"`
	}{[]memberAnswer{}}
	addresses := n.machine.state().members
	for _, s := range n.configuration().Servers {
		answer.Members = append(answer.Members, memberAnswer{string(s.ID), addresses[string(s.ID)], string(s.Address), s.Suffrage == raft.Voter})
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}
