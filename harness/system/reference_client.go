package system

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"rift/harness"
	"rift/harness/history"
)

// setPrefix is where the elements of sets are kept, one key each.
func setPrefix(set string) string {
	if set == "" {
		return "set/"
	}
	return "set/" + set + "/"
}

// referenceOptimistic is the option of transactions that are worked out by the client.
const referenceOptimistic = "optimistic"

// referenceClient is one connection to one reference node.
type referenceClient struct {
	connection
	reads string // the consistency that reads ask for; empty: linearizable

	optimistic bool // a transaction that reads and writes is two requests: it reads, and then writes if nothing has changed
}

// Open gives a client; the connection is made by the first call.
func (s Reference) Open(_ context.Context, n harness.Node, t history.Test) (harness.Client, error) {
	return s.client(n, t), nil
}

func (s Reference) client(n harness.Node, t history.Test) *referenceClient {
	c := newReferenceClient(n, t)
	if s.Transport != nil {
		c.http.Transport = s.Transport(n)
	}
	return c
}

func newReferenceClient(n harness.Node, t history.Test) *referenceClient {
	return &referenceClient{
		connection: connect(n, referenceHTTP),
		reads:      t.Options["consistency"], optimistic: t.Options["transactions"] == referenceOptimistic,
	}
}

// Invoke carries out one operation in one attempt.
func (c *referenceClient) Invoke(ctx context.Context, op history.Op) (json.RawMessage, error) {
	switch op.F {
	case "read":
		return c.read(ctx, op.Key)
	case "write":
		_, err := c.do(ctx, http.MethodPut, "/v1/kv/"+url.PathEscape(op.Key), nil, op.Value)
		return op.Value, err
	case "put-ttl":
		return c.putTTL(ctx, op)
	case "cas":
		return c.cas(ctx, op)
	case "add":
		_, err := c.do(ctx, http.MethodPut, "/v1/kv/"+url.PathEscape(setPrefix(op.Key)+string(op.Value)), nil, op.Value)
		return op.Value, err
	case "list":
		return c.list(ctx, op.Key)
	}
	if f, ok := transactions[op.F]; ok {
		return f(c, ctx, op)
	}
	return nil, fmt.Errorf("function %q is not one of this client's (%w)", op.F, harness.ErrDidNotHappen)
}

// item is a key as the node answers it.
type item struct {
	Value string `json:"value"`
}

func (c *referenceClient) read(ctx context.Context, key string) (json.RawMessage, error) {
	body, err := c.do(ctx, http.MethodGet, "/v1/kv/"+url.PathEscape(key), c.consistency(), nil)
	var refused *refusal
	if errors.As(err, &refused) && refused.Code == "key_not_found" {
		return json.RawMessage("null"), nil
	}
	if err != nil {
		return nil, err
	}
	var got item
	if err := json.Unmarshal(body, &got); err != nil {
		return nil, fmt.Errorf("read %s: the node's answer is no JSON: %w", key, err)
	}
	return asJSON(got.Value), nil
}

func (c *referenceClient) consistency() url.Values {
	if c.reads == "" {
		return nil
	}
	return url.Values{"consistency": {c.reads}}
}

// asJSON gives back a value that the workload wrote, which is JSON; anything else, which the workload never wrote, as a JSON string.
func asJSON(value string) json.RawMessage {
	var compact bytes.Buffer
	if json.Compact(&compact, []byte(value)) == nil {
		return compact.Bytes()
	}
	quoted, _ := json.Marshal(value)
	return quoted
}

func (c *referenceClient) cas(ctx context.Context, op history.Op) (json.RawMessage, error) {
	var pair [2]json.RawMessage
	if err := json.Unmarshal(op.Value, &pair); err != nil {
		return nil, fmt.Errorf("cas: value %s given, [old, new] wanted (%w)", op.Value, harness.ErrDidNotHappen)
	}
	query := url.Values{"prev-value": {string(pair[0])}}
	if string(pair[0]) == "null" {
		query = url.Values{"prev-revision": {"0"}}
	}
	_, err := c.do(ctx, http.MethodPut, "/v1/kv/"+url.PathEscape(op.Key), query, pair[1])
	var refused *refusal
	if errors.As(err, &refused) && (refused.Code == "compare_failed" || refused.Code == "key_not_found") {
		return op.Value, harness.ErrMismatch
	}
	return op.Value, err
}

