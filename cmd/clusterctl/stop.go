package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// killTimeout bounds how long the kernel may take to end a process that was killed.
const killTimeout = 10 * time.Second

func (a *app) stopCommand() *cobra.Command {
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "stop [ALIAS...]",
		Short: "Stop the nodes",
		Long: `Stop stops all nodes of the configuration, or those that are named: first the followers, then the leader.
Each is asked to shut down (SIGTERM), and killed (SIGKILL) if it has not ended when its time is up.
Only processes that start has started are touched. Data and logs stay.`,
		Example: `  clusterctl stop
  clusterctl stop node2 node3
  clusterctl stop --timeout 5s`,
		ValidArgsFunction: a.aliases,
		RunE: func(c *cobra.Command, names []string) error {
			config, err := loadConfig(a.config)
			if err != nil {
				return err
			}
			return a.stop(c.Context(), config, names, timeout)
		},
	}
	timeoutFlag(c, &timeout, 20*time.Second, "how long the followers, and then the leader, have to shut down")
	return c
}

func (a *app) stop(ctx context.Context, c *config, names []string, timeout time.Duration) error {
	chosen, err := c.choose(names)
	if err != nil {
		return err
	}
	unlock, err := lock(c.dataDir)
	if errors.Is(err, os.ErrNotExist) {
		fmt.Fprintln(a.out, "no node was ever started")
		return nil
	}
	if err != nil {
		return err
	}
	defer unlock()
	leader := currentLeader(survey(ctx, c.replicas))
	if leader == "" {
		leader = c.leader
	}
	leads := func(r replica) bool { return r.alias == leader }
	followers := slices.DeleteFunc(slices.Clone(chosen), leads)
	leaders := slices.DeleteFunc(chosen, func(r replica) bool { return !leads(r) })
	return errors.Join(a.stopAll(ctx, followers, timeout), a.stopAll(ctx, leaders, timeout))
}

// stopAll stops nodes at the same time.
func (a *app) stopAll(ctx context.Context, nodes []replica, timeout time.Duration) error {
	outcomes, errs := make([]string, len(nodes)), make([]error, len(nodes))
	var stopping sync.WaitGroup
	for i, r := range nodes {
		stopping.Go(func() { outcomes[i], errs[i] = r.stop(ctx, timeout) })
	}
	stopping.Wait()
	for i, r := range nodes {
		if errs[i] != nil {
			errs[i] = fmt.Errorf("%s: %w", r.alias, errs[i])
			continue
		}
		fmt.Fprintf(a.out, "%s: %s\n", r.alias, outcomes[i])
	}
	return errors.Join(errs...)
}

// stop ends the node's process and removes its PID file. It returns how that went.
func (r replica) stop(ctx context.Context, timeout time.Duration) (string, error) {
	p, err := findProcess(r)
	if err != nil {
		return "", err
	}
	outcome := "was not running"
	if p != nil {
		defer p.close()
		if outcome, err = p.terminate(ctx, timeout); err != nil {
			return "", err
		}
	}
	if err := os.Remove(r.pidFile()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("remove the PID file: %w", err)
	}
	return outcome, nil
}

// terminate asks a process to end, and kills it if it has not done so in time.
func (p *process) terminate(ctx context.Context, timeout time.Duration) (string, error) {
	if err := p.signal(unix.SIGTERM); err != nil {
		return "", err
	}
	patience, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := p.wait(patience)
	if err == nil {
		return fmt.Sprintf("stopped (process %d)", p.pid), nil
	}
	if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
		return "", fmt.Errorf("wait for process %d, which was asked to end: %w", p.pid, err)
	}
	if err := p.signal(unix.SIGKILL); err != nil {
		return "", err
	}
	dying, cancel := context.WithTimeout(ctx, killTimeout)
	defer cancel()
	if err := p.wait(dying); err != nil {
		return "", fmt.Errorf("wait for process %d, which was killed: %w", p.pid, err)
	}
	return fmt.Sprintf("killed, for it had not ended after %s (process %d)", timeout, p.pid), nil
}
