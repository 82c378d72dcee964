package nemesis

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"rift/harness/history"
)

// HealTime is how long one fault may take to heal if nothing else is given.
const HealTime = 30 * time.Second

// Runner carries out the faults of a plan.
type Runner struct {
	Cluster  Cluster
	Record   Recorder
	Log      *slog.Logger
	HealTime time.Duration // after which the healing of one fault is given up; 0: HealTime

	mu     sync.Mutex
	active map[int]*activeFault
	lanes  int // that have been numbered
}

// activeFault is a fault that is in. Its lock keeps Inject, Reapply and Heal apart. It is healed from the moment that it is being healed, so that
// a heal may start nodes: the start does not wait for the lock that the heal holds.
type activeFault struct {
	mu      sync.Mutex
	planned history.PlannedFault
	lane    int
	fault   Fault
	tried   time.Duration // when it was last tried to be put in
	healed  atomic.Bool
}

// Able checks before the main phase that the cluster can do every kind of fault in the plan, and that every planned
// fault is well formed.
func Able(plan []history.PlannedFault, c Cluster) error {
	var problems []error
	asked := make(map[string]bool)
	for _, p := range plan {
		kind, err := Find(p.Kind)
		if err != nil {
			return err
		}
		if _, err := kind.New(p); err != nil {
			problems = append(problems, fmt.Errorf("fault %d: %w", p.ID, err))
		}
		if asked[p.Kind] || kind.Able == nil {
			continue
		}
		asked[p.Kind] = true
		if err := kind.Able(c); err != nil {
			problems = append(problems, fmt.Errorf("fault %s cannot be done here: %w", p.Kind, err))
		}
	}
	return errors.Join(problems...)
}

// Run carries the plan out, its lanes side by side, with times counted from now. It returns when every fault that was put in
// has been healed, which it sees to at once when the context ends, or when one could not be healed. The error is of faults that could not be
// healed; what could not be put in stands in the evidence.
func (r *Runner) Run(ctx context.Context, plan []history.PlannedFault) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	start := r.Record.Now()
	names, lanes := splitLanes(plan)
	first := r.newLanes(len(names))
	return each(len(names), func(i int) error {
		for _, p := range lanes[names[i]] {
			if err := r.carryOut(ctx, p, first-i, start); err != nil {
				stop()
				return err
			}
		}
		return nil
	})
}

// Hold puts faults in, all at once whatever their times, and returns when each has been tried. The function that it returns heals
// them, also when the context has ended, and must be called; its error is of faults that could not be healed.
func (r *Runner) Hold(ctx context.Context, plan []history.PlannedFault) (release func() error) {
	first := r.newLanes(len(plan))
	held := make([]*activeFault, len(plan))
	unmade := each(len(plan), func(i int) (err error) {
		held[i], err = r.putIn(ctx, plan[i], first-i, r.Record.Now()+time.Duration(plan[i].For/2))
		return err
	})
	return func() error {
		return errors.Join(unmade, each(len(held), func(i int) error {
			if held[i] == nil {
				return nil
			}
			return r.heal(ctx, held[i])
		}))
	}
}

// newLanes gives numbers to further lanes, from the first downwards.
func (r *Runner) newLanes(n int) (first int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	first = -1 - r.lanes
	r.lanes += n
	return first
}

func splitLanes(plan []history.PlannedFault) (names []string, lanes map[string][]history.PlannedFault) {
	lanes = make(map[string][]history.PlannedFault)
	for _, p := range plan {
		if _, seen := lanes[p.Lane]; !seen {
			names = append(names, p.Lane)
		}
		lanes[p.Lane] = append(lanes[p.Lane], p)
	}
	return names, lanes
}

// carryOut puts one fault in at its time, and heals it at its time or when the context ends.
func (r *Runner) carryOut(ctx context.Context, p history.PlannedFault, lane int, start time.Duration) error {
	if !r.waitUntil(ctx, start+time.Duration(p.At)) {
		return nil
	}
	a, err := r.putIn(ctx, p, lane, start+time.Duration(p.At+p.For/2))
	if err != nil {
		return err
	}
	r.waitUntil(ctx, start+time.Duration(p.At+p.For))
	return r.heal(ctx, a)
}

// putIn makes a fault ready and tries to put it in, until the latest time. The error is of a fault that cannot be made ready.
func (r *Runner) putIn(ctx context.Context, p history.PlannedFault, lane int, latest time.Duration) (*activeFault, error) {
	kind, err := Find(p.Kind)
	if err != nil {
		return nil, err
	}
	fault, err := kind.New(p)
	if err != nil {
		return nil, err
	}
	a := &activeFault{planned: p, lane: lane, fault: fault}
	if own, ok := fault.(Reporter); ok {
		own.Report(func(step string, took time.Duration, e history.Evidence, err error) {
			r.took(a, step, r.Record.Now()-took, e, err)
		})
	}
	r.add(a)
	_ = r.step(a, history.StepInject, func() (history.Evidence, error) { return r.inject(ctx, a, latest) }) // the evidence has the error
	return a, nil
}

