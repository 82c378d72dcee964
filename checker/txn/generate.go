package txn

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"rift/harness/history"
)

// Isolation is how a generated history's database works.
type Isolation uint8

const (
	Atomic   Isolation = iota // a transaction takes effect at one instant between its invocation and its completion
	Snapshot                  // it reads as of one instant and writes at a later one, unless somebody else wrote to its keys in between
	Torn                      // each micro-operation takes effect at an instant of its own, and failed transactions leave their writes behind
)

// Generator makes histories of transactions, for tests and benchmarks of checkers. Keys are drawn uniformly from the active ones, and
// half of the micro-operations are writes. The numbers are at least 1, and the shares from 0 to 1.
type Generator struct {
	Kind         Kind
	Isolation    Isolation
	Txns         int     // invocations
	Processes    int     // transactions that run at a time
	Keys         int     // keys active at a time
	WritesPerKey int     // a key is retired, and a new one takes its place, after exactly so many writes
	MaxOps       int     // a transaction has 1 to so many micro-operations
	Fail         float64 // the share of transactions that fail
	Info         float64 // the share that ends indeterminate; half of those took effect
	Stale        float64 // the share that reads an older state than it should
}

// DefaultGenerator is the shape of list-append histories that the project's published figures are measured on.
func DefaultGenerator(txns int) Generator {
	return Generator{Txns: txns, Processes: 10, Keys: 10, WritesPerKey: 256, MaxOps: 5}
}

// Generate makes a history, which is a function of the generator and the random numbers.
func (g Generator) Generate(r *rand.Rand) history.History {
	d := &database{Generator: g, rand: r, h: make(history.History, 0, 2*g.Txns), nextProcess: g.Processes}
	for range g.Keys {
		d.newKey()
	}
	for p := range g.Processes {
		d.running = append(d.running, &client{process: p})
	}
	for len(d.running) > 0 {
		i := r.IntN(len(d.running))
		if !d.advance(d.running[i]) {
			d.running = slices.Delete(d.running, i, i+1)
		}
	}
	return d.h
}

// database is a simulated database with its clients.
type database struct {
	Generator
	rand        *rand.Rand
	h           history.History
	keys        []keyState
	active      []int // places in keys
	running     []*client
	nextProcess int
	invoked     int
	clock       int32 // number of instants so far
}

// keyState is a key with all its writes in the order in which they took effect.
type keyState struct {
	drawn  int // writes handed out to transactions
	values []int
	times  []int32
	text   []byte // the values with commas between them
	ends   []int  // where each one ends in text
}

// client is one process and its current transaction.
type client struct {
	process int
	ops     []planned
	done    int // micro-operations that took effect
	begun   bool
	since   int32 // the instant as of which it reads
	fate    history.Type
	effect  bool
	results []byte
}

// planned is a micro-operation that is to be performed.
type planned struct {
	key   int
	value int // 0 for a read
}

func (d *database) newKey() {
	d.active = append(d.active, len(d.keys))
	d.keys = append(d.keys, keyState{})
}

// advance lets a client take its next step. It is false when there is nothing left to do.
func (d *database) advance(c *client) bool {
	switch {
	case c.ops == nil:
		if d.invoked == d.Txns {
			return false
		}
		d.invoked++
		d.plan(c)
		d.record(c, history.Invoke, d.text(c, nil))
	case !c.begun:
		c.begun, c.since = true, d.clock
		if d.rand.Float64() < d.Stale {
			c.since -= int32(d.rand.IntN(int(min(c.since, 20)) + 1))
		}
		if d.Isolation == Atomic {
			d.commit(c)
		}
	case c.done < len(c.ops) && d.Isolation == Torn:
		c.since = d.clock
		d.perform(c, c.ops[c.done])
		c.done++
	case c.done < len(c.ops):
		d.commit(c)
	default:
		d.complete(c)
	}
	return true
}

// plan draws a client's next transaction.
func (d *database) plan(c *client) {
	*c = client{process: c.process, fate: history.OK, effect: true}
	for range 1 + d.rand.IntN(d.MaxOps) {
		at := d.rand.IntN(len(d.active))
		o := planned{key: d.active[at]}
		if d.rand.IntN(2) == 0 {
			k := &d.keys[o.key]
			k.drawn++
			if o.value = k.drawn; k.drawn == d.WritesPerKey {
				d.active = slices.Delete(d.active, at, at+1)
				d.newKey()
			}
		}
		c.ops = append(c.ops, o)
	}
	switch p := d.rand.Float64(); {
	case p < d.Fail:
		c.fate, c.effect = history.Fail, d.Isolation == Torn
	case p < d.Fail+d.Info:
		c.fate, c.effect = history.Info, d.rand.IntN(2) == 0
	}
}

