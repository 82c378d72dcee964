package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"rift/harness"
	"rift/harness/history"
	"rift/harness/system"
	"rift/nemesis"
)

// The cluster on which faults are tried.
const (
	trialNodes  = 3
	trialSpares = 1                      // for a cluster to grow by
	trialFor    = 400 * time.Millisecond // how long a fault stays in; putting it in and proving it takes what it takes
	trialTime   = time.Minute            // that one trial may take in all
)

// attempt is one trial of a kind of fault.
type attempt struct {
	kind   nemesis.Kind
	system string // whose nodes it was tried on
	harness.Trial
}

// usualFault is the fault with which a kind is tried: drawn as schedules draw it, always the same one, and short.
func usualFault(k nemesis.Kind, id int) history.PlannedFault {
	p := k.Draw(history.Rand(1, "trial/"+k.Name), k.Targets[:1])
	p.ID, p.Kind, p.Lane, p.At, p.Seed, p.For = id, k.Name, k.Name, 0, int64(id), history.Duration(trialFor)
	return p
}

// tryFaults carries every kind of fault out, n times, on scratch clusters, and gives each trial as it comes. Those of disks have a cluster of their own, so
// that the others can be tried where there are no lossy disks.
func (a *app) tryFaults(ctx context.Context, cluster string, n int, each func(attempt)) error {
	for _, disk := range []string{"", usualDisk} {
		p := trialPlace{cluster, disk}
		kinds := slices.DeleteFunc(slices.Clone(nemesis.Kinds), func(k nemesis.Kind) bool { return k.Disk != (disk != "") })
		if err := a.tryKinds(ctx, p, kinds, n, each); err != nil {
			return err
		}
	}
	return nil
}

// trialPlace is what scratch clusters for trials are made of.
type trialPlace struct{ cluster, disk string }

// tryKinds tries kinds of fault on nodes that do nothing but answer, and what cannot be shown on those, such as a change of members, on reference nodes.
func (a *app) tryKinds(ctx context.Context, p trialPlace, kinds []nemesis.Kind, n int, each func(attempt)) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find rift's own program, which is the nodes': %w", err)
	}
	var unshown []nemesis.Kind
	err = a.tryOn(ctx, p, system.Echo{Program: self, Args: []string{echoName}}, kinds, n, func(t attempt, first bool) bool {
		if first && !t.Proven() {
			unshown = append(unshown, t.kind)
			return false
		}
		each(t)
		return true
	})
	if err != nil {
		return unmade(ctx, kinds, err, each)
	}
	if len(unshown) == 0 {
		return nil
	}
	reference, err := findSystem("node", "")
	if err == nil {
		err = a.tryOn(ctx, p, reference, unshown, n, func(t attempt, first bool) bool {
			each(t)
			return !first || t.Proven()
		})
	}
	if err != nil {
		return unmade(ctx, unshown, fmt.Errorf("it cannot be shown on echo nodes, and on reference nodes: %w", err), each)
	}
	return nil
}

// unmade gives a trial of each kind that could not be made, unless the user has stopped them all.
func unmade(ctx context.Context, kinds []nemesis.Kind, err error, each func(attempt)) error {
	if ctx.Err() != nil {
		return err
	}
	for _, k := range kinds {
		each(attempt{kind: k, Trial: harness.Trial{Err: err}})
	}
	return nil
}

// tryOn tries kinds of fault on the nodes of one system, each until it has been tried n times or is not to go on.
func (a *app) tryOn(ctx context.Context, p trialPlace, s harness.System, kinds []nemesis.Kind, n int, goOn func(t attempt, first bool) bool) (err error) {
	spec, done, err := a.scratch(ctx, p.cluster, s, history.Test{Nodes: trialNodes, Spares: trialSpares, System: s.Name(), Disk: p.disk})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	id := 0
	return harness.Scratch(ctx, spec, func(c *harness.Cluster) error {
		for _, k := range kinds {
			for i := range n {
				id++
				trying, cancel := context.WithTimeout(ctx, trialTime)
				t := c.Try(trying, usualFault(k, id))
				cancel()
				if ctx.Err() != nil {
					return harness.ErrInterrupted
				}
				if !goOn(attempt{k, s.Name(), t}, i == 0) {
					break
				}
			}
		}
		return nil
	})
}

// applied is how long a step took until its fault was in force or out; where that is not told apart, until its effect was measured.
func applied(e history.Evidence) time.Duration { return cmp.Or(e.Applied, e.Took) }

// milliseconds is a duration in a form that is easy to compare.
func milliseconds(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)) / float64(time.Millisecond)
}
