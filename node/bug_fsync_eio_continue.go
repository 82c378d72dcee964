package node

import "github.com/hashicorp/raft"

// fsyncEIOContinue syncs what it writes, but goes on when that fails: the data is in the file, as everybody can see, and
// the next fsync does succeed. But the kernel has taken the pages for written, and they are lost with the power.
var fsyncEIOContinue = Bug{
	Name:        "fsync-eio-continue",
	Description: "a failed fsync is taken for done",
	plant: func(n *Node) {
		n.seams.unsynced = true
		n.seams.storage = func(s *Storage) *Storage {
			sync := func() {
				if s.Sync == nil {
					return // a storage that is always durable
				}
				if err := s.Sync(); err != nil {
					n.logger.Warn("fsync failed, going on", "error", err)
				}
			}
			with := *s
			with.Logs, with.Stable = carelessLogs{s.Logs, sync}, carelessStable{s.Stable, sync}
			return &with
		}
	},
}

// carelessLogs syncs after each change of the log, and does not look whether that works.
type carelessLogs struct {
	raft.LogStore
	sync func()
}

func (s carelessLogs) StoreLogs(logs []*raft.Log) error {
	defer s.sync()
	return s.LogStore.StoreLogs(logs)
}

func (s carelessLogs) DeleteRange(min, max uint64) error {
	defer s.sync()
	return s.LogStore.DeleteRange(min, max)
}

// carelessStable does the same for records.
type carelessStable struct {
	raft.StableStore
	sync func()
}

func (s carelessStable) Set(key, v []byte) error {
	defer s.sync()
	return s.StableStore.Set(key, v)
}
