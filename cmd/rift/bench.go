package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"rift/harness"
)

func (a *app) benchCommand() *cobra.Command {
	var o runOptions
	var each time.Duration
	var clients []int
	var faults int
	var write string
	c := &cobra.Command{
		Use: "bench", Short: "Measure a healthy system: writes and linearizable reads a second, without faults",
		Long: `Brings a cluster up and measures writes and linearizable reads, with 1, 10 and 100 clients in turn, over the same client
that runs use. Prints a table. Clients and nodes share this machine's processors.

With --faults it measures faults instead: how long each kind takes to be put in and to be healed, and how much of a processor rift itself uses while
faults are in that disturb nobody.`,
		Example: "  rift bench\n  rift bench --nodes 3 --each 5s --clients 1,50\n  rift bench --faults 20 --cluster local", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return err
			}
			if faults < 0 {
				return usagef("--faults: %d given, 0 (none) or more allowed", faults)
			}
			if each <= 0 {
				return usagef("--each: %s given, more than 0 allowed", each)
			}
			for _, n := range clients {
				if n < 1 || n > mostConcurrency {
					return usagef("--clients: %d given, 1 to %d allowed", n, mostConcurrency)
				}
			}
			if done, err := a.enclose(c.Context(), o.cluster); done || err != nil {
				return err
			}
			if faults > 0 {
				return a.benchFaults(c.Context(), o, faults, write)
			}
			return a.bench(c, &o, loads(clients, each))
		},
	}
	f := c.Flags()
	f.StringVar(&o.test.system, "system", "node", "system under test")
	f.StringVar(&o.test.bin, "bin", "", "program to run as a node, in place of the system's usual one")
	f.IntVarP(&o.test.nodes, "nodes", "n", 5, "number of nodes")
	f.StringVar(&o.cluster, "cluster", "auto", "where the nodes run: docker, local or auto")
	f.DurationVar(&each, "each", 5*time.Second, "length of each load")
	f.IntVar(&faults, "faults", 0, "trials of each kind of fault")
	f.StringVar(&write, "write", "", "file in which what was measured of faults is stored")
	f.IntSliceVar(&clients, "clients", []int{1, 10, 100}, "numbers of clients")
	o.test.workload, o.test.concurrency, o.test.time, o.test.opTimeout = "register", "1", time.Second, 5*time.Second
	return c
}

func loads(clients []int, each time.Duration) []harness.Load {
	var all []harness.Load
	for _, f := range []string{"write", "read"} {
		for _, n := range clients {
			all = append(all, harness.Load{F: f, Clients: n, Time: each})
		}
	}
	return all
}

func (a *app) bench(c *cobra.Command, o *runOptions, loads []harness.Load) (err error) {
	ctx := c.Context()
	chosen, err := o.test.lookUp()
	if err != nil {
		return err
	}
	a.sweepFirst(ctx)
	spec, done, err := a.scratch(ctx, o.cluster, chosen.system, chosen.test)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	fmt.Fprintf(a.out, "%s, %d nodes (%s), values of 100 bytes\n\n", chosen.system.Name(), chosen.test.Nodes, spec.Hosts.Kind())
	const row = "%-9s %7s %11s %10s %10s %8s\n"
	fmt.Fprintf(a.out, row, "function", "clients", "per second", "p50", "p99", "not ok")
	return harness.Bench(ctx, spec, loads,
		func(m harness.Measured) {
			fmt.Fprintf(a.out, row, m.F, fmt.Sprint(m.Clients), fmt.Sprintf("%.0f", m.PerSecond), millis(m.P50), millis(m.P99), fmt.Sprint(m.NotOK))
		})
}

func millis(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
}
