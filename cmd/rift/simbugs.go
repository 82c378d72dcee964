package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"rift/checker"
	"rift/harness"
	"rift/harness/sim"
	"rift/nemesis"
)

// simBugsOptions are the flags of a hunt for planted bugs in the simulation.
type simBugsOptions struct {
	system string
	store  string
	only   []string
	starts int
	bound  int64
	jobs   int
	time   time.Duration
	giveUp time.Duration
	args   []string // further ones of `rift sim`
}

func (a *app) simBugsCommand() *cobra.Command {
	var o simBugsOptions
	c := &cobra.Command{
		Use: "bugs", Short: "Search seeds for every planted bug, and tell how many it takes",
		Long: `Searches for every bug that can be switched on in the system, under the workload and faults that should show it, as far as these can be
simulated: from several starting points, seed after seed, until a run fails. Prints a table with the medians over the starting points: seeds tried, and
virtual and wall time to the first failure. Exits 0 only if every bug was found from every starting point.

What stands after -- is handed on to 'rift sim'.`,
		Example: `  rift sim bugs --jobs 2
  rift sim bugs --only stale-read --starts 3 -- --time 10s`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			o.args = args
			if err := o.check(c.ArgsLenAtDash()); err != nil {
				return err
			}
			return a.simBugs(c.Context(), o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.system, "system", "node", "system under test")
	f.StringVar(&o.store, "store", "store", "folder in which failing runs are kept")
	f.StringSliceVar(&o.only, "only", nil, "only these bugs")
	f.IntVar(&o.starts, "starts", 10, "starting points: the seeds 1, 1001, 2001, ...")
	f.Int64Var(&o.bound, "bound", 100, "seeds that are tried from each starting point at most, 1 to 1000")
	f.IntVar(&o.jobs, "jobs", 1, "searches that go on side by side")
	f.DurationVarP(&o.time, "time", "t", 20*time.Second, "length of the main phase")
	f.DurationVar(&o.giveUp, "give-up", 5*time.Minute, "wall time after which a run is given up as hung")
	return c
}

// startsApart is how far the starting points are from each other.
const startsApart = 1000

func (o simBugsOptions) check(atDash int) error {
	switch {
	case len(o.args) > 0 && atDash != 0:
		return usagef("arguments: %q given, none allowed but flags of `rift sim` behind --", o.args[0])
	case o.starts < 1:
		return usagef("--starts: %d given, 1 or more allowed", o.starts)
	case o.bound < 1 || o.bound > startsApart:
		return usagef("--bound: %d given, 1 to %d allowed", o.bound, startsApart)
	case o.time <= 0:
		return usagef("--time: %s given, more than 0 allowed", o.time)
	}
	return searchOptions{jobs: o.jobs, giveUp: o.giveUp}.check()
}

// chase is the search for one bug from one starting point.
type chase struct {
	seeds         int
	virtual, wall time.Duration // until the failure was known
	found         seedResult
}

func (c chase) ok() bool { return c.found.failed() }

func (a *app) simBugs(ctx context.Context, o simBugsOptions) error {
	subject, err := findSystem(o.system, "")
	if err != nil {
		return err
	}
	for _, name := range o.only {
		if _, err := named("--only", name, subject.Bugs(), func(b harness.Bug) string { return b.Name }); err != nil {
			return err
		}
	}
	plans, err := os.MkdirTemp("", "rift-plans-")
	if err != nil {
		return fmt.Errorf("keep plans: %w", err)
	}
	defer os.RemoveAll(plans)
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "bug\tworkload\tfound\tseeds (median)\tvirtual s\twall s\twhat broke\tfirst seed")
	for _, b := range subject.Bugs() {
		if ctx.Err() != nil || len(o.only) > 0 && !slices.Contains(o.only, b.Name) {
			continue
		}
		if why := unsimulated(b); why != "" {
			fmt.Fprintf(w, "%s\t%s\tnot simulated: %s\n", b.Name, b.Workload, why)
			continue
		}
		args, err := o.argsFor(b, plans)
		if err != nil {
			return err
		}
		chases, err := o.chase(ctx, args)
		if err != nil {
			return err
		}
		writeChases(w, b, chases)
		fmt.Fprintf(a.err, "%s: found from %d of %d starting points\n", b.Name, len(succeeded(chases)), len(chases))
		if len(succeeded(chases)) < o.starts {
			a.exit = exitUnknown
		}
	}
	return w.Flush()
}

