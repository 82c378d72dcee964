package system

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"rift/harness"
	"rift/harness/history"
)

// What a comparison of etcd's is about.
const (
	etcdValue    = "VALUE"
	etcdModified = "MOD" // the revision at which the key was last changed; 0: there is none
)

// etcdCompare holds if the key's value, or the revision of its last change, is the one given. Only one of the two may be there; if both are
// left out, revision 0 is meant.
type etcdCompare struct {
	Key      []byte `json:"key"`
	Target   string `json:"target"`
	Value    []byte `json:"value,omitempty"`
	Modified int64  `json:"mod_revision,string,omitempty"`
}

// etcdStep is one request within a transaction: either of the two.
type etcdStep struct {
	Range *etcdRange `json:"request_range,omitempty"`
	Put   *etcdPut   `json:"request_put,omitempty"`
}

// etcdTxn carries its steps out if all comparisons hold.
type etcdTxn struct {
	Compare []etcdCompare `json:"compare,omitempty"`
	Then    []etcdStep    `json:"success"`
}

type etcdTxnAnswer struct {
	Succeeded bool `json:"succeeded"`
	Responses []struct {
		Range etcdRangeAnswer `json:"response_range"`
	} `json:"responses"`
}

// transact carries out one transaction in one request; harness.ErrMismatch says that a comparison did not hold.
func (c *etcdClient) transact(ctx context.Context, t etcdTxn) (etcdTxnAnswer, error) {
	var got etcdTxnAnswer
	err := c.call(ctx, "kv/txn", t, &got)
	switch {
	case err != nil:
		return got, err
	case !got.Succeeded:
		return got, harness.ErrMismatch
	case len(got.Responses) != len(t.Then):
		return got, fmt.Errorf("the node answered %d results to %d operations", len(got.Responses), len(t.Then))
	}
	return got, nil
}

// txn carries out micro-operations. etcd has no transaction that both reads and depends on what it reads, so it reads all keys at one
// moment, works out what they are to be, and then writes that if none of them has changed meanwhile.
func (c *etcdClient) txn(ctx context.Context, op history.Op) (json.RawMessage, error) {
	ops, err := microOperations(op)
	if err != nil {
		return nil, err
	}
	state, seen, err := c.look(ctx, ops)
	if err != nil {
		return nil, changedNothing(err)
	}
	writes, err := applyMicro(ops, state)
	if err != nil {
		return nil, err
	}
	if len(writes) > 0 {
		if err := c.commit(ctx, seen, writes); err != nil {
			return nil, err
		}
	}
	return json.Marshal(ops)
}

// look reads the keys of micro-operations at one moment: their values as JSON, and when each was last changed.
func (c *etcdClient) look(ctx context.Context, ops []microOperation) (state map[string]json.RawMessage, seen map[string]int64, err error) {
	seen = make(map[string]int64)
	for _, o := range ops {
		seen[asKey(o[1])] = 0
	}
	keys := slices.Sorted(maps.Keys(seen))
	var steps []etcdStep
	for _, key := range keys {
		steps = append(steps, etcdStep{Range: &etcdRange{Key: []byte(key), Serializable: c.serializable}})
	}
	got, err := c.transact(ctx, etcdTxn{Then: steps})
	if err != nil {
		return nil, nil, err
	}
	state = make(map[string]json.RawMessage)
	for i, key := range keys {
		if kvs := got.Responses[i].Range.KVs; len(kvs) > 0 {
			state[key], seen[key] = asJSON(string(kvs[0].Value)), kvs[0].Modified
		}
	}
	return state, seen, nil
}

// commit writes values, if no key has changed since it was seen.
func (c *etcdClient) commit(ctx context.Context, seen map[string]int64, writes map[string]json.RawMessage) error {
	var t etcdTxn
	for _, key := range slices.Sorted(maps.Keys(seen)) {
		t.Compare = append(t.Compare, etcdCompare{Key: []byte(key), Target: etcdModified, Modified: seen[key]})
	}
	for _, key := range slices.Sorted(maps.Keys(writes)) {
		t.Then = append(t.Then, etcdStep{Put: &etcdPut{[]byte(key), writes[key]}})
	}
	_, err := c.transact(ctx, t)
	return err
}
