package nemesis

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"rift/nemesis/cgroup"
)

// groupOf is the control group of a host.
func groupOf(h Host) (cgroup.Group, error) {
	if h.Cgroup == "" {
		return cgroup.Group{}, fmt.Errorf("%s is in no control group of its own: that takes root, and hierarchies below /sys/fs/cgroup that can be written", h.Node)
	}
	return cgroup.Open(h.Cgroup)
}

// ableInGroups says why the nodes' control groups cannot be used with the given controllers; nil if they can. It has tried.
func ableInGroups(c Cluster, controllers ...cgroup.Controller) error {
	for _, node := range c.Nodes() {
		h, up := c.Host(node)
		if !up {
			continue
		}
		g, err := groupOf(h)
		if err != nil {
			return err
		}
		for _, controller := range controllers {
			if err := g.Able(controller); err != nil {
				return fmt.Errorf("control group of %s: %w", node, err)
			}
		}
	}
	return nil
}

// shell runs the scripts of probes.
const shell = "/bin/sh"

// groupProbe is a process of ours that is put into a node's control group, to feel there what the node feels. It is not in the
// group's freezer, unless version 2 leaves no choice, so that it can always be ended.
type groupProbe struct {
	group  cgroup.Group
	in     []cgroup.Controller
	script string // for the shell
}

// run runs the script until it ends or enough is true. It returns the exit status as the shell has it, -1 if the probe was ended.
func (p groupProbe) run(ctx context.Context, enough func() bool) (status int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, shell, "-c", "read begin; "+p.script)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGKILL}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	begin, err := cmd.StdinPipe()
	if err != nil {
		return -1, err
	}
	// For the kernel, the end of the thread that forked is the parent's death.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return -1, fmt.Errorf("start a probe: %w", err)
	}
	ended := make(chan error, 1)
	joined := p.group.Join(cmd.Process.Pid, p.in...)
	if joined != nil {
		cancel()
	}
	begin.Close()
	go func() { ended <- cmd.Wait() }()
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case err := <-ended:
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) && ctx.Err() == nil {
				return -1, err
			}
			return cmd.ProcessState.ExitCode(), joined
		case <-look.C:
			if enough() {
				cancel()
			}
		}
	}
}
