package checker

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"rift/harness/history"
)

// shape says what histories of a register to draw. They are linearizable, unless wrong is above zero.
type shape struct {
	operations int
	clients    int
	keys       int     // 0: one, without a name
	values     int     // written values are drawn from so many; 0: each is written once
	cas        bool    // reads, writes and cas, a third each; else reads and writes
	observe    bool    // a cas that does not match fails with an error that says so
	info       float64 // share of writes and cas that end indeterminate, half of them after they took effect
	fail       float64 // share of operations that fail without having taken effect
	wrong      float64 // share of reads that answer anything
}

// client is one worker of the execution that draw makes up.
type client struct {
	process int
	op      history.Op
	open    bool
	applied bool
	result  history.Op
}

// draw makes up an execution: clients invoke, take effect and complete in a random order.
func draw(r *rand.Rand, s shape) history.History {
	h := make(history.History, 0, 2*s.operations)
	clients := make([]client, s.clients)
	for i := range clients {
		clients[i].process = i
	}
	registers := make([]int, max(s.keys, 1)) // 0 is null
	retired, written, invoked := s.clients, 0, 0
	record := func(o history.Op) {
		o.Index, o.Time = len(h), time.Duration(len(h))*time.Microsecond
		h = append(h, o)
	}
	for done := 0; done < s.operations; {
		c := &clients[r.IntN(len(clients))]
		switch {
		case !c.open && invoked < s.operations:
			k := r.IntN(len(registers))
			c.open, c.applied = true, false
			c.op = s.invocation(r, &written)
			c.op.Process, c.op.Type, c.op.Node = c.process, history.Invoke, fmt.Sprintf("n%d", c.process%5+1)
			if s.keys > 0 {
				c.op.Key = fmt.Sprint(k)
			}
			invoked++
			record(c.op)
		case c.open && !c.applied:
			c.applied = true
			k := 0
			_, _ = fmt.Sscan(c.op.Key, &k)
			c.result = s.apply(r, c.op, &registers[k], written)
		case c.open:
			c.open = false
			done++
			record(c.result)
			if c.result.Type == history.Info {
				c.process = retired
				retired++
			}
		}
	}
	return h
}

func (s shape) invocation(r *rand.Rand, written *int) history.Op {
	value := func() int {
		if s.values > 0 {
			return 1 + r.IntN(s.values)
		}
		*written++
		return *written
	}
	kinds := 2
	if s.cas {
		kinds = 3
	}
	switch r.IntN(kinds) {
	case 0:
		return history.Op{F: "read"}
	case 1:
		return history.Op{F: "write", Value: number(value())}
	}
	old := 0
	switch {
	case s.values > 0:
		old = r.IntN(s.values + 1)
	case *written > 0:
		old = max(0, *written-r.IntN(min(*written, 3)))
	}
	return history.Op{F: "cas", Value: json.RawMessage(fmt.Sprintf("[%s,%d]", number(old), value()))}
}

// apply lets the operation take effect, or not, and gives its completion.
func (s shape) apply(r *rand.Rand, o history.Op, register *int, written int) history.Op {
	o.Type = history.OK
	if r.Float64() < s.fail {
		o.Type, o.Error = history.Fail, "no leader"
		return o
	}
	if o.F == "read" {
		o.Value = number(*register)
		if s.wrong > 0 && r.Float64() < s.wrong {
			o.Value = number(r.IntN(max(s.values, written) + 1))
		}
		return o
	}
	if r.Float64() < s.info {
		o.Type, o.Error = history.Info, "timeout"
		if r.IntN(2) == 0 {
			return o
		}
	}
	if o.F == "write" {
		_ = json.Unmarshal(o.Value, register)
		return o
	}
	var both [2]*int
	_ = json.Unmarshal(o.Value, &both)
	old := 0
	if both[0] != nil {
		old = *both[0]
	}
	switch {
	case old == *register:
		*register = *both[1]
	case o.Type == history.OK:
		o.Type = history.Fail
		if s.observe {
			o.Error = "mismatch: it holds " + string(number(*register))
		}
	}
	return o
}

func number(n int) json.RawMessage {
	if n == 0 {
		return json.RawMessage("null")
	}
	return json.RawMessage(fmt.Sprint(n))
}
