package main

import (
	"context"
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

// What of a run is carried out again.
const (
	asPlan = "plan" // the faults as they were planned: "leader" is whoever leads then
	asRan  = "ran"  // the faults as they hit: the same nodes, at the times that they really had
)

// replayOptions are the flags of rift replay.
type replayOptions struct {
	run   runOptions
	times int
	as    string
}

func (a *app) replayCommand() *cobra.Command {
	var o replayOptions
	c := &cobra.Command{
		Use: "replay DIR", Short: "Make a run again, and say how often it shows the same violation",
		Long: `Makes a run again, from what its folder has: the same faults, the same streams of operations and the same options, on a fresh cluster of the same kind.

Containers do not repeat themselves, so each replay shows the violation again or does not: the same checker and kind of anomaly, not just any. The rate is said
with a confidence interval, and stands in the run's folder (replays.json) and report. A simulated run repeats itself to the byte: anything else is an error,
which says where they part.

Exit codes: 1 the violation was shown again, 2 it was not, 3 a replay could not be made, or a simulated one has differed.`,
		Example: "  rift replay store/latest\n  rift replay --times 10 --as ran store/register/20261125T005235.667-2",
		Args:    oneRun,
		RunE:    func(c *cobra.Command, args []string) error { return a.replay(c.Context(), args[0], o) },
	}
	f := c.Flags()
	f.IntVar(&o.times, "times", 1, "how often")
	f.StringVar(&o.as, "as", asPlan, "which faults: plan, as they were planned, or ran, at the nodes and times at which they hit")
	o.run.again(c)
	return c
}

// again are the flags of commands that make runs again.
func (o *runOptions) again(c *cobra.Command) {
	c.Flags().StringVar(&o.test.bin, "bin", "", "program to run as a node, in place of the system's usual one")
	c.Flags().StringVar(&o.store, "store", "store", "folder in which runs are kept")
}

// oneRun wants one run's folder.
func oneRun(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usagef("DIR: %d folders given, one run's folder wanted, such as store/latest", len(args))
	}
	return nil
}

func (a *app) replay(ctx context.Context, dir string, o replayOptions) error {
	if o.times < 1 {
		return usagef("--times: %d given, 1 or more allowed", o.times)
	}
	if _, err := named("--as", o.as, []string{asPlan, asRan}, func(s string) string { return s }); err != nil {
		return err
	}
	run, c, err := recorded(dir, o.run.test.bin)
	if err != nil {
		return err
	}
	if run.Test.Cluster == history.Simulated {
		if o.as != asPlan {
			return usagef("--as: %s given for a simulated run, which is repeated as it was planned", o.as)
		}
		return a.replaySimulated(ctx, run, c, o)
	}
	if done, err := a.enclose(ctx, run.Test.Cluster); done || err != nil {
		return err
	}
	return a.replayReal(ctx, run, c, o)
}

// replayReal makes a run in containers or namespaces again and again.
func (a *app) replayReal(ctx context.Context, run *history.Run, c choice, o replayOptions) error {
	wanted := violations(judge(ctx, run, c.workload))
	if len(wanted) == 0 {
		return usagef("%s: the run shows no violation that could be shown again", run.Dir)
	}
	c, err := c.as(o.as, run)
	if err != nil {
		return err
	}
	a.warnOfOtherStreams(run, c)
	fmt.Fprintf(a.out, "replaying %s, which shows %s, %d times on %s, as %s\n", run.Dir, wanted[0], o.times, run.Test.Cluster, o.as)
	r := history.Replays{As: o.as, Cluster: run.Test.Cluster, Wanted: wanted}
	o.run.cluster, c.test.Name = run.Test.Cluster, "replay"
	for i := 1; i <= o.times && ctx.Err() == nil; i++ {
		made, err := a.quiet().makeRun(ctx, c, o.run)
		if err != nil {
			return fmt.Errorf("replay %d of %d: %w", i, o.times, err)
		}
		if ctx.Err() != nil {
			break // what was interrupted says nothing of the rate
		}
		r.Replays = append(r.Replays, compared(made.dir, made.report, wanted))
		fmt.Fprintf(a.out, "replay %d of %d: %s\n", i, o.times, told(r.Replays[i-1]))
	}
	return a.writeReplays(context.WithoutCancel(ctx), run, r)
}

// compared says what a replay has shown of what was wanted.
func compared(dir string, report checker.Report, wanted []history.Violation) history.Replay {
	r := history.Replay{Dir: dir, Verdict: report.Verdict.String(), Violations: violations(report)}
	r.Reproduced = slices.ContainsFunc(r.Violations, func(v history.Violation) bool { return slices.Contains(wanted, v) })
	return r
}

