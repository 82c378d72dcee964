package harness

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"rift/harness/gen"
	"rift/harness/history"
	"rift/nemesis"
)

// Deadlines of the phases that have no length of their own.
const (
	setUpTime    = 90 * time.Second
	quiesceTime  = 45 * time.Second
	finalTime    = 60 * time.Second
	settleTime   = 5 * time.Second
	tearDownTime = 60 * time.Second
)

// Spec is everything that Run needs. Test and Plan are what was asked for and what the seed gave.
type Spec struct {
	Test    history.Test
	Plan    history.Plan
	Main    gen.Generator                     // of the main phase; it ends at Test.Time
	Final   func(keys []string) gen.Generator // of the final phase, knowing the keys that were used; may be nil
	System  System
	Hosts   Hosts
	Tag     string
	Dir     string // the run's folder, made by history.Create
	Log     *slog.Logger
	Heal    time.Duration  // bounds how long one fault may take to heal; 0: half a minute
	Observe func(s Status) // called twice a second while the run goes on; may be nil
}

// Status is a look at a run that goes on.
type Status struct {
	Phase          string
	Elapsed, Left  time.Duration // of the phase; Left is 0 where it has no length
	OK, Fail, Info int64
	Faults         []history.PlannedFault // that are in
	Leader         string
}

// run is a run that goes on.
type run struct {
	Spec
	record  *Recorder
	cluster *Cluster
	driver  *driver
	faults  *nemesis.Runner
	watcher *watcher
	phase   phaseClock
	loaded  time.Duration // when the main phase's load began
	left    gen.Generator // of it, when the main phase had ended
}

// ErrNotHealed is the error of a run that stopped because a fault could not be taken out. Its history can be judged.
var ErrNotHealed = errors.New("faults were not healed, so the run stopped")

// ErrInterrupted is the error of a run that was stopped before its time. Its history can be judged.
var ErrInterrupted = errors.New("the run was interrupted")

// Run makes the run, and always takes everything down again: faults are healed first, then the hosts removed. When
// the context ends early, what was recorded until then stays, and the error is ErrInterrupted. Any other error says why the run
// could not be made.
func Run(ctx context.Context, s Spec) (err error) {
	record, err := NewRecorder(s.Dir, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, record.Close()) }()
	r := newRun(s, record)
	defer func() {
		down, cancel := context.WithTimeout(context.WithoutCancel(ctx), tearDownTime)
		defer cancel()
		if closed := s.Hosts.Close(down); closed != nil {
			err = errors.Join(err, fmt.Errorf("take the cluster down: %w; run `rift sweep`", closed))
		}
	}()
	stop := r.report()
	defer stop()
	if err := r.setUp(ctx); err != nil {
		return r.interrupted(ctx, err)
	}
	return r.interrupted(ctx, r.phases(ctx))
}

func newRun(s Spec, record *Recorder) *run {
	c := &Cluster{hosts: s.Hosts, system: s.System, test: s.Test, tag: s.Tag, log: s.Log}
	if s.Test.KeepQuorum {
		c.keepQuorum()
	}
	return &run{
		Spec: s, record: record, cluster: c,
		driver: &driver{
			opTimeout: time.Duration(s.Test.OpTimeout),
			open:      func(ctx context.Context, n Node) (Client, error) { return s.System.Open(ctx, n, s.Test) },
			record:    record.Append, now: record.Now,
		},
		faults:  &nemesis.Runner{Cluster: c, Record: record, Log: s.Log, HealTime: s.Heal},
		watcher: &watcher{cluster: c, record: record},
		phase:   phaseClock{record: record},
	}
}

// interrupted turns the error of a run whose context has ended into ErrInterrupted, unless something else went wrong as well.
func (r *run) interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil && (err == nil || errors.Is(err, ctx.Err())) {
		return ErrInterrupted
	}
	return err
}

func (r *run) setUp(ctx context.Context) error {
	end := r.phase.begin("set-up", 0)
	ctx, cancel := context.WithTimeout(ctx, setUpTime)
	defer cancel()
	if err := r.cluster.Up(ctx); err != nil {
		end("failed: " + err.Error())
		return fmt.Errorf("set the cluster up: %w; the nodes' logs are in %s", err, filepath.Join(r.Dir, history.NodesDir))
	}
	r.driver.nodes = r.cluster.nodes
	if err := nemesis.Able(r.Plan.Faults, r.cluster); err != nil {
		end("failed: " + err.Error())
		if r.Test.Swarm {
			err = fmt.Errorf("%w; draw from other kinds with --nemesis", err)
		}
		return err
	}
	if r.Test.Subject == nil {
		r.Test.Subject = make(map[string]string)
	}
	maps.Copy(r.Test.Subject, r.Hosts.Describe())
	if d, ok := r.System.(Describer); ok {
		about, err := d.Describe(ctx, r.cluster.nodes[0])
		if err != nil {
			end("failed: " + err.Error())
			return err
		}
		maps.Copy(r.Test.Subject, about)
	}
	end("")
	return history.WriteJSON(filepath.Join(r.Dir, history.TestFile), r.Test)
}

// phases are what follows on the set-up.
func (r *run) phases(ctx context.Context) error {
	watching, stopWatching := context.WithCancel(ctx)
	var watched sync.WaitGroup
	watched.Go(func() { r.watcher.run(watching) })
	watched.Go(func() { watchClocks(watching, r.cluster, r.record) })
	defer func() {
		stopWatching()
		watched.Wait()
	}()
	r.cluster.onRestart(r.faults.Restarted)
	if err := r.mainPhase(ctx); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := r.livenessPhase(ctx); err != nil {
		return err
	}
	if !r.recoverPhase(ctx) {
		return ctx.Err()
	}
	r.finalPhase(ctx)
	stopWatching()
	watched.Wait()
	r.lastViews(ctx)
	return r.record.Err()
}