// commit lets a whole transaction take effect now.
func (d *database) commit(c *client) {
	if d.Isolation == Snapshot && d.conflict(c) {
		c.effect = false
		if c.fate == history.OK {
			c.fate = history.Fail
		}
	}
	for _, o := range c.ops {
		d.perform(c, o)
	}
	c.done = len(c.ops)
	d.clock++
}

// conflict says whether somebody wrote to a transaction's keys after it took its snapshot.
func (d *database) conflict(c *client) bool {
	return slices.ContainsFunc(c.ops, func(o planned) bool {
		k := &d.keys[o.key]
		return o.value > 0 && len(k.times) > 0 && k.times[len(k.times)-1] > c.since
	})
}

// perform lets one micro-operation take effect: writes at the next instant, reads as of c.since with the transaction's own writes.
func (d *database) perform(c *client, o planned) {
	k := &d.keys[o.key]
	if o.value > 0 {
		if c.effect {
			if len(k.values) > 0 {
				k.text = append(k.text, ',')
			}
			k.values, k.times, k.text = append(k.values, o.value), append(k.times, d.clock+1), strconv.AppendInt(k.text, int64(o.value), 10)
			k.ends = append(k.ends, len(k.text))
		}
		if d.Isolation == Torn {
			d.clock++
		}
		c.results = d.result(c.results, o, nil)
		return
	}
	n, _ := slices.BinarySearch(k.times, c.since+1)
	if d.Isolation == Torn {
		n = len(k.values)
	}
	own := n
	for own < len(k.times) && k.times[own] <= d.clock {
		own++ // what others did since the snapshot
	}
	var value []byte
	switch {
	case d.Kind == Register && own < len(k.values):
		value = strconv.AppendInt(nil, int64(k.values[len(k.values)-1]), 10)
	case d.Kind == Register && n > 0:
		value = strconv.AppendInt(nil, int64(k.values[n-1]), 10)
	case d.Kind == ListAppend:
		value = d.list(k, n, own)
	}
	c.results = d.result(c.results, o, value)
}

// list is the text of a key's first n values and of those from place own on.
func (d *database) list(k *keyState, n, own int) []byte {
	text := append(make([]byte, 0, len(k.text)+2), '[')
	if n > 0 {
		text = append(text, k.text[:k.ends[n-1]]...)
	}
	for _, v := range k.values[own:] {
		if len(text) > 1 {
			text = append(text, ',')
		}
		text = strconv.AppendInt(text, int64(v), 10)
	}
	return append(text, ']')
}

// text is a transaction with the given results, or that of an invocation.
func (d *database) text(c *client, results []byte) []byte {
	if results == nil {
		for _, o := range c.ops {
			results = d.result(results, o, nil)
		}
	}
	return append(append(append(make([]byte, 0, len(results)+1), '['), results[1:]...), ']')
}

// result appends a comma and a micro-operation.
func (d *database) result(b []byte, o planned, read []byte) []byte {
	f := `"r"`
	if o.value > 0 {
		f = d.Kind.write()
		read = strconv.AppendInt(nil, int64(o.value), 10)
	} else if read == nil {
		read = []byte("null")
	}
	b = append(append(append(b, ",["...), f...), ',')
	b = append(strconv.AppendInt(b, int64(o.key), 10), ',')
	return append(append(b, read...), ']')
}

// complete ends a client's transaction.
func (d *database) complete(c *client) {
	text := d.text(c, c.results)
	if c.fate != history.OK {
		text = nil
	}
	d.record(c, c.fate, text)
	if c.fate == history.Info {
		c.process, d.nextProcess = d.nextProcess, d.nextProcess+1
	}
	c.ops = nil
}

func (d *database) record(c *client, t history.Type, value []byte) {
	d.h = append(d.h, history.Op{
		Index: len(d.h), Time: time.Duration(len(d.h)) * 100 * time.Microsecond,
		Process: c.process, Type: t, F: operation, Value: value,
	})
}
