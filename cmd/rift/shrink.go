package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rift/checker"
	"rift/harness/history"
	"rift/harness/shrink"
	"rift/nemesis"
)

// shrinkOptions are the flags of rift shrink.
type shrinkOptions struct {
	run         runOptions
	budget      time.Duration
	givenBudget bool
	seeds       int
	trials      int
}

func (a *app) shrinkCommand() *cobra.Command {
	var o shrinkOptions
	c := &cobra.Command{
		Use: "shrink DIR", Short: "Find the smallest schedule of faults and operations that still shows a run's violation",
		Long: `Looks for a smaller run with the same violation: the same checker and kind of anomaly, not just any. Faults, operations, keys and clients are left
out, what is left comes earlier, the cluster gets smaller. Only schedules are shrunk, never histories: each candidate is a run that is made.

A simulated run is shrunk in the simulation, where a candidate that fails once fails always. Removing something shifts what is drawn later, so each
candidate is tried under --seeds seeds. A run in containers is shrunk in containers: a candidate is taken if more than half of --trials runs show the violation. The
operations stay the workload's, since each run takes its time; how often the result fails is then said with a confidence interval.

The result is an ordinary run, in a folder of its own, with the plan and the operations as files that are short enough for an issue.`,
		Example: "  rift shrink store/latest\n  rift shrink --budget 10m --trials 3 store/register/20261125T005235.667-2",
		Args:    oneRun,
		RunE: func(c *cobra.Command, args []string) error {
			o.givenBudget = c.Flags().Changed("budget")
			return a.shrink(c.Context(), args[0], o)
		},
	}
	f := c.Flags()
	f.DurationVar(&o.budget, "budget", time.Minute, "after which the smallest so far is taken (default in containers: 10m)")
	f.IntVar(&o.seeds, "seeds", 3, "seeds under which a candidate is tried in the simulation before it is given up")
	f.IntVar(&o.trials, "trials", 3, "runs of each candidate in containers, of which more than half must show the violation")
	o.run.again(c)
	return c
}

func (o shrinkOptions) check() error {
	switch {
	case o.budget <= 0:
		return usagef("--budget: %s given, more than 0 allowed", o.budget)
	case o.seeds < 1:
		return usagef("--seeds: %d given, 1 or more allowed", o.seeds)
	case o.trials < 1:
		return usagef("--trials: %d given, 1 or more allowed", o.trials)
	}
	return nil
}

// shrink shrinks a run, and makes the smallest one for its own folder.
func (a *app) shrink(ctx context.Context, dir string, o shrinkOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	run, c, err := recorded(dir, o.run.test.bin)
	if err != nil {
		return err
	}
	report := judge(ctx, run, c.workload)
	wanted := violations(report)
	if len(wanted) == 0 {
		return usagef("%s: the run shows no violation, so there is nothing to shrink", dir)
	}
	s := &shrinking{app: a, choice: c, run: run, wanted: wanted[0], found: shrink.Found{Fails: true}, options: o}
	s.found.Key, s.found.Witness = witness(run, report, wanted[0])
	if run.Test.Cluster == history.Simulated {
		return s.inSimulation(ctx)
	}
	if done, err := a.enclose(ctx, run.Test.Cluster); done || err != nil {
		return err
	}
	return s.inContainers(ctx)
}

// shrinking is a run that is being shrunk.
type shrinking struct {
	*app
	choice  choice
	run     *history.Run
	wanted  history.Violation
	found   shrink.Found // what the run itself shows of it
	options shrinkOptions
	began   time.Time
}

// search looks for the smallest case within the budget. Each of the cases to begin with is the same run, told in another way.
func (s *shrinking) search(ctx context.Context, seeds int, try func(context.Context, choice) (outcome, error), starts ...shrink.Case) (shrink.Result, error) {
	fmt.Fprintf(s.out, "shrinking %s, which shows %s: %s\n", s.run.Dir, s.wanted, sizeOf(starts[0]))
	s.began = time.Now()
	limited, cancel := context.WithTimeout(ctx, s.options.budget)
	defer cancel()
	search := shrink.Search{
		Seeds: seeds,
		Tell: func(step string, c shrink.Case, runs int) {
			fmt.Fprintf(s.out, "  %5.1f s  %4d runs  %-24s %s\n", time.Since(s.began).Seconds(), runs, step, sizeOf(c))
		},
		Try: func(ctx context.Context, c shrink.Case) (shrink.Found, error) {
			smaller, err := s.smaller(c)
			if err != nil {
				return shrink.Found{}, nil // what cannot be asked for fails in no way that is wanted
			}
			made, err := try(ctx, smaller)
			if err != nil {
				return shrink.Found{}, err
			}
			found := shrink.Found{Fails: slices.Contains(violations(made.report), s.wanted)}
			if found.Fails {
				found.Key, found.Witness = witness(made.run, made.report, s.wanted)
			}
			return found, nil
		},
	}
	result, err := search.Smallest(limited, s.found, starts...)
	switch {
	case ctx.Err() != nil:
		return result, ctx.Err()
	case errors.Is(err, shrink.ErrNotReproduced):
		return result, fmt.Errorf("%s cannot be shrunk: in %d runs %w", s.run.Dir, result.Runs, err)
	case limited.Err() != nil && err != nil:
		return result, fmt.Errorf("%s cannot be shrunk: not shown again within %s; give more with --budget", s.run.Dir, s.options.budget)
	}
	return result, err
}

