// Package procevents tells of programs that processes begin to run, as the kernel makes them known to all who listen (the process
// connector, CN_PROC).
//
// The one idea behind it is that what an exec undoes can be done again before the new program gets far: the event comes
// within a fraction of a millisecond, where a look at /proc every so often is late by half its interval.
//
// It needs Linux, CAP_NET_ADMIN, and the first user and PID namespaces: the kernel ignores everybody else in silence, so Listen
// waits for its answer.
package procevents

import (
	"errors"
	"time"
)

var (
	// ErrUnavailable is of a machine, or a namespace, in which the kernel does not tell of processes. Its text says what is missing.
	ErrUnavailable = errors.New("the kernel does not tell of execs here: that takes Linux with CONFIG_PROC_EVENTS, CAP_NET_ADMIN, and the first user and PID namespaces")
	// ErrLost says that events were lost because they came faster than they were read. The listener goes on.
	ErrLost = errors.New("events of processes were lost; look at all of them")
)

// Exec is a process that began to run a program.
type Exec struct {
	PID int
	At  time.Duration // on the host's monotonic clock
}