// mainPhase drives clients and faults side by side for the test's time. It returns when both have ended and every fault is healed.
func (r *run) mainPhase(ctx context.Context) error {
	length := time.Duration(r.Test.Time)
	end := r.phase.begin(history.MainPhase, length)
	healed := make(chan error, 1)
	breaking, stopFaults := context.WithCancel(ctx)
	defer stopFaults()
	// What is open at the end has its own time-out; the deadline is for a generator that waits for ever.
	driving, cancel := context.WithTimeout(ctx, length+2*time.Duration(r.Test.OpTimeout))
	defer cancel()
	go func() {
		err := r.faults.Run(breaking, inPhase(r.Plan.Faults, ""))
		if err != nil {
			cancel() // what is broken by more than the plan says shows nothing
		}
		healed <- err
	}()
	r.loaded = r.record.Now()
	r.left = gen.Rest(r.driver.driveSince(driving, r.loaded, gen.Until(length, r.Main), r.Test.Concurrency))
	end(interruption(ctx))
	end = r.phase.begin("heal", 0)
	stopFaults() // what is still in is healed now
	if err := <-healed; err != nil {
		end("failed: " + err.Error())
		return r.notHealed(ctx, err)
	}
	end(interruption(ctx))
	return nil
}

// interruption is a phase's note on a run that was stopped before its time.
func interruption(ctx context.Context) string {
	if ctx.Err() != nil {
		return "interrupted"
	}
	return ""
}

// recoverPhase waits until the cluster serves again, with nothing broken any more. False means that it did not.
func (r *run) recoverPhase(ctx context.Context) bool {
	end := r.phase.begin("quiesce", 0)
	quiescing, cancel := context.WithTimeout(ctx, quiesceTime)
	defer cancel()
	started, err := r.cluster.Recover(quiescing)
	switch {
	case ctx.Err() != nil:
		end(interruption(ctx))
		return false
	case err != nil:
		end(fmt.Sprintf("the cluster did not recover within %s of the last fault's healing: %v", quiesceTime, err))
		return false
	default:
		end(recovery(started))
	}
	r.driver.nodes = r.cluster.standing()
	return true
}

// recovery is the note on how the cluster recovered: which nodes had to be started. That damaged ones stay down is as it should be, and told by the
// evidence of what damaged them and by the views.
func recovery(started []string) string {
	if len(started) == 0 {
		return ""
	}
	return fmt.Sprintf("%v had ended by themselves and were started again", started)
}

// finalPhase reads what must be there now. At least one worker is on every node.
func (r *run) finalPhase(ctx context.Context) {
	end := r.phase.begin(history.FinalPhase, 0)
	if r.Final == nil {
		end("")
		return
	}
	final, cancel := context.WithTimeout(ctx, finalTime)
	defer cancel()
	r.driver.drive(final, r.Final(r.driver.keys.list), FinalWorkers(r.Test))
	if final.Err() != nil && ctx.Err() == nil {
		end(fmt.Sprintf("not done after %s", finalTime))
		return
	}
	end(interruption(ctx))
}

// lastViews takes down what every node believes in the end, when no operation is open any more: once all are at the same
// revision, or as they are when the wait is over.
func (r *run) lastViews(ctx context.Context) {
	const between = 50 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	views := r.cluster.Views(ctx)
	for !Level(views) && pause(ctx, between) {
		views = r.cluster.Views(ctx)
	}
	for _, v := range views {
		v.Time = r.record.Now()
		r.record.View(v)
	}
}

// Level says whether all nodes that count answer, and are at the same revision.
func Level(views []history.View) bool {
	counted := slices.DeleteFunc(slices.Clone(views), func(v history.View) bool { return !v.Counts() })
	return !slices.ContainsFunc(counted, func(v history.View) bool {
		return v.State == history.Unreachable || v.Revision != counted[0].Revision
	})
}

// FinalWorkers is the number of workers of the final phase.
func FinalWorkers(t history.Test) int { return max(t.Concurrency, t.Nodes) }

// report calls Observe while the run goes on; the function that it returns ends that.
func (r *run) report() (stop func()) {
	if r.Observe == nil {
		return func() {}
	}
	const every = 500 * time.Millisecond
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				r.Observe(r.status())
			case <-done:
				return
			}
		}
	}()
	return func() {
		close(done)
		<-stopped
	}
}

func (r *run) status() Status {
	s := Status{
		OK: r.driver.counts.OK.Load(), Fail: r.driver.counts.Fail.Load(), Info: r.driver.counts.Info.Load(),
		Faults: r.faults.Active(), Leader: r.watcher.Leader(),
	}
	s.Phase, s.Elapsed, s.Left = r.phase.look()
	return s
}

// CheckStore fails if runs cannot be stored there.
func CheckStore(store string) error {
	if err := os.MkdirAll(store, 0o755); err != nil {
		return fmt.Errorf("store folder %q cannot be written: %w; choose another with --store", store, err)
	}
	f, err := os.CreateTemp(store, ".probe-*")
	if err != nil {
		return fmt.Errorf("store folder %q cannot be written: %w; choose another with --store", store, err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}
