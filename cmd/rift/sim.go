package main

import (
	"context"
	"errors"
	"fmt"
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
)

func (a *app) simCommand() *cobra.Command {
	var o testOptions
	var store, schedule, from string
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
			if from != "" {
				return a.simulateFrom(c.Context(), from, o, store)
			}
			chosen, err := o.resolve(c)
			if err != nil {
				return err
			}
			if !slices.Contains(sim.Schedules, schedule) {
				return usagef("--schedule: %q given, one of %s allowed", schedule, strings.Join(sim.Schedules, ", "))
			}
			chosen.test.Schedule = schedule
			program, err := loadProgram(c.Context(), o.bin)
			if err != nil {
				return err
			}
			defer program.Close(context.WithoutCancel(c.Context()))
			outcome, err := a.simulate(c.Context(), chosen, program, store)
			if err != nil {
				return err
			}
			a.conclude(outcome.report.Verdict)
			return nil
		},
	}
	o.flags(c)
	f := c.Flags()
	f.StringVar(&schedule, "schedule", sim.Schedules[0], "in which order goroutines run that could: seeded (as the seed draws) or fifo")
	f.StringVar(&from, "from", "", "folder of a run on real nodes: what its faults hit is made again here, to see whether the simulation shows the same")
	f.StringVar(&store, "store", "store", "folder in which runs are kept")
	for name, value := range map[string]string{"time": "20s", "rate": "70", "concurrency": "1n", "bin": ""} {
		f.Lookup(name).DefValue = value
		_ = f.Set(name, value) // they are well formed
		f.Lookup(name).Changed = false
	}
	f.Lookup("bin").Usage = "program for WebAssembly to run as a node, in place of node.wasm"
	return c
}

// simulate makes one simulated run and judges it.
func (a *app) simulate(ctx context.Context, c choice, program *sim.Program, store string) (outcome, error) {
	system, ok := c.system.(harness.Simulated)
	if !ok {
		return outcome{}, usagef("--system: %s cannot be simulated: its program is not there for WebAssembly", c.system.Name())
	}
	if err := harness.CheckStore(store); err != nil {
		return outcome{}, err
	}
	fmt.Fprintf(a.out, "seed %d\n", c.test.Seed)
	c.test.Started, c.test.Cluster = time.Now(), history.Simulated
	dir, err := history.Create(store, c.test)
	if err != nil {
		return outcome{}, err
	}
	c.test.Command = simCommandLine(c.test, dir)
	plan := c.plan()
	if err := errors.Join(writeAsked(dir, c.test, plan), history.PointLatest(store, dir)); err != nil {
		return outcome{}, err
	}
	began := time.Now()
	err = sim.Run(ctx, sim.Spec{Test: c.test, Plan: plan, Main: c.main(), Final: c.final(), System: system, Program: program, Dir: dir})
	if err != nil && !errors.Is(err, harness.ErrInterrupted) {
		return outcome{}, err
	}
	fmt.Fprintf(a.out, "folder %s\n%s on %s: %d nodes (simulated), %d clients, %s, %d faults planned; took %.1f s\n", dir, c.test.Workload, c.test.System,
		c.test.Nodes, c.test.Concurrency, time.Duration(c.test.Time), len(plan.Faults), time.Since(began).Seconds())
	return a.judgeAndReport(context.WithoutCancel(ctx), dir, err != nil)
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
