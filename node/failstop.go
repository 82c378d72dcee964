package node

import (
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"

	"github.com/hashicorp/raft"
)

// A failStop ends a node whose disk fails.
//
// After a failed fsync nobody knows what is on the disk, and asking again tells nothing: the kernel has marked
// the pages clean, so the next fsync succeeds without them (Rebello et al., Can Applications Recover from
// fsync Failures?, ATC 2020). After a failed write, a full disk's too, it is no better: the kernel may show the new
// content of a page to those who have mapped it although the disk has the old one. bbolt then takes a
// transaction for committed that is not, frees what it replaced, and destroys itself with one of the
// next (Rift found that with this very node). So the node ends at the first failure, and begins with what is
// on the disk when it is started again.
//
// Until it has ended it says nothing more: the call that failed does not return as long as anybody could hear
// of it. The library would go on, or panic.
type failStop struct {
	fail     func(error)
	running  atomic.Bool   // until then, errors keep the node from starting
	silenced chan struct{} // closed when nobody can hear of the node any more
	failed   atomic.Bool
}

// do carries out an access to the storage; what names it.
func (f *failStop) do(what string, access func() error) error {
	err := guarded(access)
	if err == nil || errors.Is(err, raft.ErrLogNotFound) || !f.running.Load() {
		return err
	}
	f.end(what, err)
	<-f.silenced
	return err
}

// end has the node end, because of an access that failed.
func (f *failStop) end(what string, err error) {
	f.failed.Store(true)
	f.fail(fmt.Errorf("%s: %w", what, err))
}

// strictLogs is a log store under fail-stop.
type strictLogs struct {
	raft.LogStore
	*failStop
}

// StoreLog stores one entry.
func (s strictLogs) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// StoreLogs stores consecutive entries.
func (s strictLogs) StoreLogs(logs []*raft.Log) error {
	what := fmt.Sprintf("write the log entries %d to %d", logs[0].Index, logs[len(logs)-1].Index)
	return s.do(what, func() error { return s.LogStore.StoreLogs(logs) })
}

// DeleteRange removes the entries from min to max, both included.
func (s strictLogs) DeleteRange(min, max uint64) error {
	return s.do(fmt.Sprintf("remove the log entries %d to %d", min, max), func() error { return s.LogStore.DeleteRange(min, max) })
}

// GetLog reads an entry.
func (s strictLogs) GetLog(index uint64, l *raft.Log) error {
	return s.do(fmt.Sprintf("read the log entry %d", index), func() error { return s.LogStore.GetLog(index, l) })
}

// strictStable is a stable store under fail-stop. Only writes are: it is read when the node starts.
type strictStable struct {
	raft.StableStore
	*failStop
}

// Set writes a record. It returns only if the record is stored, or nobody can hear of the node any more.
func (s strictStable) Set(key, v []byte) error {
	return s.stored(key, func() error { return s.StableStore.Set(key, v) })
}

// SetUint64 writes a number, like Set.
func (s strictStable) SetUint64(key []byte, v uint64) error {
	return s.stored(key, func() error { return s.StableStore.SetUint64(key, v) })
}

// stored hides the error of a node that nobody hears of any more: the library would panic.
func (s strictStable) stored(key []byte, write func() error) error {
	err := s.do(fmt.Sprintf("write the record %q", key), write)
	if s.running.Load() {
		return nil
	}
	return err
}

// strictSnapshots is a snapshot store under fail-stop. A snapshot that cannot be written for want of space is only
// given up: the log is there as before.
type strictSnapshots struct {
	raft.SnapshotStore
	*failStop
}

// Create begins a snapshot.
func (s strictSnapshots) Create(version raft.SnapshotVersion, index, term uint64, c raft.Configuration, cIndex uint64, t raft.Transport) (raft.SnapshotSink, error) {
	sink, err := s.SnapshotStore.Create(version, index, term, c, cIndex, t)
	if err != nil {
		return nil, s.judge(err)
	}
	return strictSink{sink, s}, nil
}

func (s strictSnapshots) judge(err error) error {
	if err != nil && s.running.Load() && !errors.Is(err, syscall.ENOSPC) {
		s.end("write a snapshot", err)
	}
	return err
}

// A strictSink is a snapshot that is being written.
type strictSink struct {
	raft.SnapshotSink
	under strictSnapshots
}

// Write adds to the snapshot.
func (s strictSink) Write(b []byte) (int, error) {
	n, err := s.SnapshotSink.Write(b)
	return n, s.under.judge(err)
}

// Close makes the snapshot durable.
func (s strictSink) Close() error { return s.under.judge(s.SnapshotSink.Close()) }
