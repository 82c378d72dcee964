package node

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/hashicorp/raft"
)

// tornSnapshot looks at no checksum of a snapshot, and takes what it can read of one that is torn for all of it.
var tornSnapshot = Bug{
	Name:        "torn-snapshot",
	Description: "a snapshot is restored whatever its checksum says",
	plant: func(n *Node) {
		n.machine.restoring.trusting = true
		n.seams.storage = func(s *Storage) *Storage {
			with := *s
			with.Snapshots = trustingSnapshots{s.Snapshots, filepath.Join(n.config.DataDir, "snapshots")}
			return &with
		}
	},
}

// trustingSnapshots opens snapshots that their store refuses.
type trustingSnapshots struct {
	raft.SnapshotStore
	dir string
}

func (s trustingSnapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	meta, content, err := s.SnapshotStore.Open(id)
	if err == nil {
		return meta, content, nil
	}
	all, listErr := s.List()
	i := slices.IndexFunc(all, func(m *raft.SnapshotMeta) bool { return m.ID == id })
	if listErr != nil || i < 0 {
		return nil, nil, errors.Join(err, listErr)
	}
	torn, openErr := os.Open(filepath.Join(s.dir, id, "state.bin"))
	if openErr != nil {
		return nil, nil, fmt.Errorf("%w; and as it is: %w", err, openErr)
	}
	return all[i], torn, nil
}
