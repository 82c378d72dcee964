package checker

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"rift/harness/history"
)

// MultiRegister is several registers that one transaction reads and writes at an instant: "txn" takes
// [["read", key, null], ["write", key, value], ...] and answers the same with the values that were read.
// "r" and "w" do as well. A register that is not in first begins as null.
func MultiRegister(first map[string]string) Model {
	return Model{
		Name: "multi-register",
		Doc:  "A transaction reads and writes several registers at one instant.",
		Init: registersOf(first), Decode: decodeMulti, Step: stepMulti,
		Describe: func(state any) string { return "the registers hold " + string(state.(registers)) },
	}
}

// registers is a JSON object of the registers that are not null, keys sorted.
type registers string

func registersOf(m map[string]string) registers {
	parts := make([]string, 0, len(m))
	for _, key := range slices.Sorted(maps.Keys(m)) {
		name, _ := json.Marshal(key) // a string always marshals
		parts = append(parts, fmt.Sprintf("%s:%s", name, m[key]))
	}
	return registers("{" + strings.Join(parts, ",") + "}")
}

func (r registers) split() map[string]string {
	var raw map[string]json.RawMessage
	_ = json.Unmarshal([]byte(r), &raw) // registersOf wrote it
	m := make(map[string]string, len(raw))
	for key, value := range raw {
		m[key] = string(value)
	}
	return m
}

// micro is one read or write of a transaction.
type micro struct {
	write      bool
	key, value string
}

func decodeMulti(o history.Operation) (Call, error) {
	if o.F != "txn" {
		return Call{}, unknownFunction(o.F, "txn")
	}
	b := o.Output
	if o.Type != history.OK {
		b = o.Input
	}
	var parts [][]json.RawMessage
	if err := json.Unmarshal(b, &parts); err != nil {
		return Call{}, fmt.Errorf("value: %.60s given, an array of [function, key, value] allowed", b)
	}
	txn := make([]micro, len(parts))
	pure := true
	for i, p := range parts {
		if len(p) != 3 {
			return Call{}, fmt.Errorf("value: element %d has %d parts, 3 allowed", i, len(p))
		}
		f := strings.Trim(string(p[0]), `"`)
		switch f {
		case "read", "r":
		case "write", "w":
			txn[i].write, pure = true, false
		default:
			return Call{}, unknownFunction(f, "read", "write")
		}
		txn[i].key, txn[i].value = strings.Trim(text(p[1]), `"`), text(p[2])
	}
	return Call{F: o.F, In: &txn, Pure: pure}, nil
}

func stepMulti(state any, c Call) (any, bool) {
	m := state.(registers).split()
	for _, op := range *c.In.(*[]micro) {
		now, ok := m[op.key]
		if !ok {
			now = null
		}
		switch {
		case op.write && op.value == null:
			delete(m, op.key)
		case op.write:
			m[op.key] = op.value
		case !c.Pending && now != op.value:
			return state, false
		}
	}
	return registersOf(m), true
}
