package node

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"github.com/hashicorp/raft"
)

// A memberRequest is the body of POST /v1/members: a node that is to be a member, or what has changed about one.
type memberRequest struct {
	ID      string `json:"id"`
	Raft    string `json:"raft"`              // IP:port
	HTTP    string `json:"http,omitempty"`    // likewise; told by the node itself when it starts, if missing here
	Voter   bool   `json:"voter"`             // false: it learns all that is written, and has no vote before it is promoted
	Cluster string `json:"cluster,omitempty"` // "": whatever cluster this is
}

// addMember serves POST /v1/members.
func (n *Node) addMember(w http.ResponseWriter, r *http.Request) error {
	var m memberRequest
	if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
		return definitely(CodeBadRequest, "the body is no JSON object with id, raft, http and voter: %v", err)
	}
	if err := n.join(r.Context(), m, "raft", "http"); err != nil {
		return err
	}
	return n.members(w, r)
}

// join makes a node a member, or brings what the cluster knows about it up to date. The names are those of the fields that hold the
// addresses, for messages.
func (n *Node) join(ctx context.Context, m memberRequest, raftField, httpField string) error {
	if !validID(m.ID) {
		return definitely(CodeBadRequest, "id: %q is not 1 to 64 characters of [A-Za-z0-9._-]", m.ID)
	}
	if err := validAddress(m.Raft); err != nil {
		return definitely(CodeBadRequest, "%s: %v", raftField, err)
	}
	if m.HTTP != "" {
		if err := validAddress(m.HTTP); err != nil {
			return definitely(CodeBadRequest, "%s: %v", httpField, err)
		}
	}
	if own := n.identity.cluster(); m.Cluster != "" && m.Cluster != own {
		return definitely(CodeClusterMismatch, "this is cluster %q, not %q", own, m.Cluster)
	}
	return n.changeMembers(ctx, func(ctx context.Context) error { return n.admit(ctx, m) })
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

// admit makes a node a member: it asks the node who it is, and adds it without a vote; a voter it then lets catch up, and gives it
// its vote. Nothing is changed before the node has answered for itself. The library would
// let a new server vote at once, and so lose the quorum if it does not exist or is far behind.
func (n *Node) admit(ctx context.Context, m memberRequest) error {
	known, err := n.inspect(ctx, m)
	if err != nil {
		return err
	}
	votes := known != nil && known.Suffrage == raft.Voter
	moved := known != nil && string(known.Address) != m.Raft
	if n.vouched() {
		m.Voter = true
	} else if !votes {
		if err := n.takeIn(ctx, m, known == nil || moved); err != nil {
			return err
		}
	}
	if m.Voter && !votes || votes && moved {
		if err := n.giveVote(ctx, m.ID, m.Raft); err != nil {
			return err
		}
	}
	if m.HTTP != "" && n.machine.state().members[m.ID] != m.HTTP {
		_, err = n.proposer.propose(ctx, command{op: opMember, key: m.ID, value: m.HTTP})
	}
	return err
}

// takeIn makes a node a learner, unless it is one already, and tells it so. One that is to vote must then catch up.
func (n *Node) takeIn(ctx context.Context, m memberRequest, add bool) error {
	if m.Voter {
		if err := n.requireQuorum(ctx, m.ID, +1); err != nil {
			return err
		}
	}
	if add {
		if err := settle(ctx, n.raft.AddNonvoter(raft.ServerID(m.ID), raft.ServerAddress(m.Raft), 0, enqueueTimeout)); err != nil {
			return proposalError(err)
		}
		n.logger.Info("learner", "id", m.ID, "raft", m.Raft)
	}
	if _, err := n.stream.ask(ctx, m.Raft, forAdmit); err != nil {
		return perhaps(CodeUnreachable, "%s was added without a vote, and then did not answer: %v", m.ID, err)
	}
	if !m.Voter {
		return nil
	}
	if err := n.awaitCaughtUp(ctx, raft.ServerID(m.ID)); err != nil {
		return perhaps(CodeTimeout, "%s has no vote yet, for it has not caught up: %v", m.ID, err)
	}
	return nil
}

// giveVote makes a server a voter at an address.
func (n *Node) giveVote(ctx context.Context, id, address string) error {
	promote := n.raft.AddVoter(raft.ServerID(id), raft.ServerAddress(address), 0, enqueueTimeout)
	if err := settle(ctx, promote); err != nil {
		return proposalError(err)
	}
	n.awaitEverywhere(ctx, promote.Index())
	n.logger.Info("member", "id", id, "raft", address)
	return nil
}

// vouched tells whether nodes that join are believed to have the whole log, which is a bug.
func (n *Node) vouched() bool { return n.seams.vouched != nil && n.seams.vouched() }

// inspect finds out whether the node may join under this id and address. It returns what the
// configuration already says of it, or nil if it must be added.
func (n *Node) inspect(ctx context.Context, m memberRequest) (*raft.Server, error) {
	answer, err := n.stream.ask(ctx, m.Raft, forProbe)
	switch {
	case errors.Is(err, errRefused):
		return nil, definitely(CodeClusterMismatch, "%v", err)
	case err != nil:
		return nil, definitely(CodeUnreachable, "no node answers at the raft address %s: %v", m.Raft, err)
	case answer.ID != m.ID:
		return nil, definitely(CodeIDTaken, "the node at %s is %q, not %q", m.Raft, answer.ID, m.ID)
	}
	configuration := n.configuration()
	for _, s := range configuration.Servers {
		if string(s.Address) == m.Raft && string(s.ID) != m.ID {
			return nil, definitely(CodeIDTaken, "the raft address %s belongs to %q; remove that member first", m.Raft, s.ID)
		}
	}
	known := findServer(configuration, m.ID)
	if known == nil {
		return nil, nil
	}
	if string(known.Address) != m.Raft {
		if other, err := n.stream.ask(ctx, string(known.Address), forProbe); err == nil && other.ID == m.ID {
			return nil, definitely(CodeIDTaken, "another node with the id %q runs at %s", m.ID, known.Address)
		}
	}
	if answer.Fresh && known.Suffrage == raft.Voter {
		// It lost its data, and with it votes and acknowledgements that the others rely on: as the voter
		// that it was, it could elect a second leader. It must begin anew.
		n.logger.Warn("a member comes back without its data", "id", m.ID)
		if err := n.drop(ctx, m.ID); err != nil {
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

// members serves GET /v1/members: the newest configuration in this node's log; or, if a linearizable answer is asked for, the one
// that certainly stands, which the leader tells.
func (n *Node) members(w http.ResponseWriter, r *http.Request) error {
	consistency, err := choice(r, "consistency", "stale", "linearizable")
	if err != nil {
		return err
	}
	if r.Method == http.MethodGet && consistency == "linearizable" {
		return n.onLeader(n.certainMembers)(w, r)
	}
	n.tellMembers(w, n.configuration())
	return nil
}

// certainMembers tells the newest configuration once everything that was in the log with it is committed.
func (n *Node) certainMembers(w http.ResponseWriter, r *http.Request) error {
	term := n.raft.CurrentTerm()
	newest := n.configuration()
	err := n.barrier(r.Context())
	if err == nil && n.raft.CurrentTerm() != term {
		err = definitely(CodeNotLeader, "this node led anew meanwhile, and the configuration may be another")
	}
	if err != nil {
		e := asError(err)
		e.Definite = true // a read that failed changed nothing
		return e
	}
	n.tellMembers(w, newest)
	return nil
}

// barrier returns once all that is in the leader's log now is committed.
func (n *Node) barrier(ctx context.Context) error {
	if err := settle(ctx, n.raft.Barrier(enqueueTimeout)); err != nil {
		return proposalError(err)
	}
	return nil
}

func (n *Node) tellMembers(w http.ResponseWriter, c raft.Configuration) {
	answer := struct {
		Members []memberAnswer `json:"members"`
	}{[]memberAnswer{}}
	addresses := n.machine.state().members
	for _, s := range c.Servers {
		answer.Members = append(answer.Members, memberAnswer{string(s.ID), addresses[string(s.ID)], string(s.Address), s.Suffrage == raft.Voter})
	}
	writeJSON(w, http.StatusOK, answer)
}
