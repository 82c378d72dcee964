package node

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// An op says what a command does to the state machine. The numbers are on disk: never change them.
type op byte

const (
	opPut     op = 1 // key := value
	opDelete  op = 2 // remove key
	opMember  op = 3 // the node named by key serves HTTP at value
	opCluster op = 4 // the cluster is named value, unless it has a name already
	opTxn     op = 5 // carry out txn

	// Only in transactions.
	opGet    op = 6
	opAppend op = 7 // the key holds a JSON array: value, which is JSON, becomes its last element
	opAdd    op = 8 // the key holds an integer: add value

	opExpiringPut op = 9  // only on disk: an opPut with a span
	opElapse      op = 10 // so much time has passed
)

// A condition must hold, inside the state machine, for a put, a delete or a transaction to take effect.
type condition byte

const (
	always       condition = 0
	ifValue      condition = 1 // the key exists and holds prevValue
	ifRevision   condition = 2 // the key was last changed at prevRevision; 0: the key does not exist
	ifExists     condition = 3
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
	span         time.Duration // of opPut: how long the key lives, 0 for ever; of opElapse: how much time has passed
	txn          *transaction  // of opTxn, which has nothing else
}

// A result is what a command did. If the condition did not hold, applied is false and value and
// revision are the key's current ones (revision 0: the key does not exist).
type result struct {
	applied  bool
	existed  bool   // the key existed before the command
	value    string // only where the condition failed: the current value
	revision uint64 // the revision at which the key was last changed, 0 if it does not exist
	cluster  uint64 // the state machine's revision after the command
	txn      *outcome
}

// An entry is the content of one raft log entry: the commands of many proposals, in order, and the
// term in which their proposer believed itself leader (hashicorp/raft issue 695: see machine.ApplyBatch).
type entry struct {
	term     uint64
	commands []command
}

// errEntry is what decodeEntry answers for bytes that no version of this program wrote.
var errEntry = errors.New("malformed log entry")

// encodeEntry is the compact binary form of an entry: version byte, term, and its commands. Numbers are
// unsigned varints.
func encodeEntry(e entry) []byte {
	size := 1 + 2*binary.MaxVarintLen64
	for i := range e.commands {
		size += e.commands[i].size()
	}
	b := make([]byte, 0, size)
	b = append(b, entryVersion)
	b = binary.AppendUvarint(b, e.term)
	return appendCommands(b, e.commands)
}

// size is about the length of the encoded command in bytes, and not less than that.
func (c *command) size() int {
	size := 2 + 3*binary.MaxVarintLen32 + len(c.key) + len(c.value) + len(c.prevValue) + 2*binary.MaxVarintLen64
	if c.txn != nil {
		for _, list := range c.txn.lists() {
			for i := range *list {
				size += (*list)[i].size()
			}
		}
	}
	return size
}

// lists are the three lists of commands that make up a transaction.
func (x *transaction) lists() [3]*[]command { return [3]*[]command{&x.compare, &x.then, &x.otherwise} }

// appendCommands appends the number of the commands, and of each its op, its condition and its
// length-prefixed fields; of a transaction instead its three lists.
func appendCommands(b []byte, commands []command) []byte {
	b = binary.AppendUvarint(b, uint64(len(commands)))
	for i := range commands {
		c := &commands[i]
		written := c.op
		if c.op == opPut && c.span > 0 {
			written = opExpiringPut
		}
		b = append(b, byte(written))
		if c.op == opTxn {
			for _, list := range c.txn.lists() {
				b = appendCommands(b, *list)
			}
			continue
		}
		b = append(b, byte(c.condition))
		b = appendString(b, c.key)
		b = appendString(b, c.value)
		switch c.condition {
		case ifValue:
			b = appendString(b, c.prevValue)
		case ifRevision:
			b = binary.AppendUvarint(b, c.prevRevision)
		}
		if written.hasSpan() {
			b = binary.AppendUvarint(b, uint64(c.span))
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
	var err error
	if e.commands, err = d.commands(func(o op) bool { return o >= opPut && o <= opTxn || o.hasSpan() }); err != nil {
		return entry{}, err
	}
	if d.failed || len(d.rest) != 0 {
		return entry{}, fmt.Errorf("%w: wrong length", errEntry)
	}
	return e, nil
}

// commands is the inverse of appendCommands, for commands whose ops are allowed.
func (d *decoder) commands(allowed func(op) bool) ([]command, error) {
	count := d.uvarint()
	if count > uint64(len(d.rest)) { // a command takes several bytes
		return nil, fmt.Errorf("%w: %d commands in %d bytes", errEntry, count, len(d.rest))
	}
	commands := make([]command, 0, count)
	for range count {
		c, err := d.command(allowed)
		if err != nil {
			return nil, err
		}
		commands = append(commands, c)
	}
	return commands, nil
}

func (d *decoder) command(allowed func(op) bool) (c command, err error) {
	if c.op = op(d.byte()); !allowed(c.op) {
		return command{}, fmt.Errorf("%w: op %d", errEntry, c.op)
	}
	if c.op == opTxn {
		c.txn = &transaction{}
		for _, list := range c.txn.lists() {
			if *list, err = d.commands(inTransaction); err != nil {
				return command{}, err
			}
		}
		return c, nil
	}
	c.condition, c.key, c.value = condition(d.byte()), d.string(), d.string()
	switch c.condition {
	case always, ifExists:
	case ifValue:
		c.prevValue = d.string()
	case ifRevision:
		c.prevRevision = d.uvarint()
	default:
		return command{}, fmt.Errorf("%w: condition %d", errEntry, c.condition)
	}
	if c.op.hasSpan() {
		if c.span = time.Duration(d.uvarint()); c.span <= 0 && !d.failed {
			return command{}, fmt.Errorf("%w: a span of %d", errEntry, c.span)
		}
	}
	if c.op == opExpiringPut {
		c.op = opPut
	}
	return c, nil
}

// hasSpan tells whether a command with this op on disk has a span.
func (o op) hasSpan() bool { return o == opExpiringPut || o == opElapse }

// inTransaction tells whether an op may stand in a transaction.
func inTransaction(o op) bool { return o == opPut || o == opDelete || o >= opGet && o <= opAdd }

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
