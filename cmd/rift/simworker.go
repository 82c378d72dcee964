package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"rift/checker"
	"rift/harness"
	"rift/harness/history"
	"rift/harness/sim"
)

// seedResult is what came of one seed of a search: one line of a worker's output.
type seedResult struct {
	Seed        int64
	Verdict     checker.Verdict
	Broke       []string // what broke: each checker that found a violation, with the kind of its first; sorted
	Reason      string
	Dir         string        // of a run that was kept
	Command     string        // that makes the run again
	Virtual     time.Duration // how long the run was
	Wall        time.Duration // how long it took, judging included
	Instant     time.Duration // from the start of the load to the first violation's last operation; negative: not known
	Operations  int
	Assertions  map[string]int // how often each was checked
	Situations  map[string]int // how often each was met
	Interrupted bool
}

// failed says whether the seed shows something that ought not to be.
func (r seedResult) failed() bool { return len(r.Broke) > 0 }

// worker is a process of this program that makes simulated runs, one after the other, so that a node that never waits again can be ended from outside.
type worker struct {
	cmd     *exec.Cmd
	seeds   io.WriteCloser
	results chan seedResult // closed when it has ended
	ended   chan error
}

// startWorker starts a worker for the command line of a simulated run. When the context ends it is asked to end its run early, and to leave it complete.
func startWorker(ctx context.Context, args []string) (*worker, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find rift's own program: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, append(slices.Clone(args), "--worker")...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a signal from the terminal comes once
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	seeds, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start a worker: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start a worker: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a worker: %w", err)
	}
	w := &worker{cmd: cmd, seeds: seeds, results: make(chan seedResult), ended: make(chan error, 1)}
	go func() {
		for in := json.NewDecoder(out); ; {
			var r seedResult
			if err := in.Decode(&r); err != nil {
				break
			}
			w.results <- r
		}
		w.ended <- cmd.Wait()
		close(w.results)
	}()
	return w, nil
}

// ask has the worker make a seed's run, and gives its result. The worker has ended if alive is false.
func (w *worker) ask(seed int64, giveUp time.Duration) (r seedResult, alive bool) {
	lost := seedResult{Seed: seed, Instant: -1, Verdict: checker.Unknown}
	fmt.Fprintln(w.seeds, seed) // one that has ended gives no result
	late := time.NewTimer(giveUp)
	defer late.Stop()
	select {
	case r, alive = <-w.results:
		if alive {
			return r, true
		}
		lost.Broke, lost.Reason = []string{"simulation: broke down"}, fmt.Sprintf("the process that simulated it ended: %v", <-w.ended)
		return lost, false
	case <-late.C:
		_ = w.cmd.Process.Kill() // it may just have ended
		for range w.results {
		}
		lost.Broke, lost.Reason = []string{"simulation: hung"}, fmt.Sprintf("it did not end within %s (--give-up): a node may run without ever waiting", giveUp)
		lost.Wall = giveUp
		return lost, false
	}
}

// close lets the worker end, and waits for that.
func (w *worker) close() {
	w.seeds.Close()
	for range w.results {
	}
}

// work makes the runs of the seeds that come on standard input, and writes their results to standard output.
func (a *app) work(ctx context.Context, o simOptions) error {
	program, err := loadProgram(ctx, o.test.bin)
	if err != nil {
		return err
	}
	defer program.Close(context.WithoutCancel(ctx))
	out := json.NewEncoder(a.out)
	for in := bufio.NewScanner(os.Stdin); ctx.Err() == nil && in.Scan(); {
		seed, err := strconv.ParseInt(in.Text(), 10, 64)
		if err != nil {
			return fmt.Errorf("a worker's seed: %w", err)
		}
		if err := out.Encode(a.trySeed(ctx, o, program, seed)); err != nil {
			return fmt.Errorf("tell a seed's result: %w", err)
		}
	}
	return nil
}

