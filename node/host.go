package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"github.com/hashicorp/raft"
)

// A Host is all that a node needs of the machine it runs on, besides Go's own time, randomness and
// files. LocalHost is the real one; a simulation brings its own.
type Host struct {
	// Listen opens a TCP listener at an address of the form IP:port.
	Listen func(address string) (net.Listener, error)
	// Dial connects to an address of the form IP:port.
	Dial func(ctx context.Context, address string) (net.Conn, error)
	// OpenStorage opens, or creates, what a node keeps in its data directory. What is written is durable when the call
	// returns; unsynced, which only bugs ask for, it is after the next Sync.
	OpenStorage func(dir string, unsynced bool, logger *slog.Logger) (*Storage, error)
}

// A Storage is what a node keeps: raft's log, its term and vote, and its snapshots.
type Storage struct {
	Logs      raft.LogStore
	Stable    raft.StableStore
	Snapshots raft.SnapshotStore
	Sync      func() error // nil where the storage was not opened unsynced
	Close     func() error
}

// memoryStorage keeps everything in memory, and forgets it when the process ends.
func memoryStorage() *Storage {
	store := raft.NewInmemStore()
	return &Storage{Logs: store, Stable: store, Snapshots: raft.NewInmemSnapshotStore(), Close: func() error { return nil }}
}

// check reads the whole log and all snapshots once, so that damage is found while it can still be reported.
func (s *Storage) check() error {
	first, err := s.Logs.FirstIndex()
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	last, err := s.Logs.LastIndex()
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	for i := first; i != 0 && i <= last; i++ {
		var l raft.Log
		if err := s.Logs.GetLog(i, &l); errors.Is(err, raft.ErrLogNotFound) {
			continue // an installed snapshot leaves a gap
		} else if err != nil {
			return fmt.Errorf("read log entry %d: %w", i, err)
		}
	}
	return s.checkSnapshots(first)
}

// checkSnapshots looks for a snapshot that is whole, unless there is none or the log, whose first entry is given, has
// everything.
func (s *Storage) checkSnapshots(first uint64) error {
	all, err := s.Snapshots.List()
	if err != nil {
		return fmt.Errorf("list the snapshots: %w", err)
	}
	var damage []error
	for _, m := range all {
		_, content, err := s.Snapshots.Open(m.ID)
		if err == nil {
			return content.Close()
		}
		damage = append(damage, fmt.Errorf("snapshot %s: %w", m.ID, err))
	}
	if first == 1 {
		return nil
	}
	return errors.Join(damage...)
}
