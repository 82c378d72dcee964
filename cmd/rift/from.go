package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"rift/checker"
	"rift/harness/history"
	"rift/harness/sim"
	"rift/nemesis"
)

// fromSeeds is under how many seeds the simulation looks for what a run on real nodes showed, before it says that it does not show it.
const fromSeeds = 5

// simulateFrom makes a run on real nodes again in the simulation: with its faults as they hit, and the workload's operations at the given rate, if the
// run had none. It says whether the simulation shows what the run did.
func (a *app) simulateFrom(ctx context.Context, dir string, o testOptions, store string) error {
	run, c, err := recorded(dir, o.bin)
	if err != nil {
		return err
	}
	if run.Test.Cluster == history.Simulated {
		return usagef("--from: %s was made in the simulation; `rift replay` makes it again", dir)
	}
	wanted := violations(judge(ctx, run, c.workload))
	t := run.Test
	t.Nemesis, t.Swarm, t.Plan = nil, false, a.simulable(run)
	t.Liveness, t.Disk, t.DurableAfter = 0, "", 0 // the simulation has a disk of its own, and no such phase
	if t.Rate == 0 {
		t.Rate = o.rate
	}
	if c, err = asked(t, o.bin); err != nil {
		return usagef("--from: %s: %w", dir, err)
	}
	program, err := loadProgram(ctx, o.bin)
	if err != nil {
		return err
	}
	defer program.Close(context.WithoutCancel(ctx))
	for range fromSeeds {
		made, err := a.quiet().simulate(ctx, c, program, store)
		if err != nil {
			return err
		}
		r := compared(made.dir, made.report, wanted)
		fmt.Fprintf(a.out, "seed %d: %s\n", c.test.Seed, told(r))
		if a.conclude(made.report.Verdict); r.Reproduced {
			fmt.Fprintf(a.out, "the simulation shows the same as %s\n  %s\n  rift shrink %s\n", dir, made.run.Test.Command, shellQuote(made.dir))
			return nil
		}
		if made.report.Verdict != checker.Invalid && len(wanted) == 0 {
			fmt.Fprintf(a.out, "%s showed no violation, and neither does the simulation\n", dir)
			return nil
		}
		c.test.Seed++
	}
	fmt.Fprintf(a.out, "the simulation does not show what %s did, under %d seeds\n", dir, fromSeeds)
	return nil
}

// simulable is what the faults of a run hit, as a plan of those kinds that there are in the simulation. The others are said and left out.
func (a *app) simulable(run *history.Run) string {
	var lines, missing []string
	for line := range strings.Lines(ranText(run)) {
		faults, err := nemesis.Expand(line, 0, run.Length())
		if err == nil && len(faults) > 0 && !slices.Contains(sim.Kinds(), faults[0].Kind) {
			missing = append(missing, faults[0].Kind)
			continue
		}
		lines = append(lines, line)
	}
	if slices.Sort(missing); len(missing) > 0 {
		fmt.Fprintf(a.err, "rift: left out, since the simulation has no such faults: %s\n", strings.Join(slices.Compact(missing), ", "))
	}
	return strings.Join(lines, "")
}
