//go:build !wasip1

package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// keptSnapshots is how many snapshots the data directory keeps.
const keptSnapshots = 2

// LocalHost is the machine that the process runs on: TCP, and bbolt files in the data directory.
func LocalHost() Host {
	var dialer net.Dialer
	return Host{
		Listen: func(address string) (net.Listener, error) { return net.Listen("tcp", address) },
		Dial: func(ctx context.Context, address string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", address)
		},
		OpenStorage: openBolt,
	}
}

// openBolt opens the data directory: raft.db holds the log, the term and the vote; snapshots/ the
// snapshots. The free list is not written to disk (it is rebuilt when the file is opened), which
// halves what a small write costs.
func openBolt(dir string, unsynced bool, logger *slog.Logger) (*Storage, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the data directory: %w", err)
	}
	path := filepath.Join(dir, "raft.db")
	options := *bbolt.DefaultOptions
	options.Timeout = 300 * time.Millisecond // for the lock on the file
	if err := walkBolt(path, options); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	options.NoFreelistSync = true
	options.FreelistType = bbolt.FreelistMapType
	options.NoGrowSync = unsynced
	store, err := raftboltdb.New(raftboltdb.Options{Path: path, BoltOptions: &options, NoSync: unsynced})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(dir, keptSnapshots, raftLogger{logger: logger.With("part", "snapshots")})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the snapshots in %s: %w", dir, err), store.Close())
	}
	s := &Storage{Logs: store, Stable: store, Snapshots: snapshots, Close: store.Close}
	if unsynced {
		s.Sync = store.Sync
	}
	return s, nil
}

// walkBolt reads every page in use, if the file exists. Opening it for writing does the same to find the
// free pages, but on a goroutine of bbolt's own, where a damaged page ends the process.
func walkBolt(path string, options bbolt.Options) error {
	if info, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil
	}
	options.ReadOnly = true
	db, err := bbolt.Open(path, 0o600, &options)
	if errors.Is(err, bolterrors.ErrTimeout) {
		return errors.New("another process uses this data directory")
	}
	if err != nil {
		return err
	}
	err = db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(_ []byte, b *bbolt.Bucket) error {
			return b.ForEach(func(_, _ []byte) error { return nil })
		})
	})
	return errors.Join(err, db.Close())
}
