package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"rift/checker"
	"rift/harness"
	"rift/harness/history"
	"rift/harness/sim"
	"rift/nemesis"
)

// recorded reads the folder of a run that is to be made again, and what was asked for then. The bin is a program to run as a node in place of the
// system's. Errors name the file and the field.
func recorded(dir, bin string) (*history.Run, choice, error) {
	run, err := history.Load(dir)
	if err != nil {
		return nil, choice{}, usageError{err}
	}
	if run.Test.System == "" {
		return nil, choice{}, usagef("%s: %s says of no system that was tested, so the run cannot be made again%s", dir, history.TestFile, because(run.Problems))
	}
	c, err := asked(run.Test, bin)
	if err != nil {
		return nil, choice{}, usagef("%s: %s: %w", dir, history.TestFile, err)
	}
	return run, c, nil
}

// because are a folder's problems, to be added to an error.
func because(problems []string) string {
	if len(problems) == 0 {
		return ""
	}
	return ": " + problems[0]
}

// asked looks up what a recorded test names, as if it were asked for now.
func asked(t history.Test, bin string) (choice, error) {
	o := testOptions{
		name: t.Name, system: t.System, bin: bin, workload: t.Workload, nemesis: t.Nemesis, plan: t.Plan, ops: t.Ops, swarm: t.Swarm,
		keepQuorum: t.KeepQuorum, liveness: time.Duration(t.Liveness), disk: diskFlags{t.Disk, time.Duration(t.DurableAfter)}, bugs: t.Bugs,
		time: time.Duration(t.Time), opTimeout: time.Duration(t.OpTimeout), nodes: t.Nodes, spares: t.Spares, concurrency: fmt.Sprint(t.Concurrency),
		rate: t.Rate, seed: t.Seed, set: t.Options,
	}
	if t.Disk == "" {
		o.disk.disk = diskHost
	}
	c, err := o.lookUp()
	c.test.Schedule = t.Schedule
	return c, err
}

// checkOps refuses operations that nobody is there for, or that the system's client does not have.
func checkOps(ops []history.TimedOp, clients int, s harness.System) error {
	for i, op := range ops {
		if op.Client >= clients {
			return usagef("--ops: operation %d is of client %d, and there are the clients 0 to %d; see --concurrency", i+1, op.Client, clients-1)
		}
		if !slices.Contains(s.Functions(), op.F) {
			return usagef("--ops: operation %d is %q, which the client of %s does not have; it has %s", i+1, op.F, s.Name(), orNone(s.Functions()))
		}
	}
	return nil
}

// writeAsked writes into a run's folder what it will do.
func writeAsked(dir string, t history.Test, plan history.Plan) error {
	text := t.Plan
	if text == "" {
		text = nemesis.Text(plan.Faults)
	}
	err := errors.Join(
		history.WriteJSON(filepath.Join(dir, history.TestFile), t),
		history.WriteJSON(filepath.Join(dir, history.PlanFile), plan),
		history.WriteFile(filepath.Join(dir, history.PlanTextFile), []byte(text)),
	)
	if len(t.Ops) > 0 {
		err = errors.Join(err, history.WriteFile(filepath.Join(dir, history.OpsFile), history.OpsText(t.Ops)))
	}
	return err
}

// simTrial makes a simulated run of which nothing is kept, and judges it.
func simTrial(ctx context.Context, c choice, program *sim.Program) (*history.Run, checker.Report, error) {
	s, ok := c.system.(harness.Simulated)
	if !ok {
		return nil, checker.Report{}, usagef("%s cannot be simulated: its program is not there for WebAssembly", c.system.Name())
	}
	dir, err := os.MkdirTemp("", "rift-trial-")
	if err != nil {
		return nil, checker.Report{}, fmt.Errorf("make a folder for a trial: %w", err)
	}
	defer os.RemoveAll(dir)
	c.test.Cluster = history.Simulated
	plan := c.plan()
	if err := errors.Join(os.Mkdir(filepath.Join(dir, history.NodesDir), 0o755), writeAsked(dir, c.test, plan)); err != nil {
		return nil, checker.Report{}, err
	}
	spec := sim.Spec{Test: c.test, Plan: plan, Main: c.main(), Final: c.final(), System: s, Program: program, Dir: dir}
	if err := sim.Run(ctx, spec); err != nil {
		return nil, checker.Report{}, err
	}
	run, err := history.Load(dir)
	if err != nil {
		return nil, checker.Report{}, err
	}
	return run, judge(ctx, run, c.workload), nil
}
