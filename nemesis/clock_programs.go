package nemesis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rift/harness/history"
	"rift/nemesis/procevents"
	"rift/nemesis/vdso"
)

// An exec gives a process a new program and, with it, true clocks: when a node is started again, when it starts children, and when
// it replaces itself. So while the fault is in it listens to the kernel, which tells of every exec on the machine, and skews
// those that are nodes' before they have got far.

// watchPrograms begins to skew the programs that nodes begin to run. What goes on in the background ends with the context that it
// returns, and so with Heal.
func (f *clock) watchPrograms(ctx context.Context, c Cluster) context.Context {
	execs, unheard := f.listen() // before the first process is skewed, so that no exec is missed
	for node := range f.hit {
		if h, up := c.Host(node); up {
			f.programs.know(h)
		}
	}
	ctx, f.stop = context.WithCancel(context.WithoutCancel(ctx))
	f.behind.Go(func() {
		if unheard == nil {
			defer execs.Close()
			unheard = f.hear(ctx, c, execs)
		}
		if unheard != nil {
			f.lookForPrograms(ctx, c)
		}
	})
	return ctx
}

// hear skews the programs that the kernel tells of until the context ends. The error is of a listener that is of no more use.
func (f *clock) hear(ctx context.Context, c Cluster, execs *procevents.Listener) error {
	seen := newLook()
	defer seen.close()
	for {
		e, err := execs.Next(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, procevents.ErrLost):
			f.look(ctx, c, seen)
			continue
		case err != nil:
			return err
		}
		if node := f.programs.whose(e.PID); node != "" {
			f.behind.Go(func() { f.skewProgram(ctx, c, node, e) })
		}
	}
}

// skewProgram skews a process that has just begun to run a program. A node's new first process is measured by Reapply, as soon as the
// cluster knows it; all others here.
func (f *clock) skewProgram(ctx context.Context, c Cluster, node string, e procevents.Exec) {
	var late time.Duration
	began := time.Now()
	_, err := onProcess(ctx, e.PID, func(p *vdso.Process) (proof, error) {
		if err := f.put(p, node); err != nil {
			return proof{}, err
		}
		now, err := vdso.Now()
		late = now - e.At
		return proof{}, err
	})
	if ctx.Err() != nil || err == nil && late == 0 {
		return // it is being healed, or the process has ended already
	}
	if err == nil {
		f.programs.note(e.PID, late)
	}
	if h, up := c.Host(node); err == nil && (!up || h.PID == e.PID && !f.programs.replaced(node, e)) {
		return
	}
	did := fmt.Sprintf("skewed process %d of %s again, %.1f ms after its exec", e.PID, node, milliseconds(late))
	evidence, err2 := measure(ctx, []string{node}, did, func(ctx context.Context, node string) (proof, error) {
		return onProcess(ctx, e.PID, func(p *vdso.Process) (proof, error) { return f.prove(ctx, p, node) })
	})
	if ctx.Err() != nil {
		return
	}
	evidence.Applied = late
	evidence.Measures[node+"_exec_to_skewed_ms"] = milliseconds(late)
	f.told(history.StepReapply, time.Since(began), evidence, errors.Join(err, err2))
}
