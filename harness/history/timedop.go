package history

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// TimedOp is an operation that one client is to invoke at one time: a stream of operations as plain data, which can be shortened, and run again. It
// is one line of ops.jsonl.
type TimedOp struct {
	Client int             `json:"client"` // the worker, from 0; it talks to node number Client modulo the number of nodes
	At     Duration        `json:"at"`     // since the start of the main phase; a client that is still busy then begins when it is free
	F      string          `json:"f"`
	Key    string          `json:"key,omitempty"`
	Value  json.RawMessage `json:"value,omitempty"`
}

// UnmarshalJSON reads an operation. Its value becomes part of one line of a history, so it is put on one line here; fields that there are not are refused, since
// an operation that lacks something is another one.
func (o *TimedOp) UnmarshalJSON(b []byte) error {
	type fields TimedOp // without this method
	in := json.NewDecoder(bytes.NewReader(b))
	in.DisallowUnknownFields()
	if err := in.Decode((*fields)(o)); err != nil {
		return err
	}
	if o.Value == nil {
		return nil
	}
	var value bytes.Buffer
	if err := json.Compact(&value, o.Value); err != nil {
		return err
	}
	o.Value = value.Bytes()
	return nil
}

// ReadOps reads operations, one a line. Errors name the line and the field.
func ReadOps(r io.Reader) ([]TimedOp, error) {
	var ops []TimedOp
	damage, err := readLines(bufio.NewReader(r), func(line []byte) error {
		var op TimedOp
		if err := json.Unmarshal(line, &op); err != nil {
			return err
		}
		ops = append(ops, op)
		return op.check()
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("read operations: %w", err)
	case damage.Line > 0:
		return nil, fmt.Errorf("operations, line %d: %s", damage.Line, damage.Reason)
	case len(ops) == 0:
		return nil, errors.New("operations: none given, one or more lines wanted")
	}
	return ops, nil
}

func (o TimedOp) check() error {
	switch {
	case o.Client < 0:
		return fmt.Errorf("client: %d given, 0 or more allowed", o.Client)
	case o.At < 0:
		return fmt.Errorf("at: %s given, 0s or more allowed", o.At)
	case o.F == "":
		return errors.New("f: nothing given, a function such as read wanted")
	}
	return nil
}

// OpsText writes operations in the form that ReadOps reads.
func OpsText(ops []TimedOp) []byte {
	var b bytes.Buffer
	for _, op := range ops {
		line, _ := json.Marshal(op) // of strings, numbers and JSON
		b.Write(append(line, '\n'))
	}
	return b.Bytes()
}

// Invoked are the operations of a run's main phase, with the times at which they were invoked. A process that was retired and the one that its worker
// went on under are one client. Clients of the same node cannot be told apart then, and need not be.
func (r *Run) Invoked() ([]TimedOp, error) {
	i := slices.IndexFunc(r.Phases, func(p Phase) bool { return p.Name == MainPhase })
	if i < 0 {
		return nil, fmt.Errorf("%s: no %s phase is in %s", r.Dir, MainPhase, PhasesFile)
	}
	start, end := r.Phases[i].Start, r.Phases[i].End
	all, err := r.History.Operations()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.Dir, err)
	}
	clients := make(map[int]int)    // process -> client
	free := make(map[string][]int)  // node -> clients whose process was retired, the first to go on first
	retired := make([]Operation, 0) // that ended info, and are not in free yet
	var ops []TimedOp
	for _, o := range all {
		if o.Invoked >= end {
			break
		}
		client, known := clients[o.Process]
		if !known {
			slices.SortFunc(retired, func(a, b Operation) int { return int(a.Completed - b.Completed) })
			for len(retired) > 0 && retired[0].Completed <= o.Invoked {
				free[retired[0].Node] = append(free[retired[0].Node], clients[retired[0].Process])
				retired = retired[1:]
			}
			if client, err = r.clientOf(o, free); err != nil {
				return nil, err
			}
			clients[o.Process] = client
		}
		if o.Type == Info {
			retired = append(retired, o)
		}
		at := max(0, o.Invoked-start)
		ops = append(ops, TimedOp{Client: client, At: Duration(at), F: o.F, Key: o.Key, Value: o.Input})
	}
	return ops, nil
}

// clientOf is the client that a process which has just appeared belongs to: the first processes are the clients themselves.
func (r *Run) clientOf(o Operation, free map[string][]int) (int, error) {
	if o.Process < r.Test.Concurrency {
		return o.Process, nil
	}
	waiting := free[o.Node]
	if len(waiting) == 0 {
		return 0, fmt.Errorf("history line %d: process %d belongs to no client of %d", o.Index, o.Process, r.Test.Concurrency)
	}
	free[o.Node] = waiting[1:]
	return waiting[0], nil
}
