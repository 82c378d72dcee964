package system

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"rift/harness"
	"rift/harness/history"
)

// enqueue puts a value behind a queue, which is kept as one JSON array.
func (c *referenceClient) enqueue(ctx context.Context, op history.Op) (json.RawMessage, error) {
	_, err := c.commit(ctx, nil, []step{set("append", queuePrefix+op.Key, string(op.Value))})
	return op.Value, err
}

// dequeue takes the first value out of a queue, and answers null if there is none.
func (c *referenceClient) dequeue(ctx context.Context, op history.Op) (json.RawMessage, error) {
	taken, err := c.take(ctx, op, 1)
	if err != nil || len(taken) == 0 {
		return json.RawMessage("null"), err
	}
	return taken[0], nil
}

// drain takes everything out of a queue.
func (c *referenceClient) drain(ctx context.Context, op history.Op) (json.RawMessage, error) {
	taken, err := c.take(ctx, op, -1)
	if err != nil {
		return nil, err
	}
	return json.Marshal(append([]json.RawMessage{}, taken...))
}

// take takes the first n values out of a queue, or all for -1. It reads the queue and then writes the rest, unless somebody
// else has changed it meanwhile.
func (c *referenceClient) take(ctx context.Context, op history.Op, n int) ([]json.RawMessage, error) {
	key := queuePrefix + op.Key
	now, read, err := c.look(ctx, key)
	if err != nil || !now[0].Found {
		return nil, err
	}
	var values []json.RawMessage
	if err := json.Unmarshal([]byte(now[0].Value), &values); err != nil {
		return nil, fmt.Errorf("%s: the node holds %.60q as a queue (%w)", op.F, now[0].Value, harness.ErrDidNotHappen)
	}
	if n < 0 {
		n = len(values)
	}
	n = min(n, len(values))
	if n == 0 {
		return nil, nil
	}
	rest, err := json.Marshal(values[n:])
	if err != nil {
		return nil, fmt.Errorf("%s: %w (%w)", op.F, err, harness.ErrDidNotHappen)
	}
	if _, err := c.commit(ctx, read, []step{set("put", key, string(rest))}); err != nil {
		return nil, err
	}
	return values[:n], nil
}

// acquire takes a lock for the process, and answers its fence.
func (c *referenceClient) acquire(ctx context.Context, op history.Op) (json.RawMessage, error) {
	lock := lockPrefix + op.Key
	a, err := c.transact(ctx, transaction{
		Compare: []comparison{{Key: lock, Revision: new(uint64)}},
		Then:    []step{set("put", lock, strconv.Itoa(op.Process)), set("add", fencePrefix+op.Key, "1")},
		Else:    []step{get(lock)},
	})
	switch {
	case err != nil:
		return nil, err
	case !a.Succeeded:
		return nil, fmt.Errorf("held by process %s (%w)", a.Results[0].Value, harness.ErrDidNotHappen)
	}
	return a.Results[1].json(), nil
}

// release gives a lock back, if the process holds it.
func (c *referenceClient) release(ctx context.Context, op history.Op) (json.RawMessage, error) {
	lock, holder := lockPrefix+op.Key, strconv.Itoa(op.Process)
	a, err := c.transact(ctx, transaction{
		Compare: []comparison{{Key: lock, Value: &holder}},
		Then:    []step{{Op: "delete", Key: lock}},
	})
	if err == nil && !a.Succeeded {
		err = fmt.Errorf("not held (%w)", harness.ErrDidNotHappen)
	}
	return nil, err
}
