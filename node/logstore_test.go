package node

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// A stallingStore holds each write back until it is let go.
type stallingStore struct {
	raft.LogStore
	release chan struct{}
}

func (s *stallingStore) StoreLogs(logs []*raft.Log) error {
	<-s.release
	return s.LogStore.StoreLogs(logs)
}

func logsOf(indexes ...uint64) (logs []*raft.Log) {
	for _, i := range indexes {
		logs = append(logs, &raft.Log{Index: i, Term: 1})
	}
	return logs
}

// A write that the disk finishes too late has failed as far as raft knows: it must leave no trace, and
// nothing else may be written before it is gone.
func TestALateWriteIsUndone(t *testing.T) {
	var leader atomic.Bool
	disk := raft.NewInmemStore()
	stalling := &stallingStore{disk, make(chan struct{}, 10)}
	s := newLogStore(stalling, 20*time.Millisecond, leader.Load)
	leader.Store(true)
	if err := s.StoreLogs(logsOf(1, 2, 3)); !errors.Is(err, errStalled) {
		t.Fatalf("a stalled write ended with %v", err)
	}
	if err := s.StoreLogs(logsOf(4)); !errors.Is(err, errStalled) {
		t.Fatalf("a write behind a stalled one ended with %v", err)
	}
	next := make(chan error, 1)
	go func() { next <- s.DeleteRange(1, 3) }()
	select {
	case <-next:
		t.Fatal("something was written while a write was late")
	case <-time.After(20 * time.Millisecond): // it can only be wrong in the harmless direction
	}
	stalling.release <- struct{}{}
	if err := <-next; err != nil {
		t.Fatal(err)
	}
	if last, err := disk.LastIndex(); last != 0 || err != nil {
		t.Errorf("the last entry is %d, %v: the late write was not undone", last, err)
	}
	leader.Store(false)
	time.AfterFunc(2*s.deadline, func() { stalling.release <- struct{}{} })
	if err := s.StoreLogs(logsOf(1)); err != nil {
		t.Fatalf("a follower's write ended with %v", err)
	}
	if last, err := s.LastIndex(); last != 1 || err != nil {
		t.Errorf("the last entry is %d, %v", last, err)
	}
}

// A brokenStore cannot delete.
type brokenStore struct{ *stallingStore }

func (brokenStore) DeleteRange(_, _ uint64) error { return errPowerCut }

func TestAStoreThatCannotUndoIsUseless(t *testing.T) {
	stalling := &stallingStore{raft.NewInmemStore(), make(chan struct{}, 10)}
	s := newLogStore(brokenStore{stalling}, time.Millisecond, func() bool { return true })
	if err := s.StoreLog(logsOf(1)[0]); !errors.Is(err, errStalled) {
		t.Fatalf("a stalled write ended with %v", err)
	}
	stalling.release <- struct{}{}
	if err := s.DeleteRange(1, 1); !errors.Is(err, errPowerCut) {
		t.Errorf("got %v", err)
	}
	if err := s.StoreLogs(logsOf(1)); !errors.Is(err, errPowerCut) {
		t.Errorf("got %v", err)
	}
}
