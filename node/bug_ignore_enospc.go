package node

import (
	"errors"
	"syscall"

	"github.com/hashicorp/raft"
)

// ignoreENOSPC takes log entries for stored that found no space on the disk. They are in memory, and so the node
// acknowledges, counts towards quorums and answers as if all were well, until it is restarted.
var ignoreENOSPC = Bug{
	Name:        "ignore-enospc",
	Description: "a log write that finds the disk full is taken for done",
	plant: func(n *Node) {
		n.seams.storage = func(s *Storage) *Storage {
			with := *s
			with.Logs = heedlessLogs{s.Logs}
			return &with
		}
	},
}

// heedlessLogs swallows one error.
type heedlessLogs struct{ raft.LogStore }

func (s heedlessLogs) StoreLogs(logs []*raft.Log) error {
	if err := s.LogStore.StoreLogs(logs); !errors.Is(err, syscall.ENOSPC) {
		return err
	}
	return nil
}
