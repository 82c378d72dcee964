package node

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/hashicorp/raft"
)

// snapshotMagic opens every snapshot; its last character is the version of the format.
const snapshotMagic = "riftsnap1"

// maxField bounds a length read from a snapshot, so that damage cannot make the reader allocate the
// machine's whole memory. Keys and values are far smaller (see maxKey, maxValue).
const maxField = 16 << 20

// A keyed is a key with its item.
type keyed struct {
	key string
	item
}

// A snapshot is an immutable state on its way to disk (raft.FSMSnapshot).
type snapshot struct {
	*state
	trace *tracer
}

// Persist streams the state: magic, index, revision, cluster id, members, then the number of keys and
// each key with its value and revision, in the order of the keys. All numbers are unsigned varints, all
// strings are prefixed with their length. Raft's snapshot store adds a checksum.
func (s snapshot) Persist(sink raft.SnapshotSink) error {
	s.trace.snapshot("snapshot", s.state)
	w := bufio.NewWriterSize(sink, 64<<10)
	if err := s.write(w); err != nil {
		return errors.Join(fmt.Errorf("write snapshot: %w", err), sink.Cancel())
	}
	defer s.trace.snapshot("snapshot-end", s.state)
	return sink.Close()
}

// Release does nothing: the garbage collector does.
func (snapshot) Release() {}

func (s snapshot) write(w *bufio.Writer) error {
	var scratch []byte
	number := func(v uint64) {
		scratch = binary.AppendUvarint(scratch[:0], v)
		w.Write(scratch)
	}
	text := func(v string) {
		number(uint64(len(v)))
		w.WriteString(v)
	}
	w.WriteString(snapshotMagic)
	number(s.index)
	number(s.revision)
	text(s.cluster)
	number(uint64(len(s.members)))
	for _, id := range slices.Sorted(maps.Keys(s.members)) {
		text(id)
		text(s.members[id])
	}
	number(uint64(s.keys.Len()))
	s.keys.Root().Walk(func(key []byte, v any) bool {
		it := v.(item)
		number(uint64(len(key)))
		w.Write(key)
		text(it.value)
		number(it.revision)
		return false
	})
	return w.Flush() // a bufio.Writer remembers its first error
}

// readSnapshot is the inverse of Persist. The keys pass through distort, if there is one, before they
// become the state; that is a bug's seam.
func readSnapshot(source io.Reader, distort func([]keyed) []keyed) (*state, error) {
	r := &snapshotReader{Reader: bufio.NewReaderSize(source, 64<<10)}
	if magic := r.bytes(uint64(len(snapshotMagic))); string(magic) != snapshotMagic {
		return nil, fmt.Errorf("not a snapshot of this program, or of another version: it begins with %q", magic)
	}
	s := newState()
	s.index = r.number()
	s.revision = r.number()
	s.cluster = r.text()
	for n := r.number(); n > 0 && r.err == nil; n-- {
		id := r.text()
		s.members[id] = r.text()
	}
	var items []keyed
	for n := r.number(); n > 0 && r.err == nil; n-- {
		items = append(items, keyed{r.text(), item{r.text(), r.number()}})
	}
	if r.err != nil {
		return nil, fmt.Errorf("read snapshot: %w", r.err)
	}
	if distort != nil {
		items = distort(items)
	}
	keys := s.keys.Txn()
	for _, k := range items {
		keys.Insert([]byte(k.key), k.item)
		s.hash += hashItem(k.key, k.item)
	}
	s.keys = keys.Commit()
	return s, nil
}

// A snapshotReader remembers its first error, so that callers check once.
type snapshotReader struct {
	*bufio.Reader
	err error
}

func (r *snapshotReader) number() uint64 {
	if r.err != nil {
		return 0
	}
	v, err := binary.ReadUvarint(r.Reader)
	r.err = err
	return v
}

func (r *snapshotReader) text() string { return string(r.bytes(r.number())) }

func (r *snapshotReader) bytes(n uint64) []byte {
	if r.err == nil && n > maxField {
		r.err = fmt.Errorf("a field of %d bytes: damaged", n)
	}
	if r.err != nil {
		return nil
	}
	b := make([]byte, n)
	_, r.err = io.ReadFull(r.Reader, b)
	return b
}
