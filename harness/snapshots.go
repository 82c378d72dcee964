package harness

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
)

// Snapshot has a node write a snapshot, if the system can be asked for one.
func (c *Cluster) Snapshot(ctx context.Context, node string) error {
	s, ok := c.system.(Snapshotter)
	if !ok {
		return fmt.Errorf("ask %s for a snapshot: system %s does not say how", node, c.system.Name())
	}
	n, known := c.node(node)
	if !known {
		return fmt.Errorf("node: %q given, which this cluster does not have", node)
	}
	return s.Snapshot(ctx, n)
}

// Unfinished is where a node's unfinished snapshots are, as this machine sees them: through the node's process, whatever is mounted for it.
func (c *Cluster) Unfinished(node string) (folder, pattern string, ok bool) {
	s, ok := c.system.(Snapshotter)
	n, known := c.node(node)
	if !ok || !known {
		return "", "", false
	}
	h, _ := c.Host(node)
	folder, pattern = path.Split(s.Unfinished())
	return filepath.Join(fmt.Sprintf("/proc/%d/root", h.PID), n.Data, folder), pattern, true
}
