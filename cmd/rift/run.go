package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rift/checker"
	"rift/harness"
	"rift/harness/gen"
	"rift/harness/history"
)

// runOptions are the flags of a run besides what is tested.
type runOptions struct {
	test    testOptions
	cluster string
	store   string
}

func (a *app) runCommand() *cobra.Command {
	var o runOptions
	c := &cobra.Command{
		Use: "run", Short: "Make a run: start a cluster, drive it, break it, judge it",
		Long: `Makes a run and judges it. What the run left is in its folder, store/<name>/<time>-<seed>, and store/latest
points to it: the plan, the history, the evidence that the faults bit, the verdicts, the report, the nodes' logs.`,
		Example: `  rift run --nemesis kill,partition,pause,clock --time 60s --seed 42
  rift run --workload set --nemesis kill:leader --nodes 3 --concurrency 10
  rift run --bug stale-read --nemesis partition --time 20s`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			chosen, err := o.test.resolve(c)
			if err != nil {
				return err
			}
			if err := o.check(); err != nil {
				return err
			}
			if done, err := a.enclose(c.Context(), o.cluster); done || err != nil {
				return err
			}
			outcome, err := a.makeRun(c.Context(), chosen, o)
			if err != nil {
				return err
			}
			a.conclude(outcome.report.Verdict)
			return nil
		},
	}
	o.test.flags(c)
	o.runFlags(c)
	return c
}

func (o *runOptions) runFlags(c *cobra.Command) {
	c.Flags().StringVar(&o.cluster, "cluster", "auto", "where the nodes run: docker, local (network namespaces, made in a user namespace where rift is not root) or auto")
	c.Flags().StringVar(&o.store, "store", "store", "folder in which runs are kept")
}

// clusters are where nodes can run; auto is the first that can be had.
var clusters = []string{"auto", "docker", "local"}

// check checks what can be checked before anything starts.
func (o *runOptions) check() error {
	_, err := named("--cluster", o.cluster, clusters, func(c string) string { return c })
	return err
}

// outcome is a run that was made and judged.
type outcome struct {
	dir    string
	run    *history.Run
	report checker.Report
}

// makeRun makes a run and judges it. A run that was interrupted is judged as far as it went.
func (a *app) makeRun(ctx context.Context, c choice, o runOptions) (outcome, error) {
	if err := harness.CheckStore(o.store); err != nil {
		return outcome{}, err
	}
	fmt.Fprintf(a.out, "seed %d\n", c.test.Seed)
	a.sweepFirst(ctx)
	owner, err := harness.Claim()
	if err != nil {
		return outcome{}, err
	}
	c.test.Started = time.Now()
	dir, err := history.Create(o.store, c.test)
	if err != nil {
		return outcome{}, errors.Join(err, owner.Release())
	}
	ran := a.carryOut(ctx, &c, o, owner.Tag, dir)
	if err := owner.Release(); err != nil {
		a.logger().Warn("give the run's tag back", "error", err)
	}
	switch {
	case errors.Is(ran, harness.ErrNotHealed):
		fmt.Fprintln(a.err, "rift:", ran)
		fmt.Fprintln(a.err, "rift: `rift sweep` removes what is left on the machine")
	case ran != nil && !errors.Is(ran, harness.ErrInterrupted):
		return outcome{}, ran
	}
	// What was recorded is judged even after Ctrl-C.
	return a.judgeAndReport(context.WithoutCancel(ctx), dir, errors.Is(ran, harness.ErrInterrupted))
}

func (a *app) carryOut(ctx context.Context, c *choice, o runOptions, tag, dir string) error {
	hosts, err := chooseHosts(ctx, o.cluster, harness.HostsOptions{
		Tag: tag, Dir: dir, Data: filepath.Join(harness.DataRoot(), tag), Log: a.logger(),
		Disk: harness.DiskOptions{Model: c.test.Disk, DurableAfter: time.Duration(c.test.DurableAfter)},
	})
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	c.test.Cluster = hosts.Kind()
	plan := c.plan()
	planText := filepath.Join(dir, history.PlanTextFile)
	c.test.Command = commandLine(c.test, o.test.bin, planText)
	if len(plan.Faults) > 0 {
		c.test.Replay = replayLine(c.test, o.test.bin, filepath.Join(dir, history.RanFile))
	}
	if err := writeAsked(dir, c.test, plan); err != nil {
		return err
	}
	if err := history.PointLatest(o.store, dir); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "%s on %s: %d nodes (%s, tag %s), %d clients, %s, %d faults planned (%s)\n", c.test.Workload, c.test.System, c.test.Nodes,
		c.test.Cluster, tag, c.test.Concurrency, time.Duration(c.test.Time), len(plan.Faults), orNone(kindsOf(plan)))
	fmt.Fprintf(a.out, "folder %s\n", dir)
	progress := newProgress(a.progressTo())
	defer progress.end()
	return harness.Run(ctx, harness.Spec{
		Test: c.test, Plan: plan, Main: c.main(), Final: c.final(), System: c.system, Hosts: hosts, Tag: tag, Dir: dir,
		Log: a.logger(), Observe: progress.show,
	})
}

