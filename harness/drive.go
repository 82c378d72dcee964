package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"rift/harness/gen"
	"rift/harness/history"
)

// ErrMismatch is the definite failure of a compare-and-swap whose comparison did not hold. Unlike other
// failures it tells something of the state, so its text stands in the history and checkers may use it.
var ErrMismatch = fmt.Errorf("mismatch: the comparison did not hold (%w)", ErrDidNotHappen)

// A worker whose operations fail without having been tried, because its node is down or knows no leader, waits this long before
// the next, doubling up to the most: a dead node answers at once, and would otherwise fill the history.
const (
	backOffLeast = 5 * time.Millisecond
	backOffMost  = 160 * time.Millisecond
)

// driver has concurrent workers carry out what generators give. One driver lives through all phases of a run, so that
// process numbers are never used again.
type driver struct {
	nodes     []Node
	opTimeout time.Duration
	open      func(ctx context.Context, n Node) (Client, error)
	record    func(op history.Op) history.Op
	now       func() time.Duration
	counts    Counts
	keys      keySet

	nextProcess atomic.Int64
}

// Counts are what a run has done so far. All fields may be read while it goes on.
type Counts struct {
	OK, Fail, Info atomic.Int64
}

// Completed is the number of operations that have ended, one way or another.
func (c *Counts) Completed() int64 { return c.OK.Load() + c.Fail.Load() + c.Info.Load() }

// keySet remembers the keys that were used, in the order of first use. The source's lock guards it.
type keySet struct {
	seen map[string]bool
	list []string
}

func (k *keySet) add(key string) {
	if key == "" || k.seen[key] {
		return
	}
	if k.seen == nil {
		k.seen = make(map[string]bool)
	}
	k.seen[key] = true
	k.list = append(k.list, key)
}

// source hands a phase's operations to its workers.
type source struct {
	mu      sync.Mutex
	ended   *sync.Cond // an operation has ended, or the phase has
	g       gen.Generator
	workers int
	busy    int
	start   time.Duration // of the phase, on the run's clock
	over    bool
}

// drive carries out one phase with that many workers, and returns when the generator is done for all of
// them, or when the context ends and what was open has been recorded as indeterminate.
func (d *driver) drive(ctx context.Context, g gen.Generator, workers int) {
	d.driveSince(ctx, d.now(), g, workers)
}

// driveSince is the same for a phase whose times are counted from another moment than its beginning. It returns what is left of the
// generator, for a phase that goes on with it.
func (d *driver) driveSince(ctx context.Context, start time.Duration, g gen.Generator, workers int) gen.Generator {
	s := &source{g: g, workers: workers, start: start}
	s.ended = sync.NewCond(&s.mu)
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		s.over = true
		s.mu.Unlock()
		s.ended.Broadcast()
	})
	defer stop()
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() { d.work(ctx, s, w) })
	}
	wg.Wait()
	return s.g
}

// worker is one connection's state.
type worker struct {
	id      int
	node    Node
	process int
	client  Client
	backOff time.Duration
}

func (d *driver) work(ctx context.Context, s *source, id int) {
	w := &worker{id: id, node: d.nodes[id%len(d.nodes)], process: int(d.nextProcess.Add(1) - 1)}
	defer func() {
		if w.client != nil {
			w.client.Close()
		}
	}()
	for {
		step, ok := d.next(ctx, s, w)
		if !ok {
			return
		}
		ended := d.invoke(ctx, w, step.Op)
		s.mu.Lock()
		s.busy--
		s.g = gen.Observe(s.g, id, ended)
		s.mu.Unlock()
		s.ended.Broadcast()
		if !pause(ctx, w.backOff) {
			return
		}
	}
}

// next gets the worker's next operation and waits for its time.
func (d *driver) next(ctx context.Context, s *source, w *worker) (gen.Step, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.over {
		var step gen.Step
		now := d.now() - s.start
		step, s.g = s.g.Next(gen.Context{Worker: w.id, Workers: s.workers, Time: now, Busy: s.busy})
		switch step.Status {
		case gen.Done:
			s.ended.Broadcast() // others may have waited for nothing but that
			return step, false
		case gen.Wait:
			s.ended.Wait()
			continue
		}
		s.busy++
		d.keys.add(step.Op.Key)
		if wait := step.At - now; wait > 0 {
			s.mu.Unlock()
			inTime := pause(ctx, wait)
			s.mu.Lock()
			return step, inTime
		}
		return step, true
	}
	return gen.Step{}, false
}

// invoke carries out one operation: invocation on record, call, completion on record.
func (d *driver) invoke(ctx context.Context, w *worker, op gen.Op) history.Type {
	event := d.record(history.Op{
		Process: w.process, Type: history.Invoke, F: op.F, Key: op.Key, Value: op.Value, Node: w.node.Name,
	})
	output, err := d.call(ctx, w, event)
	switch {
	case err == nil:
		event.Type, event.Value = history.OK, output
		d.counts.OK.Add(1)
		w.backOff = 0
	case errors.Is(err, ErrDidNotHappen):
		event.Type, event.Error = history.Fail, err.Error()
		if output != nil {
			event.Value = output
		}
		d.counts.Fail.Add(1)
		if errors.Is(err, ErrMismatch) {
			w.backOff = 0
		} else {
			w.backOff = min(max(2*w.backOff, backOffLeast), backOffMost)
		}
	default:
		event.Type, event.Error = history.Info, err.Error()
		d.counts.Info.Add(1)
	}
	ended := event.Type
	d.record(event)
	if ended == history.Info {
		d.retire(w)
	}
	return ended
}

// call makes one attempt, on the worker's connection.
func (d *driver) call(ctx context.Context, w *worker, op history.Op) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, d.opTimeout)
	defer cancel()
	if w.client == nil {
		client, err := d.open(ctx, w.node)
		if err != nil {
			return nil, fmt.Errorf("open a connection to %s: %w (%w)", w.node.Name, err, ErrDidNotHappen)
		}
		w.client = client
	}
	return abandon(ctx, w.client, op)
}

// grace is how long after its context's end a call may take to return before it is abandoned.
const grace = time.Second

// abandon makes a call, and gives it up if the client does not heed the end of its context: one client that hangs must not
// hang the run. What it answers must be JSON on one line, since it becomes part of one.
func abandon(ctx context.Context, c Client, op history.Op) (json.RawMessage, error) {
	type answer struct {
		value json.RawMessage
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		value, err := c.Invoke(ctx, op)
		answers <- answer{value, err}
	}()
	var a answer
	select {
	case a = <-answers:
	case <-ctx.Done():
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case a = <-answers:
		case <-timer.C:
			return nil, fmt.Errorf("the client does not return, and is left behind: %w", ctx.Err())
		}
	}
	return oneLine(a.value, a.err)
}

// oneLine checks that an answer is JSON, and puts it on one line.
func oneLine(value json.RawMessage, err error) (json.RawMessage, error) {
	if value != nil && !json.Valid(value) {
		return nil, fmt.Errorf("the client's answer is no JSON: %.100q", value)
	}
	if bytes.ContainsAny(value, "\r\n") {
		var line bytes.Buffer
		_ = json.Compact(&line, value) // it is valid
		value = line.Bytes()
	}
	return value, err
}

// retire ends the worker's process, whose last operation may still take effect, and gives the worker a new process and connection.
func (d *driver) retire(w *worker) {
	if w.client != nil {
		w.client.Close()
		w.client = nil
	}
	w.process = int(d.nextProcess.Add(1) - 1)
}

// pause waits; false if the context ended.
func pause(ctx context.Context, t time.Duration) bool {
	if t <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(t)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
