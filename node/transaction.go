package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// The limits of a transaction.
const (
	maxSteps   = 128     // compares and operations in all
	maxResults = 8 << 20 // bytes of all values in its answer; as JSON they are at most six times as long
)

// A transaction is carried out at once by the state machine: if all comparisons hold, the operations of
// then, else those of otherwise. A comparison is a get with a condition. An operation sees the writes of
// those before it. If one of them is refused, none has happened.
type transaction struct {
	compare, then, otherwise []command
}

// readOnly tells whether the transaction can change nothing.
func (x *transaction) readOnly() bool {
	for _, branch := range [][]command{x.then, x.otherwise} {
		for i := range branch {
			if branch[i].op != opGet {
				return false
			}
		}
	}
	return true
}

// An outcome is what a transaction did.
type outcome struct {
	succeeded bool         // all comparisons held
	steps     []stepAnswer // one for each operation of the chosen branch
	refused   *Error       // why the transaction cannot be carried out, always definite; nil if it can
}

// A stepAnswer is the key of an operation as it is after that operation.
type stepAnswer struct {
	Key      string `json:"key"`
	Value    string `json:"value"`
	Found    bool   `json:"found"`
	Revision uint64 `json:"revision"` // 0 if the key does not exist
}

// A draft is a transaction that has been worked out, and that has changed nothing yet.
type draft struct {
	outcome
	before   func(key string) (item, bool)
	revision uint64  // of all the writes
	writes   []write // in their order; the last one of a key counts
	size     int     // bytes of all values in the answer
}

// A write is what a transaction makes of a key.
type write struct {
	key string
	item
	exists bool
}

// evaluate works the transaction out against the state that before shows. Its writes have the given revision.
func (x *transaction) evaluate(before func(key string) (item, bool), revision uint64) *draft {
	d := &draft{before: before, revision: revision}
	d.succeeded = true
	for i := range x.compare {
		d.succeeded = d.succeeded && x.compare[i].holds(before(x.compare[i].key))
	}
	name, steps := "then", x.then
	if !d.succeeded {
		name, steps = "else", x.otherwise
	}
	d.steps = make([]stepAnswer, 0, len(steps))
	for i := range steps {
		if d.refused = d.step(&steps[i]); d.refused != nil {
			d.refused.Message = fmt.Sprintf("%s[%d]: %s", name, i, d.refused.Message)
			break
		}
	}
	return d
}

// get returns what an operation of the transaction sees under key.
func (d *draft) get(key string) (item, bool) {
	for i := len(d.writes) - 1; i >= 0; i-- {
		if w := &d.writes[i]; w.key == key {
			return w.item, w.exists
		}
	}
	return d.before(key)
}

// step works out one operation, or says why it is refused.
func (d *draft) step(c *command) *Error {
	it, exists := d.get(c.key)
	switch {
	case c.op == opDelete && exists:
		it, exists = item{}, false
		d.writes = append(d.writes, write{key: c.key})
	case c.op != opDelete && c.op != opGet:
		value, refused := c.newValue(it.value, exists)
		if refused != nil {
			return refused
		}
		it, exists = item{value: value, revision: d.revision}, true
		d.writes = append(d.writes, write{c.key, it, true})
	}
	if d.size += len(it.value); d.size > maxResults {
		return definitely(CodeTooLarge, "the values of the answer are longer than %d bytes", maxResults)
	}
	d.steps = append(d.steps, stepAnswer{c.key, it.value, exists, it.revision})
	return nil
}

// newValue is what a put, an append or an add makes of a value.
func (c *command) newValue(old string, exists bool) (value string, refused *Error) {
	switch c.op {
	case opAppend:
		if value = appendElement(old, exists, c.value); value == "" {
			return "", definitely(CodeOperationRefused, "append: the key %q holds no JSON array", c.key)
		}
	case opAdd:
		sum, err := add(old, exists, c.value)
		if err != nil {
			return "", definitely(CodeOperationRefused, "add: the key %q: %v", c.key, err)
		}
		value = strconv.FormatInt(sum, 10)
	default:
		value = c.value
	}
	if len(value) > maxBody {
		return "", definitely(CodeTooLarge, "the value of %q would be longer than %d bytes", c.key, maxBody)
	}
	return value, nil
}

// appendElement appends an element to a JSON array; a missing one is empty. It returns "" if there is no array.
func appendElement(array string, exists bool, element string) string {
	const space = " \t\r\n"
	if !exists {
		return "[" + element + "]"
	}
	array = strings.Trim(array, space)
	if !strings.HasPrefix(array, "[") || !json.Valid([]byte(array)) {
		return ""
	}
	head := strings.TrimRight(array[:len(array)-1], space)
	if head != "[" {
		head += ","
	}
	return head + element + "]"
}

// add returns the sum of two integers in decimal; a missing first one is 0.
func add(old string, exists bool, delta string) (int64, error) {
	if !exists {
		old = "0"
	}
	a, err := strconv.ParseInt(old, 10, 64)
	if err != nil {
		return 0, errors.New("it holds no 64-bit integer")
	}
	b, err := strconv.ParseInt(delta, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no 64-bit integer", delta)
	}
	if b > 0 && a > math.MaxInt64-b || b < 0 && a < math.MinInt64-b {
		return 0, fmt.Errorf("%d and %d is out of a 64-bit integer's range", a, b)
	}
	return a + b, nil
}

// transact carries out a transaction: all of its writes, at one new revision, or none.
func (t *transition) transact(x *transaction) result {
	d := x.evaluate(t.get, t.next.revision+1)
	if t.aborted != nil && (!d.succeeded || d.refused != nil) {
		t.aborted(t, x, d)
	}
	if d.refused == nil {
		t.keep(d.revision, d.writes)
	}
	return result{applied: d.refused == nil, cluster: t.next.revision, txn: &d.outcome}
}

// keep makes the writes part of the state, at the given revision.
func (t *transition) keep(revision uint64, writes []write) {
	for _, w := range writes {
		t.next.revision = revision
		if w.exists {
			t.set(w.key, w.item)
		} else {
			t.remove(w.key)
		}
	}
}