// final is the generator of the final phase, once the keys are known.
func (c choice) final() func(keys []string) gen.Generator {
	if c.workload.Final == nil {
		return nil
	}
	return func(keys []string) gen.Generator {
		return c.workload.Final(c.params(), keys, harness.FinalWorkers(c.test))
	}
}

// chooseHosts makes the hosts that were asked for; auto prefers docker.
func chooseHosts(ctx context.Context, cluster string, o harness.HostsOptions) (harness.Hosts, error) {
	switch cluster {
	case "docker":
		return harness.NewDocker(ctx, o)
	case "local":
		return harness.NewLocal(o)
	case "auto":
		docker, err := harness.NewDocker(ctx, o)
		if err == nil {
			return docker, nil
		}
		local, unable := harness.NewLocal(o)
		if unable == nil {
			return local, nil
		}
		return nil, fmt.Errorf("nodes can run nowhere: %w, and %w; start Docker (`systemctl start docker`), or run rift as root", err, unable)
	}
	return nil, usagef("--cluster: %q given%s", cluster, nearest(cluster, clusters))
}

// commandLine is the command that makes the run again; bin is the program that was given in place of the system's, planText is where
// the plan's text is kept, for a run that was given one.
func commandLine(t history.Test, bin, planText string) string {
	args := []string{"rift", "run", "--workload", t.Workload, "--system", t.System}
	if t.Name != t.Workload {
		args = append(args, "--name", t.Name)
	}
	if len(t.Nemesis) > 0 {
		args = append(args, "--nemesis", strings.Join(t.Nemesis, ","))
	}
	if t.Plan != "" {
		args = append(args, "--plan", planText)
	}
	if len(t.Ops) > 0 {
		args = append(args, "--ops", filepath.Join(filepath.Dir(planText), history.OpsFile))
	}
	if t.Swarm {
		args = append(args, "--swarm")
	}
	if t.KeepQuorum {
		args = append(args, "--keep-quorum")
	}
	if t.Liveness > 0 {
		args = append(args, "--liveness", time.Duration(t.Liveness).String())
	}
	if bin != "" {
		args = append(args, "--bin", bin)
	}
	if len(t.Bugs) > 0 {
		args = append(args, "--bug", strings.Join(t.Bugs, ","))
	}
	args = append(args, diskArgs(t)...)
	args = append(args, "--time", time.Duration(t.Time).String(), "--op-timeout", time.Duration(t.OpTimeout).String(),
		"--nodes", fmt.Sprint(t.Nodes), "--concurrency", fmt.Sprint(t.Concurrency), "--rate", fmt.Sprint(t.Rate))
	if t.Spares > 0 {
		args = append(args, "--spares", fmt.Sprint(t.Spares))
	}
	for _, k := range sortedKeys(t.Options) {
		args = append(args, "--set", k+"="+t.Options[k])
	}
	args = append(args, "--cluster", t.Cluster, "--seed", fmt.Sprint(t.Seed))
	for i, arg := range args {
		args[i] = shellQuote(arg)
	}
	return strings.Join(args, " ")
}

// replayLine is the command that puts in what ran, as it stands in the file ran, in place of what was planned.
func replayLine(t history.Test, bin, ran string) string {
	t.Nemesis, t.Swarm, t.Plan = nil, false, ran
	return commandLine(t, bin, ran)
}

// shellQuote quotes an argument that a POSIX shell would take apart.
func shellQuote(arg string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:,=+@%", r)
	}
	if arg != "" && strings.IndexFunc(arg, func(r rune) bool { return !plain(r) }) < 0 {
		return arg
	}
	return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
}

// kindsOf are the kinds of fault in a plan's main phase, in the order of their first.
func kindsOf(plan history.Plan) []string {
	var kinds []string
	for _, f := range plan.Faults {
		if f.Phase == "" && !slices.Contains(kinds, f.Kind) {
			kinds = append(kinds, f.Kind)
		}
	}
	return kinds
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
