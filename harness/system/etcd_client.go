package system

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"rift/harness"
	"rift/harness/history"
)

// etcdPage is how many elements of a set are asked for at once. A set that has more is read in pages, all at the first one's revision.
const etcdPage = 10_000

// etcdClient is one connection to one etcd node.
type etcdClient struct {
	connection
	serializable bool // reads are answered from the node's own state
}

// Open gives a client; the connection is made by the first call.
func (s Etcd) Open(_ context.Context, n harness.Node, t history.Test) (harness.Client, error) {
	return newEtcdClient(n, t), nil
}

func newEtcdClient(n harness.Node, t history.Test) *etcdClient {
	return &etcdClient{connection: connect(n, etcdHTTP), serializable: t.Options["consistency"] == etcdStale}
}

// etcdHeader comes with every answer. The gateway writes 64-bit numbers as strings, and leaves out what is zero.
type etcdHeader struct {
	Member   uint64 `json:"member_id,string"`
	Revision int64  `json:"revision,string"`
}

// etcdKV is a key with its value. Bytes are base64 in JSON, for the gateway as for Go.
type etcdKV struct {
	Key      []byte `json:"key"`
	Value    []byte `json:"value"`
	Modified int64  `json:"mod_revision,string"`
}

// etcdRange asks for a key, or for all from Key to before End.
type etcdRange struct {
	Key          []byte `json:"key"`
	End          []byte `json:"range_end,omitempty"`
	Limit        int64  `json:"limit,string,omitempty"`
	Revision     int64  `json:"revision,string,omitempty"` // 0: now
	Serializable bool   `json:"serializable,omitempty"`
}

type etcdRangeAnswer struct {
	Header etcdHeader `json:"header"`
	KVs    []etcdKV   `json:"kvs"`
	More   bool       `json:"more"`
}

// json is the value of the one key that was asked for, as the workload wrote it; null if there is none.
func (a etcdRangeAnswer) json() json.RawMessage {
	if len(a.KVs) == 0 {
		return json.RawMessage("null")
	}
	return asJSON(string(a.KVs[0].Value))
}

type etcdPut struct {
	Key   []byte `json:"key"`
	Value []byte `json:"value"`
}

// Invoke carries out one operation. All but a transaction that writes are one request.
func (c *etcdClient) Invoke(ctx context.Context, op history.Op) (json.RawMessage, error) {
	switch op.F {
	case "read":
		return c.read(ctx, op.Key)
	case "write":
		return op.Value, c.put(ctx, op.Key, op.Value)
	case "cas":
		return c.cas(ctx, op)
	case "add":
		return op.Value, c.put(ctx, setPrefix(op.Key)+string(op.Value), op.Value)
	case "list":
		return c.list(ctx, op.Key)
	case "txn":
		return c.txn(ctx, op)
	}
	return nil, fmt.Errorf("function %q is not one of this client's (%w)", op.F, harness.ErrDidNotHappen)
}

// changedNothing marks the error of an operation that only reads: whatever became of it, nothing happened.
func changedNothing(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w (%w)", err, harness.ErrDidNotHappen)
}

func (c *etcdClient) read(ctx context.Context, key string) (json.RawMessage, error) {
	var got etcdRangeAnswer
	if err := c.call(ctx, "kv/range", etcdRange{Key: []byte(key), Serializable: c.serializable}, &got); err != nil {
		return nil, changedNothing(err)
	}
	return got.json(), nil
}

func (c *etcdClient) put(ctx context.Context, key string, value []byte) error {
	return c.call(ctx, "kv/put", etcdPut{[]byte(key), value}, nil)
}

func (c *etcdClient) cas(ctx context.Context, op history.Op) (json.RawMessage, error) {
	var pair [2]json.RawMessage
	if err := json.Unmarshal(op.Value, &pair); err != nil {
		return nil, unusable(op, "[old, new]")
	}
	compare := etcdCompare{Key: []byte(op.Key), Target: etcdValue, Value: pair[0]}
	if string(pair[0]) == "null" {
		compare = etcdCompare{Key: []byte(op.Key), Target: etcdModified} // revision 0: there is no such key
	}
	_, err := c.transact(ctx, etcdTxn{Compare: []etcdCompare{compare}, Then: []etcdStep{{Put: &etcdPut{[]byte(op.Key), pair[1]}}}})
	return op.Value, err
}

// list reads a set, page by page if it must, each page at the revision of the first.
func (c *etcdClient) list(ctx context.Context, set string) (json.RawMessage, error) {
	prefix := []byte(setPrefix(set))
	ask := etcdRange{Key: prefix, End: afterPrefix(prefix), Limit: etcdPage, Serializable: c.serializable}
	elements := []json.RawMessage{}
	for {
		var got etcdRangeAnswer
		if err := c.call(ctx, "kv/range", ask, &got); err != nil {
			return nil, changedNothing(err)
		}
		for _, kv := range got.KVs {
			elements = append(elements, asJSON(string(kv.Value)))
		}
		if !got.More || len(got.KVs) == 0 {
			return json.Marshal(elements)
		}
		if ask.Revision == 0 {
			ask.Revision = got.Header.Revision
		}
		ask.Key = append(slices.Clone(got.KVs[len(got.KVs)-1].Key), 0)
	}
}

// afterPrefix is the first key behind all that begin with the prefix, whose last byte is not the highest.
func afterPrefix(prefix []byte) []byte {
	end := slices.Clone(prefix)
	end[len(end)-1]++
	return end
}

// call makes one request, and reads the answer into out, unless that is nil.
func (c *etcdClient) call(ctx context.Context, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return changedNothing(err)
	}
	// A node that knows no leader is to say so at once, rather than keep the request until there is one.
	header := http.Header{"Content-Type": {"application/json"}, "Grpc-Metadata-Hasleader": {"true"}}
	status, got, err := c.send(ctx, http.MethodPost, "/v3/"+path, header, body)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		var refused etcdRefusal
		if json.Unmarshal(got, &refused) == nil && refused.Message != "" {
			return &refused
		}
		return fmt.Errorf("HTTP %d %s: %s", status, http.StatusText(status), strings.TrimSpace(string(got[:min(len(got), 200)])))
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(got, out); err != nil {
		return fmt.Errorf("the node's answer is no JSON of the form expected: %w", err)
	}
	return nil
}

// etcdRefusal is an error that a node answered.
type etcdRefusal struct {
	Message string `json:"error"`
	Code    int    `json:"code"` // of gRPC
}

func (r *etcdRefusal) Error() string { return r.Message }

// etcdInvalid is gRPC's code of an argument that is refused before anything is done.
const etcdInvalid = 3

// etcdDefinite are the refusals that etcd makes before it hands a request to raft, or because raft on this node did not take it. All
// others say that the outcome is not known, even "not enough space", which a node may find after it has applied the request.
var etcdDefinite = []string{
	"etcdserver: no leader",         // the interceptor, as the header asks
	"etcdserver: not capable",       // the interceptor, until the cluster's version is known
	"etcdserver: too many requests", // before the proposal: too much is committed and not applied
	"raft proposal dropped",         // by the node itself, which knows no leader; one that was forwarded times out
}

// Unwrap makes a definite refusal one that did not happen.
func (r *etcdRefusal) Unwrap() error {
	if r.Code == etcdInvalid || slices.Contains(etcdDefinite, r.Message) {
		return harness.ErrDidNotHappen
	}
	return nil
}
