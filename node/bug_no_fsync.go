package node

import (
	"context"
	"time"
)

// noFsync syncs the log, the term and the vote once a second, and acknowledges at once. Nothing is lost when the process
// dies; but when the power fails, the last second is, of all nodes at the same time.
var noFsync = Bug{
	Name:        "no-fsync",
	Description: "writes are acknowledged before the log is durable",
	plant: func(n *Node) {
		sync := func() error { return nil } // a storage that is always durable
		n.seams.unsynced = true
		n.seams.storage = func(s *Storage) *Storage {
			if s.Sync != nil {
				sync = s.Sync
			}
			return s
		}
		n.seams.background = func(ctx context.Context) {
			for tick := time.NewTicker(time.Second); ; {
				select {
				case <-tick.C:
					if err := sync(); err != nil {
						n.fail(err)
					}
				case <-ctx.Done():
					tick.Stop()
					return
				}
			}
		}
	},
}
