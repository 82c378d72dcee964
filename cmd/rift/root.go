package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"

	"rift/checker"
)

// The exit codes of every command.
const (
	exitValid   = 0
	exitInvalid = 1
	exitUnknown = 2
	exitFailed  = 3
	exitUsage   = 64
)

// version is set when a release is built.
var version = "dev"

// app is what the commands share.
type app struct {
	out, err io.Writer
	args     []string // of the command line
	verbose  bool
	still    bool // no progress is drawn
	exit     int  // set by a command that ended without an error
}

// usageError is an error of the person who typed the command.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// run is the program without the process around it.
func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	a := &app{args: args, out: out, err: errOut}
	root := a.root()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return a.exit
	}
	fmt.Fprintln(errOut, "rift:", err)
	var usage usageError
	if errors.As(err, &usage) {
		fmt.Fprintln(errOut, "rift: see `rift help` and `rift list`")
		return exitUsage
	}
	return exitFailed
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "rift",
		Short: "Test whether a distributed store keeps its promises while things break",
		Long: `Rift starts a cluster, drives it with concurrent clients, breaks it on a schedule drawn from a seed, and
proves from the recorded history whether what the clients saw was allowed.

Exit codes: 0 valid, 1 invalid (a violation was found), 2 unknown (the run proves nothing), 3 the run could
not be made, 64 bad usage.`,
		Example: `  rift run --time 60s --seed 42
  rift run --workload register --bug stale-read --nemesis partition
  rift check store/latest`,
		SilenceUsage: true, SilenceErrors: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("command: %q given%s", args[0], nearest(args[0], []string{"run", "check", "sim", "replay", "shrink", "adopt", "convert", "list", "bugs", "plan", "sweep", "bench", "doctor", "version"}))
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.PersistentFlags().BoolVarP(&a.verbose, "verbose", "v", false, "log what is done, and how, to standard error")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(a.runCommand(), a.checkCommand(), a.convertCommand(), a.docsCommand(), a.planCommand(), a.listCommand(), a.bugsCommand(),
		a.simCommand(), a.shrinkCommand(), a.replayCommand(), a.adoptCommand(), a.overlayCommand(), a.sweepCommand(), a.benchCommand(), a.versionCommand(), a.doctorCommand(), a.enclosedCommand(), a.echoCommand())
	return root
}

// quiet is the same without a word on standard output, and without progress.
func (a *app) quiet() *app {
	q := *a
	q.out, q.still = io.Discard, true
	return &q
}

// progressTo is where the progress of a run is drawn.
func (a *app) progressTo() io.Writer {
	if a.still {
		return io.Discard
	}
	return a.err
}

// logger writes to standard error: everything if verbose is on, else warnings.
func (a *app) logger() *slog.Logger {
	level := slog.LevelWarn
	if a.verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: level}))
}

// conclude sets the exit code that a verdict has.
func (a *app) conclude(v checker.Verdict) {
	switch v {
	case checker.Valid:
		a.exit = max(a.exit, exitValid)
	case checker.Invalid:
		a.exit = exitInvalid
	default:
		if a.exit != exitInvalid {
			a.exit = exitUnknown
		}
	}
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print rift's version", Example: "  rift version", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(a.out, "rift", fullVersion())
			return err
		},
	}
}

// fullVersion is the version with the commit, where the build knows it.
func fullVersion() string {
	v := version
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				v += " (" + s.Value[:12] + ")"
			}
		}
	}
	return v
}

func noArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("arguments: %q given, none allowed", args)
	}
	return nil
}

// terminal says whether w is a terminal on which progress may be drawn.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	return isTerminal(f)
}
