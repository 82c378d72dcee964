package node

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/hashicorp/raft"
)

// A Status is the answer to GET /v1/status: what this node knows by itself, without asking anybody.
type Status struct {
	ID            string       `json:"id"`
	Cluster       string       `json:"cluster"`
	State         string       `json:"state"`  // leader, follower, candidate or shutdown
	Leader        StatusLeader `json:"leader"` // empty fields for what is unknown
	Term          uint64       `json:"term"`
	CommitIndex   uint64       `json:"commit_index"`
	AppliedIndex  uint64       `json:"applied_index"` // the last log entry that the state machine has seen
	LastLogIndex  uint64       `json:"last_log_index"`
	SnapshotIndex uint64       `json:"snapshot_index"`
	Revision      uint64       `json:"revision"`
	StateHash     string       `json:"state_hash"` // of all keys at Revision: equal on all healthy nodes at the same revision
	Voters        []string     `json:"voters"`
	Nonvoters     []string     `json:"nonvoters"`
	Bugs          []string     `json:"bugs"`
	Version       string       `json:"version"`
}

// A StatusLeader is the leader as a node knows it.
type StatusLeader struct {
	ID   string `json:"id"`
	HTTP string `json:"http"`
	Raft string `json:"raft"`
}

// currentStatus gathers a Status without waiting for anything.
func (n *Node) currentStatus() Status {
	s, leader := n.machine.state(), n.leader()
	snapshot, _ := strconv.ParseUint(n.raft.Stats()["last_snapshot_index"], 10, 64)
	status := Status{
		ID: n.config.ID, Cluster: n.identity.cluster(),
		State:  strings.ToLower(n.raft.State().String()),
		Leader: StatusLeader{leader.ID, leader.HTTP, leader.Raft},
		Term:   n.raft.CurrentTerm(), CommitIndex: n.raft.CommitIndex(), AppliedIndex: s.index,
		LastLogIndex: n.raft.LastIndex(), SnapshotIndex: snapshot,
		Revision: s.revision, StateHash: fmt.Sprintf("%016x", s.hash),
		Voters: []string{}, Nonvoters: []string{}, Bugs: append([]string{}, n.config.Bugs...), Version: n.config.Version,
	}
	for _, server := range n.configuration().Servers {
		if server.Suffrage == raft.Voter {
			status.Voters = append(status.Voters, string(server.ID))
		} else {
			status.Nonvoters = append(status.Nonvoters, string(server.ID))
		}
	}
	return status
}

// status serves GET /v1/status.
func (n *Node) status(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, n.currentStatus())
	return nil
}

// healthy serves GET /healthz: the process answers.
func (n *Node) healthy(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	return nil
}

// ready serves GET /readyz: whether this node can serve reads and writes now, and why not.
func (n *Node) ready(w http.ResponseWriter, _ *http.Request) error {
	leader := n.leader()
	switch {
	case n.draining.Load():
		return definitely(CodeShuttingDown, "the node is shutting down")
	case !n.registered():
		return definitely(CodeNoLeader, "this node is not yet, or does not yet know that it is, a member of the cluster")
	case leader.ID == "":
		return definitely(CodeNoLeader, "no leader is known")
	case leader.HTTP == "":
		return definitely(CodeNoLeader, "the HTTP address of the leader %s is not known yet", leader.ID)
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
	return nil
}

// serveReadIndex serves POST /v1/readindex, for followers only: it never asks another node.
func (n *Node) serveReadIndex(w http.ResponseWriter, r *http.Request) error {
	index, err := n.confirmed.get(r.Context())
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, readIndexAnswer{index})
	return nil
}

// transferLeadership serves POST /v1/leader/transfer?to=ID.
func (n *Node) transferLeadership(w http.ResponseWriter, r *http.Request) error {
	if err := n.transfer(r.Context(), r.URL.Query().Get("to")); err != nil {
		return err
	}
	for changed := n.leadership.changed(); n.leader().HTTP == ""; changed = n.leadership.changed() {
		select {
		case <-changed: // the new leader has been heard of
		case <-r.Context().Done():
			return perhaps(CodeTimeout, "the leadership was handed over, but no new leader has been heard of")
		}
	}
	return n.status(w, r)
}

// forceSnapshot serves POST /v1/snapshot: this node writes a snapshot now.
func (n *Node) forceSnapshot(w http.ResponseWriter, r *http.Request) error {
	if err := settle(r.Context(), n.raft.Snapshot()); err != nil && err != raft.ErrNothingNewToSnapshot {
		return perhaps(CodeStorage, "take a snapshot: %v", err)
	}
	return n.status(w, r)
}
