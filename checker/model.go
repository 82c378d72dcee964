package checker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"rift/harness/history"
)

// Model is the sequential specification of one object: what it would answer if operations came one at a
// time. A model is one small file: a struct of functions, without any notion of concurrency.
type Model struct {
	Name string
	Doc  string // what the object promises, in a sentence
	// Init is the state before the first operation. States never change, and are told apart by ==.
	Init any
	// Decode reads an operation whose outcome is ok, info, or a fail that is an observation (see Observes). It gives an
	// error that names the field if the value is not what the function takes.
	Decode func(o history.Operation) (Call, error)
	// Step says whether the call may happen in the state, and what state it leads to. The output of a pending call is not known:
	// every output fits.
	Step func(state any, c Call) (next any, ok bool)
	// Describe is a state in words; nil prints it.
	Describe func(state any) string

	gears   []gear                                   // quicker methods than the search, tried in this order
	explain func(c cause) (anomaly Anomaly, ok bool) // tells what went wrong better than the frontier does; may be nil
}

// Call is one operation as a model sees it. In and Out can be compared with ==.
type Call struct {
	F       string
	In, Out any
	Pure    bool // it never changes the state
	Pending bool // it may happen at any time after its invocation, or never
}

// gear is a method that decides quickly for some histories. It gives Unknown where it cannot tell.
type gear func(v view, o object) decision

// decision is what was found out about one key.
type decision struct {
	verdict Verdict
	method  string
	cut     int32  // invalid: the place of the completion that ends the shortest violating prefix
	core    []span // invalid: a part of that prefix that is invalid on its own; nil if none is known
	steps   int
	hint    *hint // unknown: what was learnt nevertheless; nil if nothing
}

// hint helps the search where a gear could not decide.
type hint struct {
	rank map[int32]int32 // invocation -> in which order effects should be tried
	due  map[int32]int32 // invocation of a pending operation -> the completion by which it certainly had happened
	// All other pending operations are left out. What is then found valid is valid; but what is found invalid need not be, unless exact.
	exact bool
}

// apply gives the operations as the hint has them.
func (h *hint) apply(ops []op) []op {
	hinted := make([]op, 0, len(ops))
	for _, o := range ops {
		if o.Pending {
			due, certain := h.due[o.call]
			if !certain {
				continue
			}
			o.Pending, o.ret = false, due
		}
		o.rank = h.rank[o.call]
		hinted = append(hinted, o)
	}
	return hinted
}

// mismatch begins the error of a cas that certainly did nothing because its comparison certainly did not match.
const mismatch = "mismatch"

// Observes says whether a failed operation tells something about the object: that the value compared with
// was not there at some time while the operation ran. Every other failed operation tells nothing.
func Observes(o history.Operation) bool {
	return o.Type == history.Fail && strings.HasPrefix(o.Error, mismatch)
}

func (m Model) describe(state any) string {
	if m.Describe != nil {
		return m.Describe(state)
	}
	return fmt.Sprint(state)
}

// op is a call with its place in time, ready for the search.
type op struct {
	Call
	span
	rank int32 // the search tries lower ones first
}

// decode reads the operations of an object that count: failed ones are dropped unless they observe
// something, and so are pending ones that have no effect.
func (m Model) decode(v view, spans []span) ([]op, error) {
	ops := make([]op, 0, len(spans))
	for _, s := range spans {
		o := v.operation(s)
		if o.Type == history.Fail && !Observes(o) {
			continue
		}
		c, err := m.Decode(o)
		if err != nil {
			return nil, fmt.Errorf("operation %d, %s by process %d: %w", o.Index, o.F, o.Process, err)
		}
		c.Pending = o.Pending()
		if c.Pending && c.Pure {
			continue
		}
		if c.Pending {
			c.Out, s.ret = nil, never
		}
		ops = append(ops, op{Call: c, span: s})
	}
	return ops, nil
}

// text is a JSON value in a form that can be compared: its text without white space, strings spelled in one way only.
func text(b json.RawMessage) string {
	switch {
	case len(b) == 0:
		return null
	case b[0] == '"' && bytes.IndexByte(b, '\\') >= 0:
		var s string
		if json.Unmarshal(b, &s) == nil {
			spelled, _ := json.Marshal(s) // a string always marshals
			return string(spelled)
		}
	case b[0] != '"' && bytes.ContainsAny(b, " \t\r\n"):
		var compact bytes.Buffer
		if json.Compact(&compact, b) == nil {
			return compact.String()
		}
	}
	return string(b)
}

// unknownFunction is the error for a function that the model does not have.
func unknownFunction(f string, allowed ...string) error {
	return fmt.Errorf("f: %q given, one of %s allowed", f, strings.Join(allowed, ", "))
}

// pair reads a value that is an array of two.
func pair(b json.RawMessage) (first, second string, err error) {
	var both []json.RawMessage
	if err := json.Unmarshal(b, &both); err != nil || len(both) != 2 {
		return "", "", fmt.Errorf("value: %s given, an array of two allowed", b)
	}
	return text(both[0]), text(both[1]), nil
}
