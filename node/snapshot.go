package node

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/cespare/xxhash/v2"
	"github.com/hashicorp/raft"
)

// snapshotMagic opens every snapshot; its last character is the version of the format.
const snapshotMagic = "riftsnap2"

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

// Persist streams the state: magic, index, revision, replicated time, cluster id, members, then the number of
// keys and each key with its value, revision and expiry, in the order of the keys. All numbers are
// unsigned varints, all strings are prefixed with their length. The xxHash64 of all that, eight bytes, comes
// last: raft's snapshot store keeps a checksum of its own, but checks it only when it opens a snapshot,
// and not what it then reads and sends to others.
func (s snapshot) Persist(sink raft.SnapshotSink) error {
	s.trace.snapshot("snapshot", s.state)
	if err := s.write(sink); err != nil {
		return errors.Join(fmt.Errorf("write snapshot: %w", err), sink.Cancel())
	}
	defer s.trace.snapshot("snapshot-end", s.state)
	return sink.Close()
}

func (s snapshot) write(w io.Writer) error {
	sum := xxhash.New()
	if err := s.writeContent(bufio.NewWriterSize(io.MultiWriter(w, sum), 64<<10)); err != nil {
		return err
	}
	_, err := w.Write(binary.BigEndian.AppendUint64(nil, sum.Sum64()))
	return err
}

// Release does nothing: the garbage collector does.
func (snapshot) Release() {}

func (s snapshot) writeContent(w *bufio.Writer) error {
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
	number(s.clock)
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
		number(it.expires)
		return false
	})
	return w.Flush() // a bufio.Writer remembers its first error
}

// A restoring holds the seams of reading a snapshot; its zero value is a healthy node's.
type restoring struct {
	distort  func([]keyed) []keyed // the keys pass through it before they become the state
	trusting bool                  // the checksum is not looked at, and what can be read of a torn snapshot counts as all of it
}

// readSnapshot is the inverse of Persist. It answers nothing of a snapshot that is damaged.
func (how restoring) readSnapshot(source io.Reader) (*state, error) {
	r := newSnapshotReader(source)
	if magic := r.bytes(uint64(len(snapshotMagic))); string(magic) != snapshotMagic {
		return nil, fmt.Errorf("not a snapshot of this program, or of another version: it begins with %q", magic)
	}
	s := newState()
	s.index = r.number()
	s.revision = r.number()
	s.clock = r.number()
	s.cluster = r.text()
	for n := r.number(); n > 0 && r.err == nil; n-- {
		id := r.text()
		s.members[id] = r.text()
	}
	var items []keyed
	for n := r.number(); n > 0 && r.err == nil; n-- {
		if k := (keyed{r.text(), item{r.text(), r.number(), r.number()}}); r.err == nil {
			items = append(items, k)
		}
	}
	r.checksum()
	if r.err != nil && !how.trusting {
		return nil, fmt.Errorf("read snapshot: %w", r.err)
	}
	if how.distort != nil {
		items = how.distort(items)
	}
	t := s.transition()
	for _, k := range items {
		t.set(k.key, k.item)
	}
	return t.commit(), nil
}

// A snapshotReader remembers its first error, so that callers check once.
type snapshotReader struct {
	source *bufio.Reader
	sum    xxhash.Digest // of what has been read
	err    error
}

func newSnapshotReader(source io.Reader) *snapshotReader {
	r := &snapshotReader{source: bufio.NewReaderSize(source, 64<<10)}
	r.sum.Reset()
	return r
}

// ReadByte is for binary.ReadUvarint.
func (r *snapshotReader) ReadByte() (byte, error) {
	b, err := r.source.ReadByte()
	if err == nil {
		r.sum.Write([]byte{b})
	}
	return b, err
}

func (r *snapshotReader) number() uint64 {
	if r.err != nil {
		return 0
	}
	v, err := binary.ReadUvarint(r)
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
	_, r.err = io.ReadFull(r.source, b)
	r.sum.Write(b)
	return b
}

// checksum reads the checksum of all that has been read so far, and compares.
func (r *snapshotReader) checksum() {
	is := r.sum.Sum64()
	if stored := r.bytes(8); r.err == nil && binary.BigEndian.Uint64(stored) != is {
		r.err = fmt.Errorf("its checksum says %x, its content gives %x: damaged", binary.BigEndian.Uint64(stored), is)
	}
}
