package checker

import (
	"fmt"
	"math"

	"rift/harness/history"
)

// never is the place of a completion that was not recorded.
const never = math.MaxInt32

// span is one client operation as the places of its two events in the history, which are also its real-time order. An
// operation that completed with info has a completion, but it may take effect at any time after its invocation.
type span struct{ call, ret int32 }

// object is what happened to one key: its operations in the order of invocation.
type object struct {
	key   string
	spans []span
}

// view gives compact access to a history: eight bytes an operation, everything else is read where it
// stands. history.Operations says the same of small histories at twenty times the memory.
type view struct{ h history.History }

// operation spells one operation out.
func (v view) operation(s span) history.Operation {
	e := &v.h[s.call]
	o := history.Operation{
		Process: e.Process, F: e.F, Key: e.Key, Node: e.Node, Input: e.Value, Type: history.Info,
		Invoked: e.Time, Completed: history.Never, Index: int(s.call), End: history.Never,
	}
	if s.ret != never {
		c := &v.h[s.ret]
		o.Type, o.Output, o.Error, o.Completed, o.End = c.Type, c.Value, c.Error, c.Time, int(s.ret)
		if c.Node != "" {
			o.Node = c.Node
		}
	}
	return o
}

// outcome is how the operation ended; info also where no completion was recorded.
func (v view) outcome(s span) history.Type {
	if s.ret == never {
		return history.Info
	}
	return v.h[s.ret].Type
}

// spans pairs the clients' invocations with their completions, in the order of invocation. It refuses what
// history.Operations refuses.
func (v view) spans() ([]span, error) {
	if len(v.h) >= never {
		return nil, fmt.Errorf("history of %d events: at most %d can be judged", len(v.h), never-1)
	}
	const retired = -1
	all := make([]span, 0, len(v.h)/2+1)
	open := make(map[int]int32) // process -> its open operation's place in all, or retired
	for i := range v.h {
		e := &v.h[i]
		if e.Nemesis() {
			continue
		}
		at, busy := open[e.Process]
		if e.Type == history.Invoke {
			if busy {
				return nil, fmt.Errorf("history line %d: process %d invokes %q while its earlier operation is still open", i, e.Process, e.F)
			}
			open[e.Process] = int32(len(all))
			all = append(all, span{int32(i), never})
			continue
		}
		if !busy || at == retired {
			return nil, fmt.Errorf("history line %d: process %d completes %q that it never invoked", i, e.Process, e.F)
		}
		if f := v.h[all[at].call].F; f != e.F {
			return nil, fmt.Errorf("history line %d: process %d completes %q, but it invoked %q", i, e.Process, e.F, f)
		}
		all[at].ret = int32(i)
		if e.Type == history.Info {
			open[e.Process] = retired
		} else {
			delete(open, e.Process)
		}
	}
	return all, nil
}

// objects takes operations apart by key, in the order in which the keys first appear.
func (v view) objects(all []span) []object {
	place := make(map[string]int)
	var sizes []int
	for _, s := range all {
		key := v.h[s.call].Key
		at, known := place[key]
		if !known {
			at = len(sizes)
			place[key] = at
			sizes = append(sizes, 0)
		}
		sizes[at]++
	}
	objects := make([]object, len(sizes))
	for key, at := range place {
		objects[at] = object{key: key, spans: make([]span, 0, sizes[at])}
	}
	for _, s := range all {
		o := &objects[place[v.h[s.call].Key]]
		o.spans = append(o.spans, s)
	}
	return objects
}