// unsimulated says which of a bug's faults cannot be simulated; empty if all can.
func unsimulated(b harness.Bug) string {
	var kinds []string
	choices, err := nemesis.ParseChoices(b.Nemesis)
	for _, c := range choices {
		kinds = append(kinds, c.Kind.Name)
	}
	planned, bad := nemesis.Expand(b.Plan, 1, time.Minute)
	for _, p := range planned {
		kinds = append(kinds, p.Kind)
	}
	if err := errors.Join(err, bad); err != nil {
		return err.Error()
	}
	kinds = slices.DeleteFunc(kinds, func(kind string) bool { return slices.Contains(sim.Kinds(), kind) })
	slices.Sort(kinds)
	return strings.Join(slices.Compact(kinds), ", ")
}

// argsFor is the command line of a worker that looks for a bug.
func (o simBugsOptions) argsFor(b harness.Bug, plans string) ([]string, error) {
	args := []string{
		"sim", "--store", o.store, "--system", o.system, "--name", b.Name, "--bug", b.Name, "--workload", b.Workload, "--time", o.time.String(),
	}
	for _, name := range sortedKeys(b.Options) {
		args = append(args, "--set", name+"="+b.Options[name])
	}
	if b.Plan == "" {
		return append(append(args, "--nemesis", strings.Join(b.Nemesis, ",")), o.args...), nil
	}
	plan := filepath.Join(plans, b.Name+".plan")
	if err := os.WriteFile(plan, []byte(b.Plan), 0o600); err != nil {
		return nil, fmt.Errorf("keep the plan of %s: %w", b.Name, err)
	}
	return append(append(args, "--plan", plan), o.args...), nil
}

// chase looks for a bug from every starting point.
func (o simBugsOptions) chase(ctx context.Context, args []string) (chases []chase, err error) {
	starts := make(chan int64)
	go func() {
		defer close(starts)
		for i := range o.starts {
			select {
			case starts <- int64(1 + i*startsApart):
			case <-ctx.Done():
				return
			}
		}
	}()
	var mu sync.Mutex
	var chasing sync.WaitGroup
	for range min(o.jobs, o.starts) {
		chasing.Go(func() {
			for start := range starts {
				c, failed := o.chaseFrom(ctx, args, start)
				mu.Lock()
				err = errors.Join(err, failed)
				chases = append(chases, c)
				mu.Unlock()
			}
		})
	}
	chasing.Wait()
	slices.SortFunc(chases, func(a, b chase) int { return cmp.Compare(a.seeds, b.seeds) })
	return chases, err
}

// chaseFrom tries seeds, one after the other, until one fails.
func (o simBugsOptions) chaseFrom(ctx context.Context, args []string, start int64) (c chase, err error) {
	var w *worker
	for seed := start; seed < start+o.bound && ctx.Err() == nil; seed++ {
		if w == nil {
			if w, err = startWorker(ctx, args); err != nil {
				return c, err
			}
		}
		r, alive := w.ask(seed, o.giveUp)
		c.seeds++
		c.virtual += r.Virtual
		c.wall += r.Wall
		if !alive {
			w = nil
		}
		if r.failed() && r.Verdict == checker.Invalid {
			c.found = r
			break
		}
	}
	if w != nil {
		w.close()
	}
	return c, nil
}

func succeeded(chases []chase) []chase {
	return slices.DeleteFunc(slices.Clone(chases), func(c chase) bool { return !c.ok() })
}

// writeChases writes what became of the search for one bug. The medians are over the starting points from which it was found.
func writeChases(w *tabwriter.Writer, b harness.Bug, chases []chase) {
	found := succeeded(chases)
	count := fmt.Sprintf("%d of %d", len(found), len(chases))
	if len(found) == 0 {
		tried := 0
		for _, c := range chases {
			tried += c.seeds
		}
		fmt.Fprintf(w, "%s\t%s\t%s\tnot in %d\n", b.Name, b.Workload, count, tried)
		return
	}
	what := make(map[string]bool)
	first := found[0].found.Seed
	for _, c := range found {
		first = min(first, c.found.Seed)
		for _, broke := range c.found.Broke {
			what[broke] = true
		}
	}
	fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%.0f\t%.0f\t%s\t%d\n", b.Name, b.Workload, count, median(found, func(c chase) int { return c.seeds }),
		median(found, func(c chase) time.Duration { return c.virtual }).Seconds(),
		median(found, func(c chase) time.Duration { return c.wall }).Seconds(), strings.Join(slices.Sorted(maps.Keys(what)), ", "), first)
}

// median is the middle one of some figures, of an even number the lower of the two.
func median[T cmp.Ordered](chases []chase, of func(chase) T) T {
	var all []T
	for _, c := range chases {
		all = append(all, of(c))
	}
	slices.Sort(all)
	return all[(len(all)-1)/2]
}
