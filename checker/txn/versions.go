package txn

import (
	"fmt"
	"math/bits"

	"rift/harness/history"
)

// versions are the values that keys had. A list's version is named by its last element, so that in
// both kinds of history a write makes one version and a read observes one. Each key starts with a version that nobody wrote.
type versions struct {
	key      []uint32
	value    []int64
	writer   []int32   // version -> the micro-operation that wrote it, or nobody
	of       []int32   // micro-operation -> the version that it wrote or observed
	branch   [][]int32 // branch -> its elements as versions
	initial  int32     // the initial version of key 0; those of the other keys follow
	slots    []int32   // an open hash table from (key, value) to version+1
	active   []bool    // transaction -> it committed: it said so, or was indeterminate and seen
	observed []bool    // version -> a committed transaction read it, or a list with it
	final    []bool    // version -> the last write of its transaction to its key
}

const nobody = -1

// newVersions finds the versions of a history and who wrote them. It fails where two transactions wrote the same
// value to the same key, because then no read shows what it read.
func newVersions(r *record) (*versions, error) {
	writes := 0
	for _, op := range r.ops {
		writes += int(op.keyed & 1)
	}
	most := writes + len(r.names.keys) // but for values that nobody wrote
	v := &versions{
		key: make([]uint32, 0, most), value: make([]int64, 0, most), writer: make([]int32, 0, most),
		of:     make([]int32, len(r.ops)),
		slots:  make([]int32, 1<<bits.Len(uint(2*most))),
		active: make([]bool, len(r.calls)),
	}
	for i, op := range r.ops {
		if !op.isWrite() {
			continue
		}
		at := v.find(op.key(), op.arg)
		if *at == 0 {
			v.add(at, op.key(), op.arg, int32(i))
		} else if old := &v.writer[*at-1]; r.failed(r.ops[*old].txn) {
			*old = int32(i) // a client may write a value again that it failed to write
		} else if !r.failed(op.txn) {
			return nil, fmt.Errorf("history lines %d and %d: both write %s to %s; each value may be written to a key once only",
				r.calls[r.ops[*old].txn].Index, r.calls[op.txn].Index, r.names.text(op.arg), r.names.keys[op.key()])
		}
		v.of[i] = *at - 1
	}
	v.initial = int32(len(v.key))
	for k := range r.names.keys {
		v.add(v.find(uint32(k), noValue), uint32(k), noValue, nobody)
	}
	v.observe(r)
	v.finish(r)
	return v, nil
}

// find gives the slot of a version, which is 0 if there is none yet.
func (v *versions) find(key uint32, value int64) *int32 {
	mask := uint64(len(v.slots) - 1)
	h := (uint64(value) ^ uint64(key)<<32 ^ uint64(key)) * 0x9E3779B97F4A7C15
	for h ^= h >> 29; ; h++ {
		at := &v.slots[h&mask]
		if *at == 0 || (v.key[*at-1] == key && v.value[*at-1] == value) {
			return at
		}
	}
}

func (v *versions) add(at *int32, key uint32, value int64, writer int32) int32 {
	v.key, v.value, v.writer = append(v.key, key), append(v.value, value), append(v.writer, writer)
	*at = int32(len(v.key))
	if 2*len(v.key) > len(v.slots) {
		v.grow()
	}
	return int32(len(v.key)) - 1
}

// grow doubles the hash table. Only values that nobody wrote can make it necessary.
func (v *versions) grow() {
	v.slots = make([]int32, 2*len(v.slots))
	for i := range v.key {
		*v.find(v.key[i], v.value[i]) = int32(i) + 1
	}
}

// lookup is the version of a value that was read; one that nobody wrote gets a version without a writer.
func (v *versions) lookup(key uint32, value int64) int32 {
	at := v.find(key, value)
	if *at == 0 {
		return v.add(at, key, value, nobody)
	}
	return *at - 1
}

// observe gives each read its version.
func (v *versions) observe(r *record) {
	v.branch = make([][]int32, len(r.lists.branches))
	for i := range r.lists.branches {
		b := &r.lists.branches[i]
		v.branch[i] = make([]int32, len(b.values))
		for n, value := range b.values {
			v.branch[i][n] = v.lookup(b.key, value)
		}
	}
	for i, op := range r.ops {
		switch {
		case op.isWrite():
		case r.kind == Register:
			v.of[i] = v.lookup(op.key(), op.arg)
		case op.arg == emptyList:
			v.of[i] = v.initial + int32(op.key())
		default:
			branch, length := op.list()
			v.of[i] = v.branch[branch][length-1]
		}
	}
}

// finish finds out which transactions committed, and which of their writes were their last ones.
func (v *versions) finish(r *record) {
	for t, call := range r.calls {
		v.active[t] = call.Type == history.OK
	}
	v.observed = make([]bool, len(v.key))
	seen := func(version int32) {
		v.observed[version] = true
		if w := v.writer[version]; w != nobody {
			t := r.ops[w].txn
			v.active[t] = v.active[t] || r.calls[t].Type == history.Info
		}
	}
	for _, elements := range v.branch {
		for _, e := range elements {
			seen(e)
		}
	}
	if r.kind == Register {
		for i, op := range r.ops {
			if !op.isWrite() {
				seen(v.of[i])
			}
		}
	}
	v.final = make([]bool, len(v.key))
	last := make([]int32, len(r.names.keys)) // key -> the newest version of the writing transaction, +1
	for t := range r.calls {
		ops, first := r.of(int32(t))
		for i, op := range ops {
			if !op.isWrite() || v.writer[v.of[first+uint32(i)]] != int32(first)+int32(i) {
				continue
			}
			at := &last[op.key()]
			if *at > 0 && r.ops[v.writer[*at-1]].txn == int32(t) {
				v.final[*at-1] = false
			}
			*at = v.of[first+uint32(i)] + 1
			v.final[*at-1] = true
		}
	}
}
