package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"rift/checker"
	"rift/harness"
	"rift/harness/history"
)

// bugsOptions are the flags of a hunt.
type bugsOptions struct {
	run   runOptions
	seeds int
	only  []string
}

// row is one run of a hunt: a system with one bug, or healthy, under the bug's test.
type row struct {
	bug     harness.Bug
	healthy bool
	seed    int64
}

// result is what came of a row.
type result struct {
	row
	verdict checker.Verdict
	checker string        // that found the violation
	witness time.Duration // from the start of the load to the first violation's last operation; negative: none
	ok      bool          // as it should be
	why     string
}

func (a *app) bugsCommand() *cobra.Command {
	var o bugsOptions
	c := &cobra.Command{
		Use: "bugs", Short: "Show that every bug planted in the reference node is found, and the healthy node is clean",
		Long: `Runs every bug that can be switched on in the system under the workload and faults that should show it, with several
seeds, and the healthy system under the same. Prints a table, and exits 0 only if every bug was found by the checker one would
expect and the healthy system was valid throughout.`,
		Example: `  rift bugs
  rift bugs --only stale-read,lost-ack --seeds 1 --time 20s`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.hunt(c, o) },
	}
	f := c.Flags()
	f.StringVar(&o.run.test.system, "system", "node", "system under test")
	f.StringVar(&o.run.test.bin, "bin", "", "program to run as a node, in place of the system's usual one")
	f.IntVar(&o.seeds, "seeds", 3, "runs of each bug, with the seeds --seed, --seed+1, ...")
	f.Int64Var(&o.run.test.seed, "seed", 1, "first seed")
	f.DurationVarP(&o.run.test.time, "time", "t", 45*time.Second, "length of the main phase")
	f.IntVarP(&o.run.test.nodes, "nodes", "n", 5, "number of nodes")
	f.StringSliceVar(&o.only, "only", nil, "only these bugs")
	o.run.runFlags(c)
	o.run.test.concurrency, o.run.test.opTimeout = "2n", time.Second
	return c
}

func (a *app) hunt(c *cobra.Command, o bugsOptions) error {
	if o.seeds < 1 {
		return usagef("--seeds: %d given, 1 or more allowed", o.seeds)
	}
	if err := o.run.check(); err != nil {
		return err
	}
	rows, err := o.rows()
	if err != nil {
		return err
	}
	if done, err := a.enclose(c.Context(), o.run.cluster); done || err != nil {
		return err
	}
	var results []result
	for i, r := range rows {
		fmt.Fprintf(a.out, "\n[%d/%d] ", i+1, len(rows))
		found, err := a.tryRow(c.Context(), o.run, r)
		if err != nil {
			found = result{row: r, witness: -1, why: "the run could not be made: " + err.Error()}
		}
		results = append(results, found)
		if c.Context().Err() != nil {
			break
		}
	}
	good := printHunt(a, results)
	switch {
	case !good:
		a.exit = exitInvalid
	case len(results) < len(rows):
		fmt.Fprintf(a.out, "%d of %d runs were made\n", len(results), len(rows))
		a.exit = exitUnknown
	}
	return nil
}

// rows are the runs of the hunt: each bug with each seed, then the healthy system under each distinct test.
func (o bugsOptions) rows() ([]row, error) {
	sys, err := findSystem(o.run.test.system, o.run.test.bin)
	if err != nil {
		return nil, err
	}
	bugs := sys.Bugs()
	for _, name := range o.only {
		if _, err := named("--only", name, bugs, func(b harness.Bug) string { return b.Name }); err != nil {
			return nil, err
		}
	}
	var broken, healthy []row
	tests := make(map[string]bool)
	for _, b := range bugs {
		if len(o.only) > 0 && !slices.Contains(o.only, b.Name) {
			continue
		}
		test := fmt.Sprint(b.Workload, b.Nemesis, b.Plan, b.Options)
		for i := range o.seeds {
			seed := o.run.test.seed + int64(i)
			broken = append(broken, row{bug: b, seed: seed})
			if !tests[test] {
				healthy = append(healthy, row{bug: b, healthy: true, seed: seed})
			}
		}
		tests[test] = true
	}
	return append(broken, healthy...), nil
}

func (a *app) tryRow(ctx context.Context, o runOptions, r row) (result, error) {
	t := &o.test
	t.workload, t.nemesis, t.plan, t.set, t.seed = r.bug.Workload, r.bug.Nemesis, r.bug.Plan, r.bug.Options, r.seed
	t.name = "healthy-" + r.bug.Name
	if !r.healthy {
		t.bugs, t.name = []string{r.bug.Name}, r.bug.Name
	}
	chosen, err := t.lookUp()
	if err != nil {
		return result{}, err
	}
	made, err := a.makeRun(ctx, chosen, o)
	if err != nil {
		return result{}, err
	}
	return r.judge(made), nil
}

// judge says whether the run came out as it should.
func (r row) judge(made outcome) result {
	found := result{row: r, verdict: made.report.Verdict, witness: -1}
	for _, c := range made.report.Results {
		if c.Verdict == checker.Invalid && found.checker == "" {
			found.checker = c.Checker
			found.witness = firstWitness(made.run, c)
		}
	}
	switch {
	case r.healthy:
		found.ok = found.verdict == checker.Valid
	default:
		found.ok = found.verdict == checker.Invalid && found.checker == r.bug.Checker
	}
	if !found.ok {
		found.why = made.report.Reason
	}
	return found
}

// firstWitness is the time from the start of the main phase to the end of the first violation that a result shows.
func firstWitness(run *history.Run, r checker.Result) time.Duration {
	var start, first time.Duration = 0, -1
	for _, p := range run.Phases {
		if p.Name == "main" {
			start = p.Start
		}
	}
	for _, anomaly := range r.Anomalies {
		var last time.Duration
		for _, i := range anomaly.Ops {
			if i < len(run.History) {
				last = max(last, run.History[i].Time)
			}
		}
		if at := last - start; last > 0 && (first < 0 || at < first) {
			first = at
		}
	}
	return first
}

// printHunt prints the table, and says whether everything is as it should be.
func printHunt(a *app, results []result) bool {
	good := true
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nbug\tworkload\tfaults\tseed\tverdict\tchecker\tfirst witness\tas it should")
	for _, r := range results {
		bug, witness, should := r.bug.Name, "-", "yes"
		if r.healthy {
			bug = "(healthy)"
		}
		if r.witness >= 0 {
			witness = fmt.Sprintf("%.1f s", r.witness.Seconds())
		}
		if !r.ok {
			good, should = false, "NO: "+r.why
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\n", bug, r.bug.Workload, faultsOf(r.bug), r.seed, r.verdict,
			orDash(r.checker), witness, should)
	}
	w.Flush()
	return good
}

// faultsOf are a bug's faults in a few words.
func faultsOf(b harness.Bug) string {
	if b.Plan != "" {
		return "a plan of its own"
	}
	return strings.Join(b.Nemesis, ",")
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