// trySeed makes one seed's run and judges it. It keeps the folder of a run that fails, and of one that was interrupted, with its report.
func (a *app) trySeed(ctx context.Context, o simOptions, program *sim.Program, seed int64) seedResult {
	began := time.Now()
	r := seedResult{Seed: seed, Instant: -1}
	unmade := func(err error) seedResult {
		r.Broke, r.Reason, r.Wall = []string{"simulation: the run could not be made"}, err.Error(), time.Since(began)
		return r
	}
	o.test.seed = seed
	subject, err := findSystem(o.test.system, o.test.bin)
	if err != nil {
		return unmade(err)
	}
	o.test.set = drawOptions(seed, subject, o.test.set)
	chosen, err := o.test.lookUp()
	if err != nil {
		return unmade(err)
	}
	chosen.test.Schedule = o.schedule
	made, err := simulateIn(ctx, chosen, program, o.store, brokenEarly(chosen))
	r.Dir, r.Command = made.dir, made.test.Command
	if r.Interrupted = errors.Is(err, harness.ErrInterrupted); err != nil && !r.Interrupted {
		return unmade(err)
	}
	run, err := history.Load(made.dir)
	if err != nil {
		return unmade(err)
	}
	report := judge(context.WithoutCancel(ctx), run, chosen.workload)
	r.take(run, report)
	if r.failed() || r.Interrupted || o.search.keep {
		quiet := *a
		quiet.out = io.Discard
		_, err = quiet.judged(context.WithoutCancel(ctx), run, chosen.workload, r.Interrupted)
		err = errors.Join(err, history.PointLatest(o.store, made.dir))
	} else {
		r.Dir = ""
		err = os.RemoveAll(made.dir)
	}
	if err != nil {
		return unmade(err)
	}
	r.Wall = time.Since(began)
	return r
}

// take takes over what a run and its judgement tell.
func (r *seedResult) take(run *history.Run, report checker.Report) {
	r.Verdict, r.Reason, r.Virtual = report.Verdict, report.Reason, run.Length()
	for _, op := range run.History {
		if op.Process >= 0 && op.Type == history.Invoke {
			r.Operations++
		}
	}
	for _, c := range report.Results {
		if c.Verdict == checker.Invalid {
			r.Broke = append(r.Broke, c.Checker+": "+kindOf(c))
			if at := firstWitness(run, c); at >= 0 && (r.Instant < 0 || at < r.Instant) {
				r.Instant = at
			}
		}
		for name, n := range c.Counts {
			if assertion, ok := strings.CutPrefix(name, checker.CountChecked); ok {
				if r.Assertions == nil {
					r.Assertions = make(map[string]int)
				}
				r.Assertions[assertion] = n
			}
		}
	}
	slices.Sort(r.Broke)
	r.Situations = situationsOf(run)
}

// kindOf is the kind of a result's first anomaly.
func kindOf(c checker.Result) string {
	if len(c.Anomalies) == 0 {
		return "violation"
	}
	return c.Anomalies[0].Kind
}

// situationsOf are the situations that a run met, as far as its nodes' logs tell.
func situationsOf(run *history.Run) map[string]int {
	trace, err := checker.ReadTrace(run.Logs)
	if err != nil { // node-logs says it
		return nil
	}
	return checker.Met(run, trace)
}

// earlySteps is the search's budget for one key when a prefix of a history is looked at; what it cannot decide is decided in the end.
const earlySteps = 200_000

// brokenEarly says whether a prefix of a workload's history breaks a promise already; nil if no checker of it can judge prefixes.
func brokenEarly(c choice) func(history.History) bool {
	for _, named := range c.workload.Checkers() {
		l, ok := named.Checker.(checker.Linearizable)
		if !ok {
			continue
		}
		l.Steps, l.Workers = earlySteps, 1
		return func(h history.History) bool {
			return checker.Safely(context.Background(), h, checker.Named{Name: named.Name, Checker: l}).Verdict == checker.Invalid
		}
	}
	return nil
}
