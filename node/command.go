package node

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// An op says what a command does to the state machine. The numbers are on disk: never change them.
type op byte

const (
	opPut     op = 1 // key := value
	opDelete  op = 2 // remove key
	opMember  op = 3 // the node named by key serves HTTP at value
	opCluster op = 4 // the cluster is named value, unless it has a name already
)

// A condition must hold, inside the state machine, for a put or delete to take effect.
type condition byte

const (
	always       condition = 0
	ifValue      condition = 1 // the key exists and holds prevValue
	ifRevision   condition = 2 // the key was last changed at prevRevision; 0: the key does not exist
	entryVersion           = 1
)

// A command is one deterministic change of the state machine. It carries everything that the change
// depends on: applying it reads no clock, no random source and no map's order.
type command struct {
	op           op
	key, value   string
	condition    condition
	prevValue    string
	prevRevision uint64
}

// A result is what a command did. If the condition did not hold, applied is false and value and
// revision are the key's current ones (revision 0: the key does not exist).
type result struct {
	applied  bool
	existed  bool   // the key existed before the command
	value    string // only where the condition failed: the current value
	revision uint64 // the revision at which the key was last changed, 0 if it does not exist
	cluster  uint64 // the state machine's revision after the command
}

// An entry is the content of one raft log entry: the commands of many proposals, in order, and the
// term in which their proposer believed itself leader (hashicorp/raft issue 695: see machine.ApplyBatch).
type entry struct {
	term     uint64
	commands []command
}

// errEntry is what decodeEntry answers for bytes that no version of this program wrote.
var errEntry = errors.New("malformed log entry")

// encodeEntry is the compact binary form of an entry: version byte, term, count, then for each
// command its op, its condition and its length-prefixed fields. Numbers are unsigned varints.
func encodeEntry(e entry) []byte {
	size := 1 + 2*binary.MaxVarintLen64
	for i := range e.commands {
		c := &e.commands[i]
		size += 2 + 3*binary.MaxVarintLen32 + len(c.key) + len(c.value) + len(c.prevValue) + binary.MaxVarintLen64
	}
	b := make([]byte, 0, size)
	b = append(b, entryVersion)
	b = binary.AppendUvarint(b, e.term)
	b = binary.AppendUvarint(b, uint64(len(e.commands)))
	for i := range e.commands {
		c := &e.commands[i]
		b = append(b, byte(c.op), byte(c.condition))
		b = appendString(b, c.key)
		b = appendString(b, c.value)
		switch c.condition {
		case ifValue:
			b = appendString(b, c.prevValue)
		case ifRevision:
			b = binary.AppendUvarint(b, c.prevRevision)
		}
	}
	return b
}

// decodeEntry is the inverse of encodeEntry. It never panics and allocates no more than a small
// multiple of len(b), whatever b is.
func decodeEntry(b []byte) (entry, error) {
	if len(b) == 0 || b[0] != entryVersion {
		return entry{}, fmt.Errorf("%w: unknown version", errEntry)
	}
	d := decoder{rest: b[1:]}
	e := entry{term: d.uvarint()}
	count := d.uvarint()
	if count > uint64(len(d.rest)) { // a command takes several bytes
		return entry{}, fmt.Errorf("%w: %d commands in %d bytes", errEntry, count, len(d.rest))
	}
	e.commands = make([]command, 0, count)
	for range count {
		c := command{op: op(d.byte()), condition: condition(d.byte()), key: d.string(), value: d.string()}
		switch c.condition {
		case always:
		case ifValue:
			c.prevValue = d.string()
		case ifRevision:
			c.prevRevision = d.uvarint()
		default:
			return entry{}, fmt.Errorf("%w: condition %d", errEntry, c.condition)
		}
		if c.op < opPut || c.op > opCluster {
			return entry{}, fmt.Errorf("%w: op %d", errEntry, c.op)
		}
		e.commands = append(e.commands, c)
	}
	if d.failed || len(d.rest) != 0 {
		return entry{}, fmt.Errorf("%w: wrong length", errEntry)
	}
	return e, nil
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// A decoder reads from a byte slice and remembers the first failure, so that callers check once.
type decoder struct {
	rest   []byte
	failed bool
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) byte() byte {
	if len(d.rest) == 0 {
		d.fail()
		return 0
	}
	v := d.rest[0]
	d.rest = d.rest[1:]
	return v
}

func (d *decoder) string() string {
	n := d.uvarint()
	if n > uint64(len(d.rest)) {
		d.fail()
		return ""
	}
	v := string(d.rest[:n])
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) fail() {
	d.failed = true
	d.rest = nil
}
