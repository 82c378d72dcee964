package history

import (
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// Never is the return time and index of an operation that did not complete.
const Never = math.MaxInt64

// Operation is a client's operation with both its ends.
type Operation struct {
	Process   int
	F         string
	Key       string
	Node      string
	Input     json.RawMessage // the invocation's value
	Output    json.RawMessage // the completion's value; nil where there is none
	Type      Type            // OK, Fail or Info; Info also where the history ends before the completion
	Error     string
	Invoked   time.Duration
	Completed time.Duration // Never if no completion was recorded
	Index     int           // the invocation's index in the history
	End       int           // the completion's index in the history; Never if none was recorded
}

// Pending says whether the operation may take effect at any time after its invocation, even after
// the end of the history.
func (o Operation) Pending() bool { return o.Type == Info }

// Operations pairs the clients' invocations with their completions, in the order of invocation.
// Nemesis events are left out. It fails on a history that no harness can have recorded: a completion without an
// invocation, or an invocation by a process that is still busy or was retired by an info.
func (h History) Operations() ([]Operation, error) {
	ops := make([]Operation, 0, len(h)/2+1)
	open := make(map[int]int)     // process -> its operation's place in ops
	retired := make(map[int]bool) // processes whose last operation is indeterminate
	for i := range h {
		e := &h[i]
		if e.Nemesis() {
			continue
		}
		at, busy := open[e.Process]
		if e.Type == Invoke {
			if busy || retired[e.Process] {
				return nil, fmt.Errorf("history line %d: process %d invokes %q while its earlier operation is still open", e.Index, e.Process, e.F)
			}
			open[e.Process] = len(ops)
			ops = append(ops, Operation{
				Process: e.Process, F: e.F, Key: e.Key, Node: e.Node, Input: e.Value, Type: Info,
				Invoked: e.Time, Completed: Never, Index: e.Index, End: Never,
			})
			continue
		}
		if !busy {
			return nil, fmt.Errorf("history line %d: process %d completes %q that it never invoked", e.Index, e.Process, e.F)
		}
		o := &ops[at]
		if o.F != e.F {
			return nil, fmt.Errorf("history line %d: process %d completes %q, but it invoked %q", e.Index, e.Process, e.F, o.F)
		}
		o.Type, o.Output, o.Error, o.Completed, o.End = e.Type, e.Value, e.Error, e.Time, e.Index
		delete(open, e.Process)
		if e.Type == Info {
			retired[e.Process] = true
		}
	}
	return ops, nil
}
