package system

import (
	"context"
	"net/http"

	"rift/harness"
	"rift/harness/history"
)

// Snapshot asks a node to write a snapshot.
func (s Reference) Snapshot(ctx context.Context, n harness.Node) error {
	c := s.client(n, history.Test{})
	defer c.Close()
	_, err := c.do(ctx, http.MethodPost, "/v1/snapshot", nil, nil)
	return err
}

// Unfinished is the folder that raft's snapshot store writes into, until it is done and gives it its name.
func (Reference) Unfinished() string { return "snapshots/*.tmp" }
