package sim

import (
	"context"
	"errors"
	"time"

	"rift/harness"
	"rift/harness/gen"
	"rift/harness/history"
)

// driver has clients carry out what generators give, as that of package harness does, each client a task of the world. One driver lives through all
// phases of a run.
type driver struct {
	world     *world
	record    *harness.Recorder
	open      func(t *task, worker int) (harness.Node, harness.Client)
	processes int      // that have been given out
	keys      []string // that were used, in the order of first use
	known     map[string]bool
}

// phase is one phase of the driver.
type phase struct {
	g       gen.Generator
	workers int
	start   time.Duration
	end     time.Duration
	busy    int
	left    int     // workers that are not done
	idle    []*task // that wait for an operation to end
	ended   int     // how often one has
}

// A worker whose operations fail without having been tried waits this long before the next, doubling up to the most.
const (
	backOffLeast = 5 * time.Millisecond
	backOffMost  = 160 * time.Millisecond
)

// drive carries out one phase with that many clients, whose times are counted from a start, at most until a time after that. It returns when all operations have
// ended, with what is left of the generator.
func (d *driver) drive(g gen.Generator, workers int, start, most time.Duration) (gen.Generator, error) {
	p := &phase{g: g, workers: workers, start: start, end: start + most, left: workers}
	for id := range workers {
		d.world.spawn(func(t *task) {
			d.work(t, p, id)
			p.left--
			p.wakeIdle()
		})
	}
	err := d.world.until(func() bool { return p.left == 0 })
	return p.g, err
}

func (p *phase) wakeIdle() {
	p.ended++
	for _, t := range p.idle {
		t.world.after(0, t.wake)
	}
	p.idle = nil
}

func (d *driver) work(t *task, p *phase, id int) {
	node, client := d.open(t, id)
	defer client.Close()
	process := d.newProcess()
	backOff := time.Duration(0)
	for {
		op, ok := d.next(t, p, id)
		if !ok {
			return
		}
		p.busy++
		ended := d.invoke(client, node, process, op, &backOff)
		p.busy--
		p.g = gen.Observe(p.g, id, ended)
		p.wakeIdle()
		if ended == history.Info {
			process = d.newProcess()
		}
		if !t.sleep(backOff) {
			return
		}
	}
}

func (d *driver) newProcess() int {
	d.processes++
	return d.processes - 1
}

// next gets a worker's next operation, at its time.
func (d *driver) next(t *task, p *phase, id int) (gen.Op, bool) {
	for d.world.now < p.end {
		var step gen.Step
		now := d.world.now - p.start
		step, p.g = p.g.Next(gen.Context{Worker: id, Workers: p.workers, Time: now, Busy: p.busy})
		switch step.Status {
		case gen.Done:
			return gen.Op{}, false
		case gen.Wait:
			p.idle = append(p.idle, t)
			before := p.ended
			t.wait(p.end, func() bool { return p.ended > before })
			continue
		}
		if key := step.Op.Key; key != "" && !d.known[key] {
			d.known[key] = true
			d.keys = append(d.keys, key)
		}
		return step.Op, t.sleep(step.At - now)
	}
	return gen.Op{}, false
}

// invoke carries out one operation: invocation on record, call, completion on record.
func (d *driver) invoke(c harness.Client, n harness.Node, process int, op gen.Op, backOff *time.Duration) history.Type {
	event := d.record.Append(history.Op{Process: process, Type: history.Invoke, F: op.F, Key: op.Key, Value: op.Value, Node: n.Name})
	output, err := c.Invoke(context.Background(), event) // time-outs are the transport's, in virtual time
	*backOff = 0
	switch {
	case err == nil:
		event.Type, event.Value = history.OK, output
	case errors.Is(err, harness.ErrDidNotHappen):
		event.Type, event.Error = history.Fail, err.Error()
		if output != nil {
			event.Value = output
		}
		if !errors.Is(err, harness.ErrMismatch) {
			*backOff = min(max(2**backOff, backOffLeast), backOffMost)
		}
	default:
		event.Type, event.Error = history.Info, err.Error()
	}
	return d.record.Append(event).Type
}
