package checker

import (
	"fmt"
	"slices"
	"strings"

	"rift/harness/history"
)

// Queue is first in, first out: "enqueue" takes a value; "dequeue" answers the oldest, or null from an empty queue.
func Queue() Model {
	return Model{
		Name: "queue",
		Doc:  "A dequeue takes the oldest value out.",
		Init: items(""), Decode: decodeTake("enqueue", "dequeue"), Step: stepQueue,
		Describe: func(state any) string { return state.(items).describe("queue") },
	}
}

// Stack is last in, first out: "push" takes a value; "pop" answers the latest, or null from an empty stack.
func Stack() Model {
	return Model{
		Name: "stack",
		Doc:  "A pop takes the latest value off.",
		Init: items(""), Decode: decodeTake("push", "pop"), Step: stepStack,
		Describe: func(state any) string { return state.(items).describe("stack") },
	}
}

// UnorderedQueue gives its values back in any order. A dequeue answers a value: one that finds nothing must fail. A pending
// dequeue is dropped, since nothing can show that it took a value out.
func UnorderedQueue() Model {
	decode := decodeTake("enqueue", "dequeue")
	return Model{
		Name: "unordered-queue",
		Doc:  "A dequeue takes out a value that is in the queue.",
		Init: items(""), Step: stepUnordered,
		Decode: func(o history.Operation) (Call, error) {
			c, err := decode(o)
			if err == nil && c.F == "dequeue" && c.Out == null && o.Type == history.OK {
				err = fmt.Errorf("value: null given, a value allowed; a dequeue that finds nothing must fail")
			}
			c.Pure = c.F == "dequeue" && o.Pending()
			return c, err
		},
		Describe: func(state any) string { return state.(items).describe("queue") },
	}
}

// decodeTake reads operations that put values in and take them out.
func decodeTake(put, take string) func(o history.Operation) (Call, error) {
	return func(o history.Operation) (Call, error) {
		switch o.F {
		case put:
			return Call{F: o.F, In: text(o.Input)}, nil
		case take:
			return Call{F: o.F, Out: text(o.Output)}, nil
		}
		return Call{}, unknownFunction(o.F, put, take)
	}
}

// took says whether a call that took v out fits, null standing for nothing.
func took(c Call, v string) bool { return c.Pending || c.Out == v }

func stepQueue(state any, c Call) (any, bool) {
	s := state.(items)
	if c.F == "enqueue" {
		return s.with(c.In.(string)), true
	}
	if s == "" {
		return s, took(c, null)
	}
	first, rest, _ := strings.Cut(string(s), "\n")
	return items(rest), took(c, first)
}

func stepStack(state any, c Call) (any, bool) {
	s := state.(items)
	if c.F == "push" {
		return s.with(c.In.(string)), true
	}
	if s == "" {
		return s, took(c, null)
	}
	at := strings.LastIndexByte(string(s), '\n')
	return s[:max(at, 0)], took(c, string(s[at+1:]))
}

func stepUnordered(state any, c Call) (any, bool) {
	all := state.(items).split()
	if c.F == "enqueue" {
		at, _ := slices.BinarySearch(all, c.In.(string))
		return join(slices.Insert(all, at, c.In.(string))), true
	}
	at, found := slices.BinarySearch(all, c.Out.(string))
	if !found {
		return state, false
	}
	return join(slices.Delete(all, at, at+1)), true
}
