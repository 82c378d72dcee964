package node

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/hashicorp/raft"
)

const (
	firstRegisterPause = 50 * time.Millisecond
	lastRegisterPause  = 2 * time.Second
	joinTimeout        = 30 * time.Second // for one attempt: the node may have much to catch up with
)

// register makes the cluster know this node, and where it serves HTTP, and then ends. A new node asks
// the addresses of -join; a node that the cluster knows asks the leader, if anything has changed. It
// tries until it succeeds, or until the cluster definitely refuses, with growing pauses.
func (n *Node) register(ctx context.Context) {
	pause := firstRegisterPause
	for !n.registered() {
		if refused := n.tryRegister(ctx); refused != nil {
			n.fail(refused)
			return
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		pause = min(2*pause, lastRegisterPause)
	}
	n.logger.Info("registered", "cluster", n.identity.cluster())
}

// registered tells whether this node's own replicated state shows it as a voter, or at least as the learner that it is to be, with
// its addresses.
func (n *Node) registered() bool {
	s := findServer(n.configuration(), n.config.ID)
	return s != nil && (s.Suffrage == raft.Voter || n.config.Learner) && string(s.Address) == n.config.RaftAddr &&
		n.machine.state().members[n.config.ID] == n.config.HTTPAddr
}

// tryRegister asks the leader, or else each address of -join, once. It returns an error only if trying
// again is pointless.
func (n *Node) tryRegister(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	leader := n.leader()
	if leader.ID == n.config.ID {
		return nil // taking office registers a leader
	}
	targets := n.config.Join
	if leader.HTTP != "" {
		targets = append([]string{leader.HTTP}, targets...)
	}
	self := memberRequest{ID: n.config.ID, Raft: n.config.RaftAddr, HTTP: n.config.HTTPAddr, Voter: !n.config.Learner, Cluster: n.identity.cluster()}
	for _, target := range targets {
		err := n.peers.call(ctx, http.MethodPost, target, "/v1/members?timeout="+joinTimeout.String(), self, nil)
		var e *Error
		switch {
		case err == nil:
			return nil
		case errors.As(err, &e) && e.Definite && (e.Code == CodeClusterMismatch || e.Code == CodeIDTaken || e.Code == CodeBadRequest):
			return fmt.Errorf("join: %s refuses: %w", target, e)
		case ctx.Err() != nil:
			return nil
		}
		n.logger.Info("could not join yet", "at", target, "reason", err)
	}
	return nil
}
