package system

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"rift/harness"
	"rift/harness/history"
)

// transactions are the functions that are carried out by POST /v1/txn.
var transactions = map[string]func(c *referenceClient, ctx context.Context, op history.Op) (json.RawMessage, error){
	"txn":       (*referenceClient).txn,
	"transfer":  (*referenceClient).transfer,
	"balances":  (*referenceClient).balances,
	"increment": (*referenceClient).increment,
	"generate":  (*referenceClient).generate,
	"enqueue":   (*referenceClient).enqueue,
	"dequeue":   (*referenceClient).dequeue,
	"drain":     (*referenceClient).drain,
	"acquire":   (*referenceClient).acquire,
	"release":   (*referenceClient).release,
}

// Where the objects that are no plain keys are kept.
const (
	bankPrefix  = "bank/"
	idPrefix    = "id/"
	queuePrefix = "queue/"
	lockPrefix  = "lock/"
	fencePrefix = "fence/"
)

// transaction is the body of POST /v1/txn.
type transaction struct {
	Compare []comparison `json:"compare,omitempty"`
	Then    []step       `json:"then"`
	Else    []step       `json:"else,omitempty"`
}

// comparison must hold for Then to be carried out.
type comparison struct {
	Key      string  `json:"key"`
	Value    *string `json:"value,omitempty"`
	Revision *uint64 `json:"revision,omitempty"` // 0: the key does not exist
}

type step struct {
	Op    string  `json:"op"` // get, put, delete, append or add
	Key   string  `json:"key"`
	Value *string `json:"value,omitempty"`
}

func get(key string) step            { return step{Op: "get", Key: key} }
func set(op, key, value string) step { return step{op, key, &value} }

// stepResult is a key as it was after a step.
type stepResult struct {
	Value    string `json:"value"`
	Found    bool   `json:"found"`
	Revision uint64 `json:"revision"`
}

// json is the value as the workload wrote it; null if there is none.
func (r stepResult) json() json.RawMessage {
	if !r.Found {
		return json.RawMessage("null")
	}
	return asJSON(r.Value)
}

type txnAnswer struct {
	Succeeded bool         `json:"succeeded"`
	Results   []stepResult `json:"results"`
}

// transact carries out one transaction in one request.
func (c *referenceClient) transact(ctx context.Context, t transaction) (txnAnswer, error) {
	body, err := json.Marshal(t)
	if err != nil {
		return txnAnswer{}, fmt.Errorf("%w (%w)", err, harness.ErrDidNotHappen)
	}
	got, err := c.do(ctx, http.MethodPost, "/v1/txn", nil, body)
	if err != nil {
		return txnAnswer{}, err
	}
	var a txnAnswer
	if err := json.Unmarshal(got, &a); err != nil {
		return txnAnswer{}, fmt.Errorf("the node's answer is no JSON: %w", err)
	}
	wanted := t.Then
	if !a.Succeeded {
		wanted = t.Else
	}
	if len(a.Results) != len(wanted) {
		return txnAnswer{}, fmt.Errorf("the node answered %d results to %d operations", len(a.Results), len(wanted))
	}
	return a, nil
}

// commit carries out steps on condition that the keys that were read before are unchanged. If they are not, it did not happen.
func (c *referenceClient) commit(ctx context.Context, read map[string]uint64, steps []step) ([]stepResult, error) {
	t := transaction{Then: steps}
	for _, key := range slices.Sorted(maps.Keys(read)) {
		revision := read[key]
		t.Compare = append(t.Compare, comparison{Key: key, Revision: &revision})
	}
	a, err := c.transact(ctx, t)
	if err == nil && !a.Succeeded {
		err = harness.ErrMismatch
	}
	return a.Results, err
}

// look reads keys at one moment. Since it changes nothing, what comes of it is certain: it did not happen unless it succeeded.
func (c *referenceClient) look(ctx context.Context, keys ...string) (results []stepResult, read map[string]uint64, err error) {
	steps := make([]step, len(keys))
	for i, key := range keys {
		steps[i] = get(key)
	}
	a, err := c.transact(ctx, transaction{Then: steps})
	if err != nil {
		return nil, nil, fmt.Errorf("%w (%w)", err, harness.ErrDidNotHappen)
	}
	read = make(map[string]uint64, len(keys))
	for i, r := range a.Results {
		read[keys[i]] = r.Revision
	}
	return a.Results, read, nil
}

