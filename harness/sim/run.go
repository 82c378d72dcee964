package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"rift/harness"
	"rift/harness/gen"
	"rift/harness/history"
)

// Deadlines of the phases that have no length of their own, and how often nodes are asked what they believe, in virtual time.
const (
	setUpTime   = 60 * time.Second
	quiesceTime = 60 * time.Second
	finalTime   = 60 * time.Second
	settleTime  = 5 * time.Second
	watchEvery  = time.Second
)

// Spec is everything that Run needs.
type Spec struct {
	Test    history.Test
	Plan    history.Plan
	Main    gen.Generator
	Final   func(keys []string) gen.Generator // may be nil
	System  harness.Simulated
	Program *Program
	Dir     string // the run's folder, made by history.Create
}

// run is a simulated run that goes on.
type run struct {
	Spec
	world   *world
	cluster *cluster
	record  *harness.Recorder
	driver  *driver
	loaded  time.Duration // when the main phase's load began
	left    gen.Generator // of it, when the main phase had ended
}

// Run makes a simulated run, and leaves in its folder what a real one leaves. The same spec gives the same bytes. An error says why the run could not be made;
// when the context ends early it is harness.ErrInterrupted, and what was recorded can be judged.
func Run(ctx context.Context, s Spec) (err error) {
	if err := able(s.Plan.Faults); err != nil {
		return err
	}
	w := newWorld(ctx, s.Test.Seed, drawConditions(s.Test.Seed, s.Test.Nodes))
	record, err := harness.NewRecorder(s.Dir, func() time.Duration { return w.now })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, record.Close()) }()
	logs, closeLogs := openLogs(s.Dir)
	defer func() { err = errors.Join(err, closeLogs()) }()
	c, err := newCluster(w, s.System, s.Test, s.Program, logs)
	if err != nil {
		return err
	}
	defer w.end()
	defer c.down()
	r := &run{Spec: s, world: w, cluster: c, record: record, driver: &driver{world: w, record: record, open: c.client, known: make(map[string]bool)}}
	if err := r.phases(); err != nil {
		if ctx.Err() != nil {
			return harness.ErrInterrupted
		}
		return err
	}
	return record.Err()
}

// openLogs opens a log for each node that writes one.
func openLogs(dir string) (open func(node string) io.Writer, close func() error) {
	var files []*os.File
	open = func(node string) io.Writer {
		f, err := os.Create(filepath.Join(dir, history.NodesDir, node+".log"))
		if err != nil {
			return io.Discard
		}
		files = append(files, f)
		return f
	}
	return open, func() (err error) {
		for _, f := range files {
			err = errors.Join(err, f.Close())
		}
		return err
	}
}

func (r *run) phases() error {
	if err := r.phase("set-up", func() (string, error) { return "", r.cluster.up(setUpTime) }); err != nil {
		return fmt.Errorf("set the cluster up: %w", err)
	}
	stop := r.watch()
	if err := r.phase(history.MainPhase, r.mainPhase); err != nil {
		return err
	}
	if within := time.Duration(r.Test.Liveness); within > 0 {
		if err := r.phase(history.LivenessPhase, func() (string, error) { return "", r.livenessPhase(within) }); err != nil {
			return err
		}
	}
	err := r.phase("quiesce", func() (string, error) {
		if err := r.cluster.up(quiesceTime); err != nil {
			return err.Error(), r.world.ctx.Err()
		}
		return "", nil
	})
	if err != nil {
		return err
	}
	if err := r.phase(history.FinalPhase, r.finalPhase); err != nil {
		return err
	}
	stop()
	return r.lastViews()
}

// phase carries out a phase, and writes down when it was and how it ended.
func (r *run) phase(name string, do func() (note string, err error)) error {
	start := r.world.now
	note, err := do()
	if err != nil {
		note = "failed: " + err.Error()
	}
	r.record.Phase(history.Phase{Name: name, Start: start, End: r.world.now, Note: note})
	return err
}

// mainPhase drives clients and faults side by side, and returns when both have ended and every fault is healed.
func (r *run) mainPhase() (string, error) {
	length := time.Duration(r.Test.Time)
	faults := r.cluster.startFaults(inPhase(r.Plan.Faults, ""), r.record)
	r.loaded = r.world.now
	left, err := r.driver.drive(gen.Until(length, r.Main), r.Test.Concurrency, r.loaded, length)
	if err != nil {
		return "", err
	}
	r.left = gen.Rest(left)
	return "", r.world.until(func() bool { return *faults == 0 })
}

// livenessPhase breaks every node but those of the plan's core for good, and lets the clients go on with the main phase's load for the time within which they must
// be served. In the end all is healed.
func (r *run) livenessPhase(within time.Duration) error {
	if err := r.cluster.raise(r.Plan.Core); err != nil {
		return err
	}
	broken := r.cluster.hold(inPhase(r.Plan.Faults, history.LivenessPhase), r.record, r.world.now+within)
	if _, err := r.driver.drive(gen.Until(r.world.now-r.loaded+within, r.left), r.Test.Concurrency, r.loaded, r.world.now-r.loaded+within); err != nil {
		return err
	}
	return r.world.until(func() bool { return *broken == 0 })
}

// inPhase are the faults of one phase of a plan.
func inPhase(plan []history.PlannedFault, phase string) []history.PlannedFault {
	return slices.DeleteFunc(slices.Clone(plan), func(f history.PlannedFault) bool { return f.Phase != phase })
}

func (r *run) finalPhase() (string, error) {
	if r.Final == nil {
		return "", nil
	}
	began := r.world.now
	_, err := r.driver.drive(r.Final(r.driver.keys), harness.FinalWorkers(r.Test), began, finalTime)
	if err == nil && r.world.now-began >= finalTime {
		return fmt.Sprintf("not done after %s", finalTime), nil
	}
	return "", err
}

// watch keeps asking the nodes what they believe; the function that it returns ends that.
func (r *run) watch() (stop func()) {
	t := r.world.spawn(func(t *task) {
		s := r.cluster.asking(t)
		for t.sleep(watchEvery) {
			for _, v := range r.cluster.views(s) {
				r.record.View(v)
			}
		}
	})
	return t.stop
}

// lastViews takes down what every node believes in the end: once all are at the same revision, or as they are when the wait is over.
func (r *run) lastViews() error {
	const between = 100 * time.Millisecond
	until, done := r.world.now+settleTime, false
	r.world.spawn(func(t *task) {
		s := r.cluster.asking(t)
		views := r.cluster.views(s)
		for !harness.Level(views) && r.world.now < until && t.sleep(between) {
			views = r.cluster.views(s)
		}
		for _, v := range views {
			r.record.View(v)
		}
		done = true
	})
	return r.world.until(func() bool { return done })
}
