// Package gen makes the streams of operations that clients carry out.
//
// The one idea behind it is that a generator is a pure value. Next gives a step and the generator of what
// follows, and changes nothing; so a stream is a function of its seed and of who asked when, can be drawn
// before a run to be looked at, and drawn again after it. Whatever is random is a function of a seed and of the
// place in the stream, not of how many other streams were drawn from. The combinators are Jepsen's (jepsen.generator), by their names.
package gen

import (
	"encoding/json"
	"time"

	"rift/harness/history"
)

// Op is an operation that a worker is asked to invoke.
type Op struct {
	F     string          `json:"f"`
	Key   string          `json:"key,omitempty"`
	Value json.RawMessage `json:"value,omitempty"`
}

// Context is what a generator may look at.
type Context struct {
	Worker  int           // who asks, from 0
	Workers int           // how many there are
	Time    time.Duration // since the phase began
	Busy    int           // how many workers have an operation open
}

// Status says what came of asking.
type Status uint8

const (
	Done  Status = iota // this worker gets nothing more in this phase
	Ready               // Op is to be invoked, not before At
	Wait                // nothing now: ask again after any operation has ended
)

// Step is the answer to one worker.
type Step struct {
	Status Status
	Op     Op
	At     time.Duration // since the phase began; a time that has passed means now
}

// Generator gives operations. Implementations are immutable values.
type Generator interface {
	Next(c Context) (Step, Generator)
}

// Observer is a generator that wants to know how operations end. Every operation that a generator gave is
// reported once, by the worker that carried it out.
type Observer interface {
	Observe(worker int, ended history.Type) Generator
}

// Observe tells g how a worker's operation ended, if it wants to know.
func Observe(g Generator, worker int, ended history.Type) Generator {
	if o, ok := g.(Observer); ok {
		return o.Observe(worker, ended)
	}
	return g
}

// Draw is the i-th draw of the stream with that seed: a pure function, uniform over 64 bits (splitmix64, Steele et al., OOPSLA 2014).
func Draw(seed int64, i int) uint64 {
	z := uint64(seed) + (uint64(i)+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Below maps a draw to 0 ≤ x < n. The bias is below n/2^64.
func Below(draw uint64, n int) int {
	return int(draw % uint64(n))
}
