package node

import (
	"encoding/binary"
	"maps"

	"github.com/cespare/xxhash/v2"
	iradix "github.com/hashicorp/go-immutable-radix"
)

// An item is what the store keeps for a key.
type item struct {
	value    string
	revision uint64 // the state machine's revision at which the key was last changed, from 1
	expires  uint64 // the replicated time, see state.clock, at which the key is removed; 0: never
}

// A state is one immutable version of the state machine. Reads, listings and snapshots work on a
// state as long as they like, while newer ones are published: nothing in it ever changes.
type state struct {
	index    uint64            // the last log entry that the state machine has seen
	revision uint64            // the number of changes to keys so far
	hash     uint64            // sum over all keys of hashItem: the same on every replica at the same revision
	keys     *iradix.Tree      // key → item
	clock    uint64            // replicated time, in nanoseconds; it passes only while keys wait for it
	expiring *iradix.Tree      // item.expiry of each key that expires
	members  map[string]string // node id → the address where it serves HTTP
	cluster  string            // the cluster's id, "" until the first leader named it
}

func newState() *state {
	return &state{keys: iradix.New(), expiring: iradix.New(), members: map[string]string{}}
}

// get returns the item under key, and whether there is one.
func (s *state) get(key string) (item, bool) {
	v, ok := s.keys.Get([]byte(key))
	if !ok {
		return item{}, false
	}
	return v.(item), true
}

// hashItem digests one key with its item. Sums of such digests do not depend on the order of the
// keys and are cheap to keep up to date.
func hashItem(key string, it item) uint64 {
	var d xxhash.Digest
	var n [24]byte
	d.Reset()
	binary.LittleEndian.PutUint64(n[:8], it.revision)
	binary.LittleEndian.PutUint64(n[8:16], uint64(len(key)))
	binary.LittleEndian.PutUint64(n[16:], it.expires)
	d.Write(n[:])
	d.WriteString(key)
	d.WriteString(it.value)
	return d.Sum64()
}

// A transition collects the changes that lead from one state to the next.
type transition struct {
	next     state
	keys     *iradix.Txn
	expiring *iradix.Txn
	// aborted is the seam of the bug dirty-abort: it is shown transactions that fail. Nil in a healthy node.
	aborted func(t *transition, x *transaction, d *draft)
}

func (s *state) transition() *transition {
	return &transition{next: *s, keys: s.keys.Txn(), expiring: s.expiring.Txn()}
}

// commit returns the new state. The transition must not be used again.
func (t *transition) commit() *state {
	t.next.keys, t.next.expiring = t.keys.Commit(), t.expiring.Commit()
	return &t.next
}

// apply carries out one command.
func (t *transition) apply(c *command) result {
	switch c.op {
	case opPut, opDelete:
		return t.change(c)
	case opTxn:
		return t.transact(c.txn)
	case opElapse:
		t.elapse(c.span)
	case opMember:
		t.next.members = maps.Clone(t.next.members)
		t.next.members[c.key] = c.value
	case opCluster:
		if t.next.cluster == "" {
			t.next.cluster = c.value
		}
	}
	return result{applied: true, cluster: t.next.revision}
}

// change puts or deletes a key, if the command's condition holds.
func (t *transition) change(c *command) result {
	old, exists := t.get(c.key)
	r := result{existed: exists, value: old.value, revision: old.revision, cluster: t.next.revision}
	if !c.holds(old, exists) {
		return r
	}
	r.applied, r.value = true, ""
	if !exists && c.op == opDelete {
		return r
	}
	t.next.revision++
	r.cluster = t.next.revision
	if c.op == opDelete {
		t.remove(c.key)
		r.revision = 0
		return r
	}
	it := item{value: c.value, revision: t.next.revision}
	if c.span > 0 {
		it.expires = t.next.clock + uint64(c.span+ttlGrace)
	}
	t.set(c.key, it)
	r.revision = t.next.revision
	return r
}

// get returns the item under key as it is now, and whether there is one.
func (t *transition) get(key string) (item, bool) {
	v, ok := t.keys.Get([]byte(key))
	if !ok {
		return item{}, false
	}
	return v.(item), true
}

// set puts an item under a key.
func (t *transition) set(key string, it item) {
	if old, ok := t.keys.Insert([]byte(key), it); ok {
		t.forget(key, old.(item))
	}
	t.next.hash += hashItem(key, it)
	if it.expires > 0 {
		t.expiring.Insert(it.expiry(key), nil)
	}
}

// remove removes a key, if it exists.
func (t *transition) remove(key string) {
	if old, ok := t.keys.Delete([]byte(key)); ok {
		t.forget(key, old.(item))
	}
}

// forget drops what is kept besides about an item that is no longer there.
func (t *transition) forget(key string, old item) {
	t.next.hash -= hashItem(key, old)
	if old.expires > 0 {
		t.expiring.Delete(old.expiry(key))
	}
}

// holds tells whether the command's condition allows it, given the key's current item.
func (c *command) holds(old item, exists bool) bool {
	switch c.condition {
	case ifValue:
		return exists && old.value == c.prevValue
	case ifRevision:
		return old.revision == c.prevRevision // a missing key has revision 0
	case ifExists:
		return exists
	default:
		return true
	}
}

// retain forgets the addresses of nodes that are no longer members.
func (t *transition) retain(member func(id string) bool) {
	t.next.members = maps.Clone(t.next.members)
	maps.DeleteFunc(t.next.members, func(id, _ string) bool { return !member(id) })
}
