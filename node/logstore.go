package node

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// errStalled is the error of a log write that took too long.
var errStalled = errors.New("the disk stalls")

// A logStore gives up a write that the disk does not finish in time. A leader writes its own log on the
// library's main loop while other goroutines go on sending heartbeats: if its disk hangs, it keeps a
// leadership that it cannot use, and the whole cluster stands still (hashicorp/raft issues 503, 612,
// 614). The error makes it step down, and the others elect a leader whose disk works.
//
// Such a write may still reach the disk. Raft has been told that it failed, so it is undone before
// anything else is written: all other changes wait for that. (Left there, the entries
// would one day follow those of a newer term, and the node would vote as if its log were older than
// it is.) A crash before the undoing is harmless: the log then ends with entries that were written
// and never acknowledged.
type logStore struct {
	raft.LogStore
	deadline time.Duration

	mu     sync.Mutex // held by whoever changes the log, until a late write is undone
	broken error      // set if a late write could not be undone: the store is useless from then on
}

// StoreLog stores one entry.
func (s *logStore) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// StoreLogs stores consecutive entries behind the last one, or fails with errStalled after the deadline.
func (s *logStore) StoreLogs(logs []*raft.Log) error {
	s.mu.Lock()
	if s.broken != nil {
		defer s.mu.Unlock()
		return s.broken
	}
	var decide sync.Mutex
	var late, finished bool
	done := make(chan error, 1)
	go func() {
		defer s.mu.Unlock()
		err := s.LogStore.StoreLogs(logs)
		decide.Lock()
		finished = true
		undo := late && err == nil && len(logs) > 0
		decide.Unlock()
		if undo {
			if err := s.LogStore.DeleteRange(logs[0].Index, logs[len(logs)-1].Index); err != nil {
				s.broken = fmt.Errorf("undo a write that the disk finished too late: %w", err)
			}
		}
		done <- err
	}()
	timer := time.NewTimer(s.deadline)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
	}
	decide.Lock()
	late = !finished
	decide.Unlock()
	if late {
		return fmt.Errorf("store log entries: %w: no answer within %s", errStalled, s.deadline)
	}
	return <-done
}

// DeleteRange removes the entries from min to max, both included.
func (s *logStore) DeleteRange(min, max uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return s.broken
	}
	return s.LogStore.DeleteRange(min, max)
}
