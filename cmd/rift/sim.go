package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rift/harness"
	"rift/harness/history"
	"rift/harness/sim"
	"rift/workloads"
)

// simOptions are the flags of simulated runs.
type simOptions struct {
	test     testOptions
	schedule string
	from     string
	store    string
	search   searchOptions
}

func (a *app) simCommand() *cobra.Command {
	var o simOptions
	c := &cobra.Command{
		Use: "sim", Short: "Make a run in a simulated world: the same seed gives the same bytes",
		Long: `Makes a run as 'rift run' does, with the same workloads, faults and checkers, in a simulated world: the nodes' own program, compiled for
WebAssembly, in virtual time, on a simulated network and simulated disks. It needs neither root nor Docker, and the same seed and build give
the same history to the byte, on any machine and under any load.

The faults that can be simulated: ` + strings.Join(sim.Kinds(), ", ") + `.`,
		Example: `  rift sim --seed 42 --nemesis kill,partition,pause
  rift sim --bug stale-read --nemesis partition --time 20s --seed 1`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.from != "" {
				return a.simulateFrom(c.Context(), o.from, o.test, o.store)
			}
			if err := errors.Join(o.search.check(), o.fill()); err != nil {
				return err
			}
			chosen, err := o.test.resolve(c)
			switch {
			case err != nil:
				return err
			case o.search.worker:
				return a.work(c.Context(), o)
			case o.search.seeds != "":
				return a.search(c.Context(), o)
			}
			chosen.test.Schedule = o.schedule
			program, err := loadProgram(c.Context(), o.test.bin)
			if err != nil {
				return err
			}
			defer program.Close(context.WithoutCancel(c.Context()))
			outcome, err := a.simulate(c.Context(), chosen, program, o.store)
			if err != nil {
				return err
			}
			a.conclude(outcome.report.Verdict)
			return nil
		},
	}
	o.test.flags(c)
	o.search.flags(c)
	f := c.Flags()
	f.StringVar(&o.schedule, "schedule", sim.Schedules[0], "in which order goroutines run that could: seeded (as the seed draws) or fifo")
	f.StringVar(&o.store, "store", "store", "folder in which runs are kept")
	f.StringVar(&o.from, "from", "", "folder of a run on real nodes: what its faults hit is made again here, to see whether the simulation shows the same")
	for name, value := range map[string]string{"time": "20s", "rate": "70", "concurrency": "1n", "bin": ""} {
		f.Lookup(name).DefValue = value
		_ = f.Set(name, value) // they are well formed
		f.Lookup(name).Changed = false
	}
	f.Lookup("bin").Usage = "program for WebAssembly to run as a node, in place of node.wasm"
	c.AddCommand(a.simBugsCommand())
	return c
}

// fill checks and fills in what is not said: nodes tell their transitions, a search without faults has those that the seed draws, and faults are drawn of those that can be
// simulated.
func (o *simOptions) fill() error {
	if !slices.Contains(sim.Schedules, o.schedule) {
		return usagef("--schedule: %q given, one of %s allowed", o.schedule, strings.Join(sim.Schedules, ", "))
	}
	t := &o.test
	chosen, err := findSystem(t.system, t.bin)
	if err != nil {
		return err
	}
	set := map[string]string{}
	if slices.ContainsFunc(optionsOf(workloads.Workload{}, chosen), func(o history.Option) bool { return o.Name == "trace" }) {
		set["trace"] = "yes"
	}
	maps.Copy(set, t.set)
	t.set = set
	t.swarm = t.swarm || (o.search.seeds != "" || o.search.worker) && len(t.nemesis) == 0 && t.planFile == ""
	if t.swarm && len(t.nemesis) == 0 {
		t.nemesis = sim.Kinds()
	}
	return nil
}

// simulate makes one simulated run and judges it.
func (a *app) simulate(ctx context.Context, c choice, program *sim.Program, store string) (outcome, error) {
	fmt.Fprintf(a.out, "seed %d\n", c.test.Seed)
	began := time.Now()
	made, err := simulateIn(ctx, c, program, store, nil)
	if err != nil && !errors.Is(err, harness.ErrInterrupted) {
		return outcome{}, err
	}
	if err := history.PointLatest(store, made.dir); err != nil {
		return outcome{}, err
	}
	fmt.Fprintf(a.out, "folder %s\n%s on %s: %d nodes (simulated), %d clients, %s, %d faults planned; took %.1f s\n", made.dir, c.test.Workload, c.test.System,
		c.test.Nodes, c.test.Concurrency, time.Duration(c.test.Time), made.faults, time.Since(began).Seconds())
	return a.judgeAndReport(context.WithoutCancel(ctx), made.dir, err != nil)
}

// simulatedRun is a run that was made and not judged yet.
type simulatedRun struct {
	test   history.Test
	dir    string
	faults int // planned
}

// simulateIn makes one simulated run, whose folder is in the store. It ends early once broken says so, which may be nil.
func simulateIn(ctx context.Context, c choice, program *sim.Program, store string, broken func(history.History) bool) (made simulatedRun, err error) {
	system, ok := c.system.(harness.Simulated)
	if !ok {
		return made, usagef("--system: %s cannot be simulated: its program is not there for WebAssembly", c.system.Name())
	}
	if err := harness.CheckStore(store); err != nil {
		return made, err
	}
	c.test.Started, c.test.Cluster = time.Now(), history.Simulated
	if made.dir, err = history.Create(store, c.test); err != nil {
		return made, err
	}
	c.test.Command = simCommandLine(c.test, made.dir)
	plan := c.plan()
	made.test, made.faults = c.test, len(plan.Faults)
	if err := writeAsked(made.dir, c.test, plan); err != nil {
		return made, err
	}
	return made, sim.Run(ctx, sim.Spec{
		Test: c.test, Plan: plan, Main: c.main(), Final: c.final(), System: system, Program: program, Dir: made.dir, Broken: broken,
	})
}

// simCommandLine is the command that makes the simulated run in a folder again.
func simCommandLine(t history.Test, dir string) string {
	line := commandLine(t, "", filepath.Join(dir, history.PlanTextFile))
	line = strings.Replace(line, "rift run", "rift sim", 1)
	line = strings.Replace(line, " --cluster "+history.Simulated, "", 1)
	if t.Schedule != "" && t.Schedule != sim.Schedules[0] {
		line += " --schedule " + t.Schedule
	}
	return line
}

// loadProgram finds and compiles the nodes' program.
func loadProgram(ctx context.Context, path string) (*sim.Program, error) {
	if path == "" {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("look for the nodes' program: %w", err)
		}
		for _, candidate := range []string{filepath.Join(filepath.Dir(self), "node.wasm"), filepath.Join("bin", "node.wasm")} {
			if _, err := os.Stat(candidate); err == nil {
				path = candidate
				break
			}
		}
	}
	if path == "" {
		return nil, errors.New("the nodes' program for the simulation, node.wasm, is neither beside rift nor in bin/: build it with `make build`")
	}
	wasm, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("--bin: %w", err)
	}
	cache := ""
	if dir, err := os.UserCacheDir(); err == nil {
		cache = filepath.Join(dir, "rift", "wasm-"+runtime.GOARCH)
	}
	return sim.LoadProgram(ctx, wasm, cache)
}