// told is a replay in a sentence.
func told(r history.Replay) string {
	var shown []string
	for _, v := range r.Violations {
		shown = append(shown, v.String())
	}
	switch {
	case r.Reproduced:
		return fmt.Sprintf("reproduced: %s; %s", strings.Join(shown, ", "), r.Dir)
	case len(shown) > 0:
		return fmt.Sprintf("not reproduced, but another violation: %s; %s", strings.Join(shown, ", "), r.Dir)
	}
	return fmt.Sprintf("not reproduced: %s; %s", r.Verdict, r.Dir)
}

// writeReplays counts, and writes the rate into the original run's folder and report.
func (a *app) writeReplays(ctx context.Context, run *history.Run, r history.Replays) error {
	for _, replay := range r.Replays {
		if replay.Reproduced {
			r.Hits++
		}
	}
	r.RateLow, r.RateHigh = shrink.Wilson(r.Hits, len(r.Replays))
	if err := history.WriteJSON(filepath.Join(run.Dir, history.ReplaysFile), r); err != nil {
		return err
	}
	if _, err := a.quiet().judgeAndReport(ctx, run.Dir, false); err != nil {
		return err
	}
	fmt.Fprintln(a.out, r.Summary())
	fmt.Fprintln(a.out, "report", filepath.Join(run.Dir, history.ReportFile))
	if a.exit = exitUnknown; r.Hits > 0 {
		a.exit = exitInvalid
	}
	return nil
}

// as is the choice with the faults of a run, as they were planned or as they hit.
func (c choice) as(how string, run *history.Run) (choice, error) {
	if how == asPlan {
		if len(run.Plan.Streams) == 0 {
			return c, usagef("%s: %s has no plan%s", run.Dir, history.PlanFile, because(run.Problems))
		}
		c.recorded = planned(run)
		return c, nil
	}
	t := run.Test
	t.Nemesis, t.Swarm, t.Plan = nil, false, ranText(run)
	return asked(t, c.bin)
}

// planned are the faults of a run's main phase; not nil.
func planned(run *history.Run) []history.PlannedFault {
	return slices.DeleteFunc(append([]history.PlannedFault{}, run.Plan.Faults...), func(f history.PlannedFault) bool { return f.Phase != "" })
}

// ranText is what the faults of a run hit, as a plan.
func ranText(run *history.Run) string {
	start, _ := mainPhase(run)
	return nemesis.Ran(run.Plan.Faults, run.Evidence, start)
}

// warnOfOtherStreams says so if this build draws other operations than the run's did.
func (a *app) warnOfOtherStreams(run *history.Run, c choice) {
	now := c.plan().Streams
	for i, s := range run.Plan.Streams {
		if i < len(now) && now[i].Digest != s.Digest {
			fmt.Fprintf(a.err, "rift: this build (%s) draws other operations for the %s phase than %s did\n", fullVersion(), s.Phase, orUnknown(run.Test.Version))
		}
	}
}

func orUnknown(version string) string {
	if version == "" {
		return "that of an unknown version"
	}
	return version
}

// replaySimulated makes a simulated run again, and compares all that was recorded to the byte.
func (a *app) replaySimulated(ctx context.Context, run *history.Run, c choice, o replayOptions) error {
	program, err := loadProgram(ctx, o.run.test.bin)
	if err != nil {
		return err
	}
	defer program.Close(context.WithoutCancel(ctx))
	began := time.Now()
	r := history.Replays{As: o.as, Cluster: run.Test.Cluster, Wanted: violations(judge(ctx, run, c.workload))}
	c.test.Name = "replay"
	for i := 1; i <= o.times; i++ {
		made, err := a.quiet().simulate(ctx, c, program, o.run.store)
		if err != nil {
			return fmt.Errorf("replay %d of %d: %w", i, o.times, err)
		}
		if err := sameBytes(run, made.dir); err != nil {
			return fmt.Errorf("replay %d of %d: %w", i, o.times, err)
		}
		r.Replays = append(r.Replays, compared(made.dir, made.report, r.Wanted))
		fmt.Fprintf(a.out, "replay %d of %d: the same to the byte; %s\n", i, o.times, told(r.Replays[i-1]))
	}
	fmt.Fprintf(a.out, "%d replays in %.1f s\n", o.times, time.Since(began).Seconds())
	return a.writeReplays(ctx, run, r)
}
