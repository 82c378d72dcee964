package checker

import (
	"bytes"
	"encoding/json"

	"rift/harness/history"
)

// The kinds of operations on a register, as the quick method sees them.
const (
	regRead uint8 = iota
	regWrite
	regCAS
	regMismatch // a cas that found its old value not to be there
)

// regOp is an operation on a register in twenty bytes; values are numbered, null is 0.
type regOp struct {
	span
	value int32 // read; or written
	old   int32 // cas: found; mismatch: not found
	kind  uint8
}

// valueTable numbers JSON values.
type valueTable struct{ ids map[string]int32 }

func (t *valueTable) id(b json.RawMessage) int32 {
	if len(b) == 0 || len(b) == 4 && string(b) == null {
		return 0
	}
	if id, ok := t.ids[string(b)]; ok {
		return id
	}
	spelled := text(b)
	id, ok := t.ids[spelled]
	if !ok {
		id = int32(len(t.ids) + 1)
		t.ids[spelled] = id
	}
	return id
}

// registerOps reads operations as Register's Decode and Model.decode do, without keeping the values, and numbers them below values. False if
// there is one that cannot be read.
func registerOps(v view, spans []span) (ops []regOp, values int, ok bool) {
	t := valueTable{ids: make(map[string]int32, len(spans)/2)}
	ops = make([]regOp, 0, len(spans))
	for _, s := range spans {
		outcome := v.outcome(s)
		if outcome == history.Fail && !Observes(v.operation(s)) {
			continue
		}
		e := &v.h[s.call]
		o := regOp{span: s}
		switch {
		case e.F == "read" && outcome == history.OK:
			o.kind, o.value = regRead, t.id(v.h[s.ret].Value)
		case e.F == "read":
			continue
		case e.F == "write":
			o.kind, o.value = regWrite, t.id(e.Value)
		case e.F == "cas":
			was, is, ok := halves(e.Value)
			if !ok {
				return nil, 0, false
			}
			o.kind, o.old, o.value = regCAS, t.id(was), t.id(is)
			if outcome == history.Fail {
				o.kind = regMismatch
			}
		default:
			return nil, 0, false
		}
		if outcome == history.Info {
			o.ret = never
		}
		ops = append(ops, o)
	}
	return ops, len(t.ids) + 1, true
}

// halves takes an array of two apart.
func halves(b json.RawMessage) (first, second json.RawMessage, ok bool) {
	if n := len(b); n > 2 && b[0] == '[' && !bytes.ContainsAny(b[1:n-1], "[{\" ") {
		first, second, ok = bytes.Cut(b[1:n-1], []byte(","))
		return first, second, ok && bytes.IndexByte(second, ',') < 0
	}
	var both []json.RawMessage
	if json.Unmarshal(b, &both) != nil || len(both) != 2 {
		return nil, nil, false
	}
	return both[0], both[1], true
}
