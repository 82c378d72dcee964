package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"rift/harness"
)

func (a *app) sweepCommand() *cobra.Command {
	return &cobra.Command{
		Use: "sweep", Short: "Remove what runs that have died left on this machine",
		Long: `Removes the mounts, containers, networks, namespaces, firewall tables, processes and data of runs whose rift has died, and
nothing else. Every run does this first by itself. It is safe beside runs that go on.`,
		Example: "  rift sweep", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			removed, err := harness.Sweep(c.Context())
			for _, r := range removed {
				fmt.Fprintln(a.out, "removed", r)
			}
			if err == nil && len(removed) == 0 {
				fmt.Fprintln(a.out, "nothing was left")
			}
			return err
		},
	}
}

// sweepFirst sweeps before a run, and says what it found. What cannot be removed is no reason not to run.
func (a *app) sweepFirst(ctx context.Context) {
	removed, err := harness.Sweep(ctx)
	for _, r := range removed {
		fmt.Fprintln(a.out, "removed what an earlier run left:", r)
	}
	if err != nil {
		a.logger().Warn("not all that earlier runs left could be removed", "error", err)
	}
}
