package node

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// errStalled is the error of a log write that took too long.
var errStalled = errors.New("the disk stalls")

// A logStore gives up a leader's write that the disk does not finish in time. A leader writes its own
// log on the library's main loop while other goroutines go on sending heartbeats: if its disk hangs, it
// keeps a leadership that it cannot use, and the whole cluster stands still (hashicorp/raft issues 503,
// 612, 614). The error makes it step down, and the others elect a leader whose disk works.
//
// Such a write may still reach the disk. Raft has been told that it failed, so it is undone before
// anything else is written: all other changes wait for that. (Left there, the entries would one day
// follow those of a newer term, and the node would vote as if its log were older than it is.) A crash
// before the undoing is harmless: the log then ends with entries that were written and never
// acknowledged.
//
// A follower's writes have no deadline: it holds up nobody, and the library does not survive a failed
// write that replaces entries which it has just deleted.
type logStore struct {
	raft.LogStore
	deadline time.Duration
	leads    func() bool // whether this node is the leader

	turn   chan struct{} // held, by sending, by whoever changes the log, until a late write is undone
	broken error         // set if a late write could not be undone: the store is useless from then on
}

func newLogStore(inner raft.LogStore, deadline time.Duration, leads func() bool) *logStore {
	return &logStore{LogStore: inner, deadline: deadline, leads: leads, turn: make(chan struct{}, 1)}
}

// StoreLog stores one entry.
func (s *logStore) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// StoreLogs stores consecutive entries behind the last one. On a leader it fails with errStalled after
// the deadline.
func (s *logStore) StoreLogs(logs []*raft.Log) error {
	late := time.NewTicker(s.deadline)
	defer late.Stop()
	for taken := false; !taken; {
		select {
		case s.turn <- struct{}{}:
			taken = true
		case <-late.C:
			if s.leads() {
				return fmt.Errorf("%w: an earlier write has not ended", errStalled)
			}
		}
	}
	var settled atomic.Bool // by whoever comes first: the write that ends, or the caller that gives up
	done := make(chan error, 1)
	go func() {
		defer func() { <-s.turn }()
		done <- s.store(logs, &settled)
	}()
	for {
		select {
		case err := <-done:
			return err
		case <-late.C:
			if s.leads() && settled.CompareAndSwap(false, true) {
				return fmt.Errorf("%w: no answer within %s", errStalled, s.deadline)
			}
		}
	}
}

// store writes the entries, and undoes that if the caller has given up.
func (s *logStore) store(logs []*raft.Log, settled *atomic.Bool) error {
	if s.broken != nil {
		return s.broken
	}
	err := s.LogStore.StoreLogs(logs)
	if settled.CompareAndSwap(false, true) || err != nil {
		return err
	}
	if err := s.LogStore.DeleteRange(logs[0].Index, logs[len(logs)-1].Index); err != nil {
		s.broken = fmt.Errorf("undo a write that the disk finished too late: %w", err)
	}
	return s.broken
}

// DeleteRange removes the entries from min to max, both included.
func (s *logStore) DeleteRange(min, max uint64) error {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	if s.broken != nil {
		return s.broken
	}
	return s.LogStore.DeleteRange(min, max)
}
