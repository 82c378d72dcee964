package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"rift/harness"
)

// enclosedName is the hidden command that an ordinary user's rift starts itself with: rift enclosed [--processes] COMMAND...
const enclosedName = "enclosed"

// enclosedCommand is rift within namespaces of its own. It furnishes them, and goes on as the command that follows, if any does.
func (a *app) enclosedCommand() *cobra.Command {
	enclosure := harness.Enclosure{User: true}
	c := &cobra.Command{
		Use: enclosedName + " [COMMAND...]", Short: "Carry a command out within new namespaces", Hidden: true, Example: "  rift " + enclosedName + " run",
		RunE: func(c *cobra.Command, args []string) error {
			if err := enclosure.Furnish(); err != nil {
				return err
			}
			if len(args) > 0 {
				a.exit = run(c.Context(), args, a.out, a.err)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&enclosure.Processes, "processes", false, "there is a PID namespace among them")
	c.Flags().SetInterspersed(false) // what follows the command is its own
	return c
}

// enclose carries the command out in a user namespace, if it needs a local cluster that this user cannot have otherwise, and says
// whether it did. With auto, an engine that answers is preferred.
func (a *app) enclose(ctx context.Context, cluster string) (done bool, err error) {
	if cluster == "docker" || harness.LocalAble() == nil {
		return false, nil
	}
	if cluster == "auto" {
		if engine, err := harness.DockerEngine(ctx); err == nil {
			return false, engine.Close()
		}
	}
	enclosure, err := tryEnclosures(ctx)
	if err != nil {
		return false, fmt.Errorf("nodes can run nowhere: network namespaces need root, or user namespaces, of which the kernel says: %w; "+
			"run rift as root, or start Docker and join the group docker", err)
	}
	fmt.Fprintln(a.out, "nodes run in a user namespace, since this user is not root")
	a.exit, err = reenter(ctx, enclosure, append(a.args, "--cluster", "local"))
	return true, err
}

// tryEnclosures finds out which enclosure this user can have: without a PID namespace where /proc cannot be mounted, as in some containers.
func tryEnclosures(ctx context.Context) (harness.Enclosure, error) {
	var errs []error
	for _, processes := range []bool{true, false} {
		e := harness.Enclosure{User: true, Processes: processes}
		var said strings.Builder
		cmd, err := enclosedSelf(ctx, e, nil)
		if err == nil {
			cmd.Stderr = &said
			err = cmd.Run()
		}
		if err == nil {
			return e, nil
		}
		errs = append(errs, fmt.Errorf("%w %s", err, strings.TrimSpace(said.String())))
	}
	return harness.Enclosure{}, errors.Join(errs...)
}

// enclosedSelf is this program once more, in an enclosure.
func enclosedSelf(ctx context.Context, e harness.Enclosure, args []string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find rift's own program: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, append([]string{enclosedName, fmt.Sprintf("--processes=%t", e.Processes)}, args...)...)
	cmd.SysProcAttr = e.Attributes()
	return cmd, nil
}

// reenter runs this program once more, in an enclosure, and returns its exit code. The first signal that asks this program to stop is handed on;
// the second ends both.
func reenter(ctx context.Context, e harness.Enclosure, args []string) (exit int, err error) {
	cmd, err := enclosedSelf(ctx, e, args)
	if err != nil {
		return 0, err
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr.Setpgid = true // a signal from the terminal comes once
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	runtime.LockOSThread() // its end would be this program's, to the kernel
	defer runtime.UnlockOSThread()
	if err := cmd.Run(); cmd.ProcessState == nil || !cmd.ProcessState.Exited() {
		return 0, fmt.Errorf("carry the command out in a user namespace: %w", err)
	}
	return cmd.ProcessState.ExitCode(), nil
}
