package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"rift/harness/sim"
)

// overlayCommand is for the Makefile: it writes what the nodes' program for the simulation is built with.
func (a *app) overlayCommand() *cobra.Command {
	return &cobra.Command{
		Use: "overlay GOROOT DIR", Short: "Write the overlay with which `go build` builds nodes whose goroutines run in a drawn order", Hidden: true,
		Example: "  rift overlay $(go env GOROOT) bin/overlay",
		Args:    cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			path, err := sim.WriteOverlay(args[0], args[1])
			if err == nil {
				_, err = fmt.Fprintln(a.out, path)
			}
			return err
		},
	}
}
