package node

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/cespare/xxhash/v2"
	"github.com/hashicorp/raft"
)

// errDamaged is the error of what was read and is not what was written.
var errDamaged = errors.New("damaged: its checksum does not fit")

// sumSize is the length of a checksum, in bytes.
const sumSize = 8

// appendSum appends the xxHash64 of the parts to b.
func appendSum(b []byte, parts ...[]byte) []byte {
	d := xxhash.New()
	var length [8]byte
	for _, p := range parts {
		binary.BigEndian.PutUint64(length[:], uint64(len(p)))
		d.Write(length[:])
		d.Write(p)
	}
	return binary.BigEndian.AppendUint64(b, d.Sum64())
}

// checkedLogs keeps a checksum with every log entry, in the field that the library leaves to such layers. bbolt has
// none for its pages: a bit that flips on the disk would change what a replica applies, and nobody would know.
type checkedLogs struct{ raft.LogStore }

// StoreLog stores one entry.
func (s checkedLogs) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// StoreLogs stores consecutive entries.
func (s checkedLogs) StoreLogs(logs []*raft.Log) error {
	summed := make([]*raft.Log, len(logs))
	for i, l := range logs {
		with := *l
		with.Extensions = sumOfLog(l)
		summed[i] = &with
	}
	return s.LogStore.StoreLogs(summed)
}

// GetLog reads an entry. It fails with errDamaged if that is not what was stored.
func (s checkedLogs) GetLog(index uint64, l *raft.Log) error {
	if err := s.LogStore.GetLog(index, l); err != nil {
		return err
	}
	if l.Index != index {
		return fmt.Errorf("log entry %d says that it is entry %d", index, l.Index)
	}
	if string(l.Extensions) != string(sumOfLog(l)) {
		return fmt.Errorf("log entry %d is %w", index, errDamaged)
	}
	l.Extensions = nil
	return nil
}

func sumOfLog(l *raft.Log) []byte {
	head := append(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, l.Index), l.Term), byte(l.Type))
	return appendSum(nil, head, l.Data)
}

// soundSnapshots does not list snapshots that are damaged: a node starts from an older one then, or from the log alone, and sends
// no other to its followers. Each list reads every snapshot.
type soundSnapshots struct {
	raft.SnapshotStore
	logger *slog.Logger
}

// List returns those that are whole, the newest first.
func (s soundSnapshots) List() ([]*raft.SnapshotMeta, error) {
	all, err := s.SnapshotStore.List()
	return slices.DeleteFunc(all, func(m *raft.SnapshotMeta) bool {
		_, content, err := s.Open(m.ID)
		if err != nil {
			s.logger.Error("a snapshot is damaged, and is left alone", "snapshot", m.ID, "error", err)
			return true
		}
		content.Close() // it was only read
		return false
	}), err
}

// checkedStable keeps a checksum with every record: the term, the vote, the cluster's id.
type checkedStable struct{ raft.StableStore }

// Set writes a record.
func (s checkedStable) Set(key, v []byte) error {
	return s.StableStore.Set(key, appendSum(append([]byte{}, v...), key, v))
}

// Get reads a record. It fails with errDamaged if that is not what was written.
func (s checkedStable) Get(key []byte) ([]byte, error) {
	record, err := s.StableStore.Get(key)
	if err != nil {
		return nil, err
	}
	n := len(record) - sumSize
	if n < 0 || string(record[n:]) != string(appendSum(nil, key, record[:n])) {
		return nil, fmt.Errorf("the record %q is %w", key, errDamaged)
	}
	return record[:n], nil
}

// SetUint64 writes a number.
func (s checkedStable) SetUint64(key []byte, v uint64) error {
	return s.Set(key, binary.BigEndian.AppendUint64(nil, v))
}

// GetUint64 reads a number.
func (s checkedStable) GetUint64(key []byte) (uint64, error) {
	v, err := s.Get(key)
	if err != nil {
		return 0, err
	}
	if len(v) != 8 {
		return 0, fmt.Errorf("the record %q is no number: %d bytes", key, len(v))
	}
	return binary.BigEndian.Uint64(v), nil
}
