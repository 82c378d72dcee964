package node

import (
	"fmt"
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// keyCluster is where the stable store keeps the cluster's id.
const keyCluster = "rift/cluster"

// An identity is who a node is: its own id, and the id of the cluster that it belongs to. The latter is
// replicated state, but a node must know it before it has any: so it is kept beside the log as well.
type identity struct {
	id     string
	name   atomic.Pointer[string]
	stable raft.StableStore
}

// loadIdentity reads the cluster's id from the stable store. configured, if not empty, must be the same.
func loadIdentity(id, configured string, stable raft.StableStore) (*identity, error) {
	known, err := stable.Get([]byte(keyCluster))
	if err != nil && err.Error() != "not found" {
		return nil, fmt.Errorf("read the cluster id: %w", err)
	}
	if len(known) > 0 && configured != "" && string(known) != configured {
		return nil, fmt.Errorf("the data directory belongs to cluster %q, not to %q as --cluster-id says", known, configured)
	}
	i := &identity{id: id, stable: stable}
	name := configured
	if len(known) > 0 {
		name = string(known)
	}
	i.name.Store(&name)
	return i, nil
}

// cluster returns the cluster's id, or "" as long as it is unknown.
func (i *identity) cluster() string { return *i.name.Load() }

// learn notes the cluster's id as the replicated log has it. It fails if the node knew another one.
func (i *identity) learn(cluster string) error {
	if known := i.cluster(); known != "" && known != cluster {
		return fmt.Errorf("the replicated log is of cluster %q, this node is of %q", cluster, known)
	}
	if err := i.stable.Set([]byte(keyCluster), []byte(cluster)); err != nil {
		return fmt.Errorf("keep the cluster id: %w", err)
	}
	i.name.Store(&cluster)
	return nil
}
