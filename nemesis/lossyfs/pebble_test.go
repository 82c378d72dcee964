package lossyfs

import (
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
)

// pebbleChild does what boltChild does, with a log-structured store whose memory is so small that it flushes and compacts all the time.
func pebbleChild(args []string) error {
	db, err := pebble.Open(args[0], &pebble.Options{
		MemTableSize: 16 << 10, L0CompactionThreshold: 2, FormatMajorVersion: pebble.FormatNewest, Logger: pebbleLog{slog.New(slog.NewTextHandler(io.Discard, nil))},
	})
	if err != nil {
		return err
	}
	last := uint64(0)
	all, err := db.NewIter(nil)
	if err != nil {
		return err
	}
	for ok := all.First(); ok; ok = all.Next() {
		last = binary.BigEndian.Uint64(all.Key())
		fmt.Println("has", last)
	}
	if err := all.Close(); err != nil {
		return err
	}
	if err := db.CheckLevels(nil); err != nil {
		return fmt.Errorf("check: %w", err)
	}
	fmt.Println("ready")
	value := make([]byte, 200)
	for last++; ; last += 3 {
		fmt.Println("puts", last+2)
		b := db.NewBatch()
		for i := range uint64(3) {
			if err := b.Set(binary.BigEndian.AppendUint64(nil, last+i), value, nil); err != nil {
				return err
			}
		}
		if err := b.Commit(pebble.Sync); err != nil {
			return err
		}
		fmt.Println("acked", last+2)
	}
}

// pebbleLog takes what Pebble says; all but its last words is discarded.
type pebbleLog struct{ *slog.Logger }

func (l pebbleLog) Infof(format string, args ...any)  { l.Info(fmt.Sprintf(format, args...)) }
func (l pebbleLog) Errorf(format string, args ...any) { l.Error(fmt.Sprintf(format, args...)) }

// Fatalf must not return.
func (l pebbleLog) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