// unusable is the error of an operation whose value the client cannot read.
func unusable(op history.Op, wanted string) error {
	return fmt.Errorf("%s: value %s given, %s wanted (%w)", op.F, op.Value, wanted, harness.ErrDidNotHappen)
}

// txn carries out micro-operations.
func (c *referenceClient) txn(ctx context.Context, op history.Op) (json.RawMessage, error) {
	ops, err := microOperations(op)
	if err != nil {
		return nil, err
	}
	steps := make([]step, len(ops))
	var reads []string
	writes := false
	for i, o := range ops {
		key := asKey(o[1])
		switch string(o[0]) {
		case microRead:
			steps[i] = get(key)
			reads = append(reads, key)
		case microWrite:
			steps[i], writes = set("put", key, string(o[2])), true
		case microAppend:
			steps[i], writes = set("append", key, string(o[2])), true
		}
	}
	var read map[string]uint64
	if c.optimistic && writes && len(reads) > 0 {
		if _, read, err = c.look(ctx, reads...); err != nil {
			return nil, err
		}
	}
	results, err := c.commit(ctx, read, steps)
	switch {
	case err != nil && !writes:
		return nil, fmt.Errorf("%w (%w)", err, harness.ErrDidNotHappen)
	case err != nil:
		return nil, err
	}
	for i := range ops {
		if steps[i].Op == "get" {
			ops[i][2] = results[i].json()
		}
	}
	return json.Marshal(ops)
}

// transfer moves an amount between two accounts of the bank.
func (c *referenceClient) transfer(ctx context.Context, op history.Op) (json.RawMessage, error) {
	var t struct {
		From, To string
		Amount   int
	}
	if err := json.Unmarshal(op.Value, &t); err != nil || t.From == t.To {
		return nil, unusable(op, `{"from", "to", "amount"} with two accounts`)
	}
	from, to := bankPrefix+t.From, bankPrefix+t.To
	if !c.optimistic {
		_, err := c.commit(ctx, nil, []step{set("add", from, strconv.Itoa(-t.Amount)), set("add", to, strconv.Itoa(t.Amount))})
		return op.Value, err
	}
	now, read, err := c.look(ctx, from, to)
	if err != nil {
		return nil, err
	}
	balance := [2]int{}
	for i, r := range now {
		if !r.Found {
			continue
		}
		if balance[i], err = strconv.Atoi(r.Value); err != nil {
			return nil, fmt.Errorf("transfer: the node holds %q as a balance (%w)", r.Value, harness.ErrDidNotHappen)
		}
	}
	_, err = c.commit(ctx, read, []step{set("put", from, strconv.Itoa(balance[0]-t.Amount)), set("put", to, strconv.Itoa(balance[1]+t.Amount))})
	return op.Value, err
}

// balances answers what the named accounts hold, at one moment; those that hold nothing yet are left out.
func (c *referenceClient) balances(ctx context.Context, op history.Op) (json.RawMessage, error) {
	var accounts []string
	if err := json.Unmarshal(op.Value, &accounts); err != nil || len(accounts) == 0 {
		return nil, unusable(op, "an array of accounts")
	}
	keys := make([]string, len(accounts))
	for i, a := range accounts {
		keys[i] = bankPrefix + a
	}
	results, _, err := c.look(ctx, keys...)
	if err != nil {
		return nil, err
	}
	held := make(map[string]json.RawMessage)
	for i, r := range results {
		if r.Found {
			held[accounts[i]] = r.json()
		}
	}
	return json.Marshal(held)
}

// increment adds to a counter, a plain key that "read" reads, and answers the new sum.
func (c *referenceClient) increment(ctx context.Context, op history.Op) (json.RawMessage, error) {
	return c.addTo(ctx, op.Key, string(op.Value))
}

// generate answers the next number.
func (c *referenceClient) generate(ctx context.Context, op history.Op) (json.RawMessage, error) {
	return c.addTo(ctx, idPrefix+op.Key, "1")
}

func (c *referenceClient) addTo(ctx context.Context, key, amount string) (json.RawMessage, error) {
	results, err := c.commit(ctx, nil, []step{set("add", key, amount)})
	if err != nil {
		return nil, err
	}
	return results[0].json(), nil
}
