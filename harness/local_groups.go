package harness

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"rift/nemesis/cgroup"
)

// localGroup is the path of a node's control group. Below the tag's group there is nothing but the nodes' groups.
func localGroup(tag, node string) string { return "/" + tag + "/" + node }

// makeGroups gives nodes control groups, and returns their paths. Where the machine has none to give, faults that need them say so; the nodes run without.
func makeGroups(tag string, nodes []Node, log *slog.Logger) map[string]string {
	groups := make(map[string]string)
	for _, n := range nodes {
		g, err := cgroup.Open(localGroup(tag, n.Name))
		if err == nil {
			err = g.Make()
		}
		if err != nil {
			log.Info("a node has no control group", "node", n.Name, "error", err)
			continue
		}
		groups[n.Name] = g.Path
	}
	return groups
}

// joinGroup moves what runs in a node's network namespace into its control group. What a process starts before it is moved
// is found when it is looked again.
func joinGroup(path, namespace string, first int) error {
	g, err := cgroup.Open(path)
	if err != nil {
		return err
	}
	joined := map[int]bool{}
	for pids := []int{first}; len(pids) > 0; {
		for _, pid := range pids {
			if err := g.Join(pid); err != nil {
				return err
			}
			joined[pid] = true
		}
		inside, err := processesInside(namespace)
		if err != nil {
			return err
		}
		pids = nil
		for _, pid := range inside {
			if !joined[pid] {
				pids = append(pids, pid)
			}
		}
	}
	return nil
}

// thaw lets the processes in a control group go on, if anything has frozen them: in version 1 a frozen process cannot be killed.
func thaw(path string) error {
	if path == "" {
		return nil
	}
	g, err := cgroup.Open(path)
	if err != nil {
		return err
	}
	if _, err := g.Frozen(); err != nil {
		return nil // it has gone, or nothing can freeze it
	}
	return g.Thaw()
}

// sweepGroups thaws and removes a run's control groups, with the processes in them, and says what it removed.
func sweepGroups(ctx context.Context, tag string) (removed []string, err error) {
	tree, err := cgroup.Mounted()
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, node := range tree.Children("/" + tag) {
		pids, err := clearGroup(ctx, tree, localGroup(tag, node))
		for _, pid := range pids {
			removed = append(removed, fmt.Sprintf("process %d in control group %s", pid, localGroup(tag, node)))
		}
		removed, errs = append(removed, "control group "+localGroup(tag, node)), append(errs, err)
	}
	g, err := tree.Group("/" + tag)
	if err == nil {
		err = g.Remove(ctx)
	}
	return removed, errors.Join(append(errs, err)...)
}

func clearGroup(ctx context.Context, tree cgroup.Tree, path string) (ended []int, err error) {
	g, err := tree.Group(path)
	if err != nil {
		return nil, err
	}
	ended, err = g.Clear(ctx)
	return ended, errors.Join(err, g.Remove(ctx))
}
