package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
)

// The exit codes of every command.
const (
	exitDone    = 0  // done; status: every node answers and one of them leads
	exitFailed  = 1  // not done, and it certainly had no effect on the data
	exitUnknown = 2  // a change whose outcome nobody knows
	exitUsage   = 64 // bad arguments or a bad configuration
)

// app is what the commands share.
type app struct {
	out, err io.Writer
	config   string // the path of the configuration
}

// codedError is an error that ends the program with a certain exit code.
type codedError struct {
	error
	code int
}

func (e codedError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error {
	return codedError{fmt.Errorf(format, args...), exitUsage}
}

// run is the program without the process around it.
func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	a := &app{out: out, err: errOut}
	root := a.root()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	fmt.Fprintln(errOut, "clusterctl:", err)
	var coded codedError
	if errors.As(err, &coded) {
		return coded.code
	}
	return exitFailed
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "clusterctl",
		Short: "Start, show, use and stop a cluster of reference nodes on this machine",
		Long: `Clusterctl runs a replicated key-value store on this machine: one process for each node of a YAML file.

Exit codes: 0 done; 1 not done, with no effect on the data; 2 a change whose outcome is unknown; 64 bad
arguments or a bad configuration. The command status ends with 0 only if every node answers and one leads.`,
		Example: `  clusterctl start -c config.yaml
  clusterctl put greeting "good morning"
  clusterctl get greeting --node node3
  clusterctl status
  clusterctl stop`,
		SilenceUsage: true, SilenceErrors: true,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.PersistentFlags().StringVarP(&a.config, "config", "c", "config.yaml", "the cluster's description")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return codedError{err, exitUsage} })
	root.AddCommand(a.startCommand(), a.statusCommand(), a.stopCommand(),
		a.getCommand(), a.putCommand(), a.deleteCommand(), a.membersCommand())
	root.Args = subcommandOf(root)
	return root
}

// subcommandOf refuses arguments of a command that has only subcommands, and suggests the nearest one.
func subcommandOf(parent *cobra.Command) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		var names []string
		for _, c := range parent.Commands() {
			if c.IsAvailableCommand() {
				names = append(names, c.Name())
			}
		}
		return usagef("command: %q given%s", args[0], nearest(args[0], names))
	}
}

// exactly wants one argument for each name.
func exactly(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return usagef("%s: missing", names[len(args)])
		case len(args) > len(names):
			return usagef("arguments: %q given, %d expected", args, len(names))
		}
		return nil
	}
}

// timeoutFlag gives a command its --timeout.
func timeoutFlag(c *cobra.Command, timeout *time.Duration, initial time.Duration, usage string) {
	c.Flags().DurationVar(timeout, "timeout", initial, usage)
	c.PreRunE = func(*cobra.Command, []string) error {
		if *timeout <= 0 || *timeout > time.Hour {
			return usagef("timeout: %s given, more than 0 and at most 1h allowed", *timeout)
		}
		return nil
	}
}

// aliases completes arguments with the aliases of the configuration.
func (a *app) aliases(_ *cobra.Command, given []string, _ string) ([]string, cobra.ShellCompDirective) {
	c, err := loadConfig(a.config)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return without(c.aliases(), given), cobra.ShellCompDirectiveNoFileComp
}
