package system

import (
	"encoding/json"
	"fmt"

	"rift/harness"
	"rift/harness/history"
)

// microOperation is a part of a transaction: ["r", key, null], ["w", key, value] or ["append", key, value]. What a read sees takes
// the place of its null.
type microOperation [3]json.RawMessage

// The functions of micro-operations, as they stand in JSON.
const (
	microRead   = `"r"`
	microWrite  = `"w"`
	microAppend = `"append"`
)

// microOperations are the parts of a "txn" operation.
func microOperations(op history.Op) ([]microOperation, error) {
	var ops []microOperation
	if err := json.Unmarshal(op.Value, &ops); err != nil || len(ops) == 0 {
		return nil, unusable(op, "an array of [function, key, value]")
	}
	for _, o := range ops {
		switch string(o[0]) {
		case microRead, microWrite, microAppend:
		default:
			return nil, unusable(op, `"r", "w" or "append" as the function`)
		}
	}
	return ops, nil
}

// asKey is a micro-operation's key, a JSON string or number, as the store knows it.
func asKey(key json.RawMessage) string {
	var s string
	if json.Unmarshal(key, &s) == nil {
		return s
	}
	return string(key)
}

// applyMicro carries micro-operations out on a state, fills in what they read, and gives the last value of each key that they write.
func applyMicro(ops []microOperation, state map[string]json.RawMessage) (writes map[string]json.RawMessage, err error) {
	writes = make(map[string]json.RawMessage)
	for i, o := range ops {
		key := asKey(o[1])
		value, found := state[key]
		switch string(o[0]) {
		case microRead:
			if !found {
				value = json.RawMessage("null")
			}
			ops[i][2] = value
			continue
		case microWrite:
			value = o[2]
		case microAppend:
			var list []json.RawMessage
			if found {
				if err := json.Unmarshal(value, &list); err != nil {
					return nil, fmt.Errorf("append: the node holds %.60q as a list (%w)", value, harness.ErrDidNotHappen)
				}
			}
			if value, err = json.Marshal(append(list, o[2])); err != nil {
				return nil, fmt.Errorf("append: %w (%w)", err, harness.ErrDidNotHappen)
			}
		}
		state[key], writes[key] = value, value
	}
	return writes, nil
}
