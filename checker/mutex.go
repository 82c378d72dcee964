package checker

import (
	"fmt"

	"rift/harness/history"
)

// Mutex is a lock with "acquire" and "release" that does not care who releases it.
func Mutex() Model {
	return Model{
		Name: "mutex",
		Doc:  "The lock is acquired only while it is free, and released only while it is held.",
		Init: lock{}, Decode: decodeLock(false), Step: stepLock(1),
		Describe: describeLock,
	}
}

// OwnedMutex is a lock that only its holder can release. The holder is the operation's value, or else its process.
func OwnedMutex() Model {
	m := Mutex()
	m.Name, m.Decode = "owned-mutex", decodeLock(true)
	m.Doc = "The lock is acquired only while it is free, and released only by its holder."
	return m
}

// ReentrantMutex is a lock that its holder may acquire up to most times, and must release as often.
func ReentrantMutex(most int) Model {
	m := OwnedMutex()
	m.Name, m.Step = "reentrant-mutex", stepLock(most)
	m.Doc = fmt.Sprintf("The lock is acquired by one client at a time, up to %d times, and is free once it was released as often.", most)
	return m
}

// lock is a lock's state: who holds it, and how many times.
type lock struct {
	holder string
	depth  int
}

func describeLock(state any) string {
	switch s := state.(lock); {
	case s.depth == 0:
		return "the lock is free"
	case s.holder == "":
		return "the lock is held"
	default:
		return fmt.Sprintf("the lock is held by %s (%d)", s.holder, s.depth)
	}
}

func decodeLock(owned bool) func(o history.Operation) (Call, error) {
	return func(o history.Operation) (Call, error) {
		if o.F != "acquire" && o.F != "release" {
			return Call{}, unknownFunction(o.F, "acquire", "release")
		}
		if !owned {
			return Call{F: o.F, In: ""}, nil
		}
		return Call{F: o.F, In: holder(o)}, nil
	}
}

func stepLock(most int) func(state any, c Call) (any, bool) {
	return func(state any, c Call) (any, bool) {
		s, who := state.(lock), c.In.(string)
		switch {
		case c.F == "acquire" && s.depth == 0:
			return lock{who, 1}, true
		case c.F == "acquire":
			return lock{who, s.depth + 1}, s.holder == who && s.depth < most
		case s.depth == 0 || s.holder != who:
			return s, false
		case s.depth == 1:
			return lock{}, true
		}
		return lock{who, s.depth - 1}, true
	}
}