// putTTL puts a value that the node removes after a while; the operation's value is [value, time to live].
func (c *referenceClient) putTTL(ctx context.Context, op history.Op) (json.RawMessage, error) {
	var pair [2]json.RawMessage
	var ttl history.Duration
	if json.Unmarshal(op.Value, &pair) != nil || json.Unmarshal(pair[1], &ttl) != nil {
		return nil, unusable(op, "[value, duration]")
	}
	_, err := c.do(ctx, http.MethodPut, "/v1/kv/"+url.PathEscape(op.Key), url.Values{"ttl": {ttl.String()}}, pair[0])
	return op.Value, err
}

func (c *referenceClient) list(ctx context.Context, set string) (json.RawMessage, error) {
	query := url.Values{"prefix": {setPrefix(set)}}
	if c.reads != "" {
		query.Set("consistency", c.reads)
	}
	body, err := c.do(ctx, http.MethodGet, "/v1/kv", query, nil)
	if err != nil {
		return nil, err
	}
	var got struct{ Items []item }
	if err := json.Unmarshal(body, &got); err != nil {
		return nil, fmt.Errorf("list: the node's answer is no JSON: %w", err)
	}
	elements := make([]json.RawMessage, len(got.Items))
	for i, it := range got.Items {
		elements[i] = asJSON(it.Value)
	}
	return json.Marshal(elements)
}

// refusal is an error that the node answered.
type refusal struct {
	Code     string `json:"code"`
	Message  string `json:"message"`
	Definite bool   `json:"definite"`
}

func (r *refusal) Error() string { return r.Code + ": " + r.Message }

// Unwrap makes a definite refusal one that did not happen.
func (r *refusal) Unwrap() error {
	if r.Definite {
		return harness.ErrDidNotHappen
	}
	return nil
}

// do makes one request. A connection that could not be made means that nothing happened.
func (c *referenceClient) do(ctx context.Context, method, path string, query url.Values, body []byte) ([]byte, error) {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	status, got, err := c.send(ctx, method, path, http.Header{}, body)
	if err != nil || status < 300 {
		return got, err
	}
	var wrapped struct {
		Error *refusal `json:"error"`
	}
	if json.Unmarshal(got, &wrapped) == nil && wrapped.Error != nil {
		return nil, wrapped.Error
	}
	return nil, fmt.Errorf("HTTP %d %s: %s", status, http.StatusText(status), strings.TrimSpace(string(got[:min(len(got), 200)])))
}

// View asks a node what it believes.
func (s Reference) View(ctx context.Context, n harness.Node) (history.View, error) {
	c := s.client(n, history.Test{})
	defer c.Close()
	body, err := c.do(ctx, http.MethodGet, "/v1/status", nil, nil)
	if err != nil {
		return history.View{}, err
	}
	var status struct {
		State    string              `json:"state"`
		Leader   struct{ ID string } `json:"leader"`
		Term     uint64              `json:"term"`
		Commit   uint64              `json:"commit_index"`
		Applied  uint64              `json:"applied_index"`
		Revision uint64              `json:"revision"`
		Snapshot uint64              `json:"snapshot_index"`
		Hash     string              `json:"state_hash"`
		Voters   []string            `json:"voters"`
	}
	if err := json.Unmarshal(body, &status); err != nil {
		return history.View{}, fmt.Errorf("status of %s: %w", n.Name, err)
	}
	return history.View{
		Node: n.Name, State: status.State, Leader: status.Leader.ID, Term: status.Term, Commit: status.Commit, Applied: status.Applied,
		Revision: status.Revision, Snapshot: status.Snapshot, StateHash: status.Hash, Voters: status.Voters,
	}, nil
}