// inject puts a fault in. One that finds nobody to hit, because other lanes have every node that it wants or nobody leads, tries again until
// half of its time is over. Between tries it lets go of its lock: a node that is being started waits for it.
func (r *Runner) inject(ctx context.Context, a *activeFault, latest time.Duration) (history.Evidence, error) {
	const again = 100 * time.Millisecond
	draws := rand.New(rand.NewPCG(uint64(a.planned.Seed), uint64(a.planned.ID)))
	for {
		a.mu.Lock()
		a.tried = r.Record.Now()
		e, err := a.fault.Inject(ctx, r.Cluster, draws)
		a.mu.Unlock()
		if errors.Is(err, ErrNoLeader) || errors.Is(err, ErrQuorum) {
			e, err = Skip(err.Error()), nil
		}
		e = r.spared(a, e)
		if !e.Skipped || err != nil || r.Record.Now() > latest || !r.waitUntil(ctx, r.Record.Now()+again) {
			return e, err
		}
	}
}

// spared adds to the evidence of a fault which nodes it had to leave alone for a quorum. One that was skipped has nothing on the board.
func (r *Runner) spared(a *activeFault, e history.Evidence) history.Evidence {
	board := r.Cluster.Board()
	if nodes := board.Spared(a.planned.ID); len(nodes) > 0 {
		e.Summary += "; left alone to keep a quorum: " + joined(nodes)
	}
	if e.Skipped {
		board.Relieve(a.planned.ID)
	}
	return e
}

func (r *Runner) heal(ctx context.Context, a *activeFault) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cmp.Or(r.HealTime, HealTime))
	defer cancel()
	a.healed.Store(true)
	a.mu.Lock()
	defer a.mu.Unlock()
	err := r.step(a, history.StepHeal, func() (history.Evidence, error) { return r.untilHealed(ctx, a) })
	r.remove(a)
	if err != nil {
		return fmt.Errorf("heal fault %d (%s): %w", a.planned.ID, a.planned, err)
	}
	r.Cluster.Board().Relieve(a.planned.ID)
	return nil
}

// untilHealed tries until the fault is out or its time is over: healing again does no harm.
func (r *Runner) untilHealed(ctx context.Context, a *activeFault) (history.Evidence, error) {
	const again = 200 * time.Millisecond
	for {
		e, err := a.fault.Heal(ctx, r.Cluster)
		if err == nil || !r.waitUntil(ctx, r.Record.Now()+again) {
			return e, err
		}
	}
}

// step takes one step of a fault, and writes down what it showed.
func (r *Runner) step(a *activeFault, step string, do func() (history.Evidence, error)) error {
	r.Record.Event(a.event(history.Invoke, map[string]any{"fault": a.planned.ID, "step": step, "target": a.planned.Target}))
	began := r.Record.Now()
	e, err := do()
	r.took(a, step, max(began, a.tried), e, err)
	return err
}

// took writes down a step that has been taken.
func (r *Runner) took(a *activeFault, step string, began time.Duration, e history.Evidence, err error) {
	p := a.planned
	e.Fault, e.Kind, e.Step, e.Time, e.Took = p.ID, p.Kind, step, began, r.Record.Now()-began
	if err != nil {
		e.Error, e.Proven = err.Error(), false
		if e.Summary == "" {
			e.Summary = fmt.Sprintf("%s of %s failed", step, p.Kind)
		}
	}
	event := a.event(history.Info, map[string]any{"fault": p.ID, "step": step, "nodes": e.Nodes, "proven": e.Proven})
	event.Error = e.Error
	r.Record.Event(event)
	r.Record.Evidence(e)
	r.Log.Info("fault", "step", step, "id", p.ID, "kind", p.Kind, "target", p.Target, "nodes", e.Nodes, "proven", e.Proven, "saw", e.Summary, "error", e.Error)
}

func (a *activeFault) event(t history.Type, value map[string]any) history.Op {
	b, _ := json.Marshal(value) // of strings, numbers and lists of them
	return history.Op{Process: a.lane, Type: t, F: a.planned.Kind, Value: b}
}

// Restarted puts the faults that a restart undoes in again on a node whose process has just started.
func (r *Runner) Restarted(ctx context.Context, node string) {
	for _, a := range r.reappliers() {
		if a.healed.Load() {
			continue
		}
		a.mu.Lock()
		if !a.healed.Load() {
			r.reapply(ctx, a, node)
		}
		a.mu.Unlock()
	}
}

func (r *Runner) reapply(ctx context.Context, a *activeFault, node string) {
	began := r.Record.Now()
	e, hit, err := a.fault.(Reapplier).Reapply(ctx, r.Cluster, node)
	if hit || err != nil {
		r.took(a, history.StepReapply, began, e, err)
	}
}

// Active lists the faults that are in, by ID.
func (r *Runner) Active() []history.PlannedFault {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []history.PlannedFault
	for _, a := range r.active {
		list = append(list, a.planned)
	}
	sort.Slice(list, func(a, b int) bool { return list[a].ID < list[b].ID })
	return list
}

// reappliers are the active faults that want to hear of restarts.
func (r *Runner) reappliers() []*activeFault {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []*activeFault
	for _, a := range r.active {
		if _, ok := a.fault.(Reapplier); ok {
			list = append(list, a)
		}
	}
	return list
}

func (r *Runner) add(a *activeFault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.active == nil {
		r.active = make(map[int]*activeFault)
	}
	r.active[a.planned.ID] = a
}

func (r *Runner) remove(a *activeFault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.active, a.planned.ID)
}

// waitUntil waits for a time of the run; false if the context ended first.
func (r *Runner) waitUntil(ctx context.Context, t time.Duration) bool {
	timer := time.NewTimer(t - r.Record.Now())
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
