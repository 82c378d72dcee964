package guest

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/raft"
)

// Log is raft's log, and its term and vote, in one file that is only appended to: raft.LogStore and raft.StableStore. The library's usual
// stores map files into memory, which WebAssembly cannot. Every change is on disk (fsync) when the call returns, unless the log
// was opened unsynced: then it is after the next Sync.
//
// A record is its length, its CRC-32C, and its body: an entry, the removal of a range, or a key with its value. What follows the first record that is damaged
// was never acknowledged, and is cut off when the file is opened.
type Log struct {
	file        *os.File
	unsynced    bool
	size        int64 // of the file
	cut         int64 // bytes that were cut off when it was opened
	first, last uint64
	entries     map[uint64]*raft.Log
	values      map[string][]byte
}

// What a record is.
const (
	recordEntry  = 'e'
	recordRemove = 'x'
	recordValue  = 'v'
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// OpenLog opens, or makes, the log in a folder. Only a program with a bug on purpose wants it unsynced.
func OpenLog(dir string, unsynced bool) (*Log, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	path := filepath.Join(dir, "raft.log")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	l := &Log{file: file, unsynced: unsynced, entries: make(map[uint64]*raft.Log), values: make(map[string][]byte)}
	if err := l.read(); err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", path, err), file.Close())
	}
	return l, nil
}

// Cut is how many bytes of damaged records were cut off when the log was opened.
func (l *Log) Cut() int64 { return l.cut }

// read takes in all records that are whole, and cuts off what follows.
func (l *Log) read() error {
	in := bufio.NewReader(l.file)
	var header [8]byte
	for {
		if _, err := io.ReadFull(in, header[:]); err != nil {
			break
		}
		body := make([]byte, min(binary.LittleEndian.Uint32(header[:]), 1<<26))
		if _, err := io.ReadFull(in, body); err != nil || crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(header[4:]) {
			break
		}
		if err := l.take(body); err != nil {
			return err
		}
		l.size += int64(len(header) + len(body))
	}
	found, err := l.file.Stat()
	if err != nil {
		return err
	}
	l.cut = found.Size() - l.size
	if err := l.file.Truncate(l.size); err != nil {
		return err
	}
	if _, err := l.file.Seek(l.size, io.SeekStart); err != nil {
		return err
	}
	return l.file.Sync()
}

// take carries a record out.
func (l *Log) take(body []byte) error {
	kind, rest := body[0], body[1:]
	switch kind {
	case recordEntry:
		e := &raft.Log{
			Index: binary.LittleEndian.Uint64(rest), Term: binary.LittleEndian.Uint64(rest[8:]), Type: raft.LogType(rest[16]),
			AppendedAt: time.Unix(0, int64(binary.LittleEndian.Uint64(rest[17:]))),
		}
		data := int(binary.LittleEndian.Uint32(rest[25:]))
		e.Data, e.Extensions = rest[29:29+data], rest[29+data:]
		l.insert(e)
	case recordRemove:
		l.remove(binary.LittleEndian.Uint64(rest), binary.LittleEndian.Uint64(rest[8:]))
	case recordValue:
		key := int(binary.LittleEndian.Uint32(rest))
		l.values[string(rest[4:4+key])] = rest[4+key:]
	default:
		return fmt.Errorf("a record of kind %q, which this program does not know", kind)
	}
	return nil
}

func (l *Log) insert(e *raft.Log) {
	l.entries[e.Index] = e
	if l.first == 0 || e.Index < l.first {
		l.first = e.Index
	}
	l.last = max(l.last, e.Index)
}

func (l *Log) remove(least, most uint64) {
	for i := max(least, l.first); i <= min(most, l.last); i++ {
		delete(l.entries, i)
	}
	switch {
	case least <= l.first && most >= l.last:
		l.first, l.last = 0, 0
	case least <= l.first:
		l.first = max(l.first, most+1)
	case most >= l.last:
		l.last = min(l.last, least-1)
	}
}

// write appends records, and returns when they are on disk.
func (l *Log) write(bodies ...[]byte) error {
	var b []byte
	for _, body := range bodies {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(body)))
		b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(body, castagnoli))
		b = append(b, body...)
	}
	n, err := l.file.WriteAt(b, l.size)
	if err == nil && !l.unsynced {
		err = l.file.Sync()
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %d bytes to the log: %w", n, err), l.file.Truncate(l.size))
	}
	l.size += int64(len(b))
	return nil
}

// Sync puts on disk what was written so far.
func (l *Log) Sync() error { return l.file.Sync() }

// FirstIndex is the first entry's index; 0 if there is none.
func (l *Log) FirstIndex() (uint64, error) { return l.first, nil }

// LastIndex is the last entry's index; 0 if there is none.
func (l *Log) LastIndex() (uint64, error) { return l.last, nil }

// GetLog gives an entry, or raft.ErrLogNotFound.
func (l *Log) GetLog(index uint64, to *raft.Log) error {
	e := l.entries[index]
	if e == nil {
		return raft.ErrLogNotFound
	}
	*to = *e
	return nil
}

// StoreLog stores one entry.
func (l *Log) StoreLog(e *raft.Log) error { return l.StoreLogs([]*raft.Log{e}) }

// StoreLogs stores entries.
func (l *Log) StoreLogs(entries []*raft.Log) error {
	var bodies [][]byte
	for _, e := range entries {
		b := []byte{recordEntry}
		b = binary.LittleEndian.AppendUint64(b, e.Index)
		b = binary.LittleEndian.AppendUint64(b, e.Term)
		b = append(b, byte(e.Type))
		b = binary.LittleEndian.AppendUint64(b, uint64(e.AppendedAt.UnixNano()))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(e.Data)))
		bodies = append(bodies, append(append(b, e.Data...), e.Extensions...))
	}
	if err := l.write(bodies...); err != nil {
		return err
	}
	for _, e := range entries {
		kept := *e
		l.insert(&kept)
	}
	return nil
}

// DeleteRange removes the entries from least to most, both included.
func (l *Log) DeleteRange(least, most uint64) error {
	b := binary.LittleEndian.AppendUint64([]byte{recordRemove}, least)
	if err := l.write(binary.LittleEndian.AppendUint64(b, most)); err != nil {
		return err
	}
	l.remove(least, most)
	return nil
}

// errNotFound has the text by which the library knows a key that is not there.
var errNotFound = errors.New("not found")

// Set stores a value.
func (l *Log) Set(key, value []byte) error {
	b := binary.LittleEndian.AppendUint32([]byte{recordValue}, uint32(len(key)))
	if err := l.write(append(append(b, key...), value...)); err != nil {
		return err
	}
	l.values[string(key)] = append([]byte{}, value...)
	return nil
}

// Get gives a value.
func (l *Log) Get(key []byte) ([]byte, error) {
	v, ok := l.values[string(key)]
	if !ok {
		return nil, errNotFound
	}
	return v, nil
}

// SetUint64 stores a number.
func (l *Log) SetUint64(key []byte, value uint64) error {
	return l.Set(key, binary.LittleEndian.AppendUint64(nil, value))
}

// GetUint64 gives a number; 0 if there is none.
func (l *Log) GetUint64(key []byte) (uint64, error) {
	v, err := l.Get(key)
	if err != nil || len(v) != 8 {
		return 0, err
	}
	return binary.LittleEndian.Uint64(v), nil
}

// Close closes the file.
func (l *Log) Close() error { return l.file.Close() }
