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
)

// probeTimeout bounds a question that a node answers by itself, at once.
const probeTimeout = time.Second

func (a *app) startCommand() *cobra.Command {
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "start [ALIAS...]",
		Short: "Start the nodes, and wait until they are ready",
		Long: `Start starts all nodes of the configuration, or those that are named, and waits until each can serve reads
and writes. The node that the configuration calls the leader is started first: without data anywhere it founds
the cluster, and the others join it. Nodes with data go on where they were. The nodes survive this program.

A node is never started twice: without names, nodes that run are left alone; to name one is an error.
A node that does not get ready is reported with the line of its log that says most.`,
		Example: `  clusterctl start
  clusterctl start -c config.yaml --timeout 1m
  clusterctl start node3`,
		ValidArgsFunction: a.aliases,
		RunE: func(c *cobra.Command, names []string) error {
			config, err := loadConfig(a.config)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(c.Context(), timeout)
			defer cancel()
			return a.start(ctx, config, names)
		},
	}
	timeoutFlag(c, &timeout, 30*time.Second, "how long the nodes have to get ready")
	return c
}

func (a *app) start(ctx context.Context, c *config, names []string) error {
	program, err := c.program()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.dataDir, 0o755); err != nil {
		return fmt.Errorf("make data_dir: %w", err)
	}
	unlock, err := lock(c.dataDir)
	if err != nil {
		return err
	}
	defer unlock()
	idle, err := a.idle(c, names)
	if err != nil {
		return err
	}
	var occupied []error
	for _, r := range idle {
		occupied = append(occupied, r.addressesFree())
	}
	if err := errors.Join(occupied...); err != nil {
		return err
	}
	leads := func(r replica) bool { return r.alias == c.leader }
	if c.alone() && slices.ContainsFunc(idle, leads) {
		if err := a.launch(ctx, c, program, []replica{c.founder()}); err != nil {
			return err
		}
		idle = slices.DeleteFunc(idle, leads)
	}
	if !c.founder().hasData() && c.alone() {
		return fmt.Errorf("there is no cluster yet that a node could join: start %s too, which founds it", c.leader)
	}
	return a.launch(ctx, c, program, idle)
}

// alone says that no node but the leader of the configuration has data. Then the leader can be ready on
// its own, and founds the cluster if it has none. Otherwise a leader without data has lost it: it must
// join the cluster of the others, and not found a second one.
func (c *config) alone() bool {
	return !slices.ContainsFunc(c.replicas, func(r replica) bool { return r.alias != c.leader && r.hasData() })
}

// idle returns those of the named nodes that do not run, the leader first.
func (a *app) idle(c *config, names []string) ([]replica, error) {
	chosen, err := c.choose(names)
	if err != nil {
		return nil, err
	}
	var idle []replica
	var running []error
	for _, r := range chosen {
		p, err := findProcess(r)
		switch {
		case err != nil:
			return nil, err
		case p == nil && r.alias == c.leader:
			idle = slices.Insert(idle, 0, r)
		case p == nil:
			idle = append(idle, r)
		default:
			running = append(running, fmt.Errorf("%s: already runs as process %d", r.alias, p.pid))
			p.close()
		}
	}
	if len(running) > 0 && (len(names) > 0 || len(idle) == 0) {
		return nil, errors.Join(running...)
	}
	for _, r := range running {
		fmt.Fprintln(a.out, r)
	}
	return idle, nil
}

// launch starts nodes, and waits until all are ready.
func (a *app) launch(ctx context.Context, c *config, program string, nodes []replica) error {
	client := newClient(probeTimeout)
	errs := make([]error, len(nodes))
	var waiting sync.WaitGroup
	for i, r := range nodes {
		l, err := r.start(program, c.joinFrom(r))
		if err != nil {
			errs[i] = fmt.Errorf("%s: start: %w", r.alias, err)
			continue
		}
		fmt.Fprintf(a.out, "%s: started as process %d\n", r.alias, l.process.pid)
		waiting.Go(func() { errs[i] = l.awaitReady(ctx, client) })
	}
	waiting.Wait()
	for i, r := range nodes {
		if errs[i] == nil {
			fmt.Fprintf(a.out, "%s: ready at http://%s\n", r.alias, r.http)
		}
	}
	return errors.Join(errs...)
}

// joinFrom is where a node asks to join: at the leader of the configuration, or else at any other node.
// It is empty for the one that may found the cluster.
func (c *config) joinFrom(r replica) []string {
	if r.alias == c.leader && c.alone() {
		return nil
	}
	var addresses []string
	for _, other := range c.replicas {
		switch {
		case other.alias == r.alias:
		case other.alias == c.leader:
			addresses = slices.Insert(addresses, 0, other.http)
		default:
			addresses = append(addresses, other.http)
		}
	}
	return addresses
}
