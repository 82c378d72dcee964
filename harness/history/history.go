// Package history owns what a run leaves behind: the history of operations, the plan that was
// carried out, the evidence that its faults bit, and the folder that holds them.
//
// The one idea behind it is the seam between running and judging. Everything that makes a run
// writes these files as things happen; everything that judges or draws a run is a function of
// them. So a run can be judged again, years later, by better checkers, and a run whose harness
// died can still be judged up to its last instant.
package history

import (
	"encoding/json"
	"fmt"
	"time"
)

// Type says which end of an operation an event is, and how the operation ended.
type Type uint8

// Every operation is an Invoke followed by exactly one of OK (it took effect), Fail (it certainly
// did not) or Info (nobody knows). The zero value is no type at all, so that a forgotten one is seen.
const (
	Invoke Type = 1 + iota
	OK
	Fail
	Info
)

var typeNames = [...]string{Invoke: "invoke", OK: "ok", Fail: "fail", Info: "info"}

// String is the type's name in history.jsonl.
func (t Type) String() string {
	if t < Invoke || t > Info {
		return fmt.Sprintf("type(%d)", uint8(t))
	}
	return typeNames[t]
}

// ParseType is the inverse of String.
func ParseType(s string) (Type, error) {
	for t := Invoke; t <= Info; t++ {
		if typeNames[t] == s {
			return t, nil
		}
	}
	return 0, fmt.Errorf("type: %q given, one of invoke, ok, fail, info allowed", s)
}

// MarshalText writes the type's name.
func (t Type) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads the type's name.
func (t *Type) UnmarshalText(b []byte) (err error) {
	*t, err = ParseType(string(b))
	return err
}

// Op is one event of a history: one end of one operation, one line of history.jsonl.
type Op struct {
	Index   int             `json:"index"`           // position in the history, from 0
	Time    time.Duration   `json:"time"`            // nanoseconds since the run's start, monotonic
	Process int             `json:"process"`         // clients from 0, nemesis lanes below 0
	Type    Type            `json:"type"`            // invoke, ok, fail or info
	F       string          `json:"f"`               // the function: "read", "write", "cas", "kill", ...
	Key     string          `json:"key,omitempty"`   // the independent object it touches; empty: the whole system
	Value   json.RawMessage `json:"value,omitempty"` // argument or result, owned by the workload's codec
	Node    string          `json:"node,omitempty"`  // the node the client is connected to
	Error   string          `json:"error,omitempty"` // why it failed or is indeterminate
}

// Nemesis says whether the event is a fault's and not a client's.
func (o Op) Nemesis() bool { return o.Process < 0 }

// History is a run's events in the order in which they were recorded, which is their real-time
// order: where two times are equal, the order decides.
type History []Op