// smaller is the choice that a case stands for.
func (s *shrinking) smaller(c shrink.Case) (choice, error) {
	t := s.run.Test
	t.Name = "shrunk"
	t.Nemesis, t.Swarm, t.Plan = nil, false, nemesis.Text(c.Faults)
	t.Ops, t.Time, t.Nodes, t.Concurrency, t.Seed = c.Ops, history.Duration(c.Time), c.Nodes, c.Clients, c.Seed
	return asked(t, s.options.run.test.bin)
}

// start is the run as a case, with faults in place of those that were planned.
func (s *shrinking) start(faults []history.PlannedFault) shrink.Case {
	t := s.run.Test
	return shrink.Case{Faults: faults, Ops: t.Ops, Time: time.Duration(t.Time), Nodes: t.Nodes, Clients: t.Concurrency, Seed: t.Seed}
}

// ran are the run's faults as they hit.
func (s *shrinking) ran() ([]history.PlannedFault, error) {
	faults, err := nemesis.Expand(ranText(s.run), s.run.Test.Seed, time.Duration(s.run.Test.Time))
	if err != nil {
		return nil, fmt.Errorf("%s: what the faults hit: %w", s.run.Dir, err)
	}
	return faults, nil
}

// inSimulation shrinks a simulated run, its operations one by one.
func (s *shrinking) inSimulation(ctx context.Context) error {
	program, err := loadProgram(ctx, s.options.run.test.bin)
	if err != nil {
		return err
	}
	defer program.Close(context.WithoutCancel(ctx))
	hit, err := s.ran()
	if err != nil {
		return err
	}
	asPlanned, asRan := s.start(planned(s.run)), s.start(hit)
	if asPlanned.Ops, err = s.run.Invoked(); err != nil {
		return usageError{err}
	}
	asRan.Ops = asPlanned.Ops
	result, err := s.search(ctx, s.options.seeds, func(ctx context.Context, c choice) (outcome, error) {
		run, report, err := simTrial(ctx, c, program)
		return outcome{run: run, report: report}, err
	}, asPlanned, asRan)
	if err != nil {
		return err
	}
	smallest, err := s.smaller(result.Case)
	if err != nil {
		return err
	}
	made, err := s.quiet().simulate(ctx, smallest, program, s.options.run.store)
	if err != nil {
		return err
	}
	if !slices.Contains(violations(made.report), s.wanted) {
		return fmt.Errorf("%s shows %v, where the trial showed %s: the simulation has not repeated itself", made.dir, violations(made.report), s.wanted)
	}
	return s.conclude(result, made, made.run.Test.Command, "rift adopt "+shellQuote(made.dir))
}

// conclude prints what was found, and the commands that show it again or go on with it.
func (s *shrinking) conclude(result shrink.Result, made outcome, commands ...string) error {
	how := "nothing more can be left out alone"
	if !result.Minimal {
		how = "the budget was spent before everything was tried; more with --budget"
	}
	fmt.Fprintf(s.out, "%s, in %d runs and %.1f s; %s\n", sizeOf(result.Case), result.Runs, time.Since(s.began).Seconds(), how)
	for _, r := range made.report.Results {
		if r.Checker == s.wanted.Checker && r.Verdict == checker.Invalid {
			fmt.Fprintf(s.out, "\n%s: %s\n", r.Checker, r.Summary)
		}
	}
	fmt.Fprintf(s.out, "\n%s:\n%s", filepath.Join(made.dir, history.PlanTextFile), indented(made.run.Test.Plan))
	if ops := made.run.Test.Ops; ops != nil && len(ops) <= 2*written*written {
		fmt.Fprintf(s.out, "%s:\n%s", filepath.Join(made.dir, history.OpsFile), indented(string(history.OpsText(ops))))
	}
	fmt.Fprintf(s.out, "\nreport %s\nTo see it again, and to go on with it:\n  %s\n", filepath.Join(made.dir, history.ReportFile), strings.Join(commands, "\n  "))
	s.app.conclude(made.report.Verdict)
	return nil
}

func indented(text string) string {
	if text = strings.TrimRight(text, "\n"); text == "" {
		return "  (nothing)\n"
	}
	return "  " + strings.ReplaceAll(text, "\n", "\n  ") + "\n"
}

// sizeOf is a case in a few words.
func sizeOf(c shrink.Case) string {
	ops := "the workload's operations"
	if c.Ops != nil {
		ops = counted(len(c.Ops), "operation")
	}
	return fmt.Sprintf("%s, %s, %s, %s, %s", counted(len(c.Faults), "fault"), ops, counted(c.Clients, "client"), counted(c.Nodes, "node"),
		c.Time.Round(time.Millisecond))
}

// counted is a number of things.
func counted(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}
