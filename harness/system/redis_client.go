package system

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"rift/harness"
	"rift/harness/history"
)

// redisClient is one connection to one redis server.
type redisClient struct {
	redisConnection
}

// Open gives a client; the connection is made by the first call.
func (s Redis) Open(_ context.Context, n harness.Node, _ history.Test) (harness.Client, error) {
	return newRedisClient(n), nil
}

func newRedisClient(n harness.Node) *redisClient {
	return &redisClient{redisConnection{dialer: dialer(n), address: address(n, redisPort)}}
}

// Scripts are carried out by the server at one moment.
const (
	// redisCas writes ARGV[2] if the value is ARGV[1], or if there is none and ARGV[1] is null; it answers whether it did.
	redisCas = `local now = redis.call('GET', KEYS[1]) or 'null'
if now ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1`
	// redisDrain takes a whole list.
	redisDrain = `local all = redis.call('LRANGE', KEYS[1], 0, -1)
redis.call('DEL', KEYS[1])
return all`
	// redisTxn carries out micro-operations, function and value of each in ARGV, and answers what the reads saw. Lists are kept as JSON.
	redisTxn = `local seen = {}
for i, key in ipairs(KEYS) do
  local f, value, now = ARGV[2*i-1], ARGV[2*i], redis.call('GET', key)
  seen[i] = f == '"r"' and now
  if f == '"append"' then value = now and string.sub(now, 1, -2) .. ',' .. value .. ']' or '[' .. value .. ']' end
  if f ~= '"r"' then redis.call('SET', key, value) end
end
return seen`
)

// Invoke carries out one operation in one request.
func (c *redisClient) Invoke(ctx context.Context, op history.Op) (json.RawMessage, error) {
	value := string(op.Value)
	switch op.F {
	case "read":
		got, err := c.call(ctx, "GET", op.Key)
		return valueOf(got, changedNothing(err))
	case "write":
		_, err := c.call(ctx, "SET", op.Key, value)
		return op.Value, err
	case "cas":
		return c.cas(ctx, op)
	case "add":
		_, err := c.call(ctx, "SADD", setPrefix(op.Key), value)
		return op.Value, err
	case "list":
		got, err := c.call(ctx, "SMEMBERS", setPrefix(op.Key))
		return valuesOf(got, changedNothing(err))
	case "txn":
		return c.txn(ctx, op)
	case "increment":
		return numberOf(c.call(ctx, "INCRBY", op.Key, value))
	case "generate":
		return numberOf(c.call(ctx, "INCR", idPrefix+op.Key))
	case "enqueue":
		_, err := c.call(ctx, "RPUSH", queuePrefix+op.Key, value)
		return op.Value, err
	case "dequeue":
		return valueOf(c.call(ctx, "LPOP", queuePrefix+op.Key))
	case "drain":
		return valuesOf(c.call(ctx, "EVAL", redisDrain, "1", queuePrefix+op.Key))
	}
	return nil, fmt.Errorf("function %q is not one of this client's (%w)", op.F, harness.ErrDidNotHappen)
}

func (c *redisClient) cas(ctx context.Context, op history.Op) (json.RawMessage, error) {
	var pair [2]json.RawMessage
	if err := json.Unmarshal(op.Value, &pair); err != nil {
		return nil, unusable(op, "[old, new]")
	}
	done, err := numberOf(c.call(ctx, "EVAL", redisCas, "1", op.Key, string(pair[0]), string(pair[1])))
	if err == nil && string(done) == "0" {
		err = harness.ErrMismatch
	}
	return op.Value, err
}

// txn carries out micro-operations at one moment.
func (c *redisClient) txn(ctx context.Context, op history.Op) (json.RawMessage, error) {
	ops, err := microOperations(op)
	if err != nil {
		return nil, err
	}
	command := []string{"EVAL", redisTxn, strconv.Itoa(len(ops))}
	for _, o := range ops {
		command = append(command, asKey(o[1]))
	}
	writes := false
	for _, o := range ops {
		command = append(command, string(o[0]), string(o[2]))
		writes = writes || string(o[0]) != microRead
	}
	got, err := c.call(ctx, command...)
	switch {
	case err != nil && !writes:
		return nil, changedNothing(err)
	case err != nil:
		return nil, err
	}
	seen, ok := got.([]any)
	if !ok || len(seen) != len(ops) {
		return nil, fmt.Errorf("the server answered %.60q to %d operations", fmt.Sprint(got), len(ops))
	}
	for i, o := range ops {
		if string(o[0]) != microRead {
			continue
		}
		if ops[i][2], err = valueOf(seen[i], nil); err != nil {
			return nil, err
		}
	}
	return json.Marshal(ops)
}

// textOf is an answer that must be a text.
func textOf(answer any, err error) (string, error) {
	text, ok := answer.(string)
	if err == nil && !ok {
		err = fmt.Errorf("the server answered %.60q, which is no text", fmt.Sprint(answer))
	}
	return text, err
}

// valueOf is an answer that is a value as the workload wrote it; null if there is none.
func valueOf(answer any, err error) (json.RawMessage, error) {
	if answer == nil && err == nil {
		return json.RawMessage("null"), nil
	}
	text, err := textOf(answer, err)
	if err != nil {
		return nil, err
	}
	return asJSON(text), nil
}

// valuesOf is an answer that is a list of values.
func valuesOf(answer any, err error) (json.RawMessage, error) {
	if err != nil {
		return nil, err
	}
	list, ok := answer.([]any)
	if !ok {
		return nil, fmt.Errorf("the server answered %.60q, which is no list", fmt.Sprint(answer))
	}
	values := make([]json.RawMessage, len(list))
	for i, element := range list {
		if values[i], err = valueOf(element, nil); err != nil {
			return nil, err
		}
	}
	return json.Marshal(values)
}

// numberOf is an answer that must be a number.
func numberOf(answer any, err error) (json.RawMessage, error) {
	n, ok := answer.(int64)
	if err == nil && !ok {
		err = fmt.Errorf("the server answered %.60q, which is no number", fmt.Sprint(answer))
	}
	return strconv.AppendInt(nil, n, 10), err
}
