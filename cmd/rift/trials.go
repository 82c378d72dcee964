package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"rift/harness"
	"rift/harness/history"
	"rift/harness/system"
	"rift/nemesis"
)

// The cluster on which faults are tried.
const (
	trialNodes = 3
	trialFor   = 400 * time.Millisecond // how long a fault stays in; putting it in and proving it takes what it takes
	trialTime  = time.Minute            // that one trial may take in all
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

// tryFaults carries every kind of fault out, n times, on scratch clusters: on nodes that do nothing but answer, and what cannot be shown on those, such as
// a change of members, on reference nodes. It gives each trial as it comes.
func (a *app) tryFaults(ctx context.Context, cluster string, n int, each func(attempt)) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find rift's own program, which is the nodes': %w", err)
	}
	var unshown []attempt
	err = a.tryOn(ctx, cluster, system.Echo{Program: self, Args: []string{echoName}}, nemesis.Kinds, n, func(t attempt) bool {
		if !t.Proven() {
			unshown = append(unshown, t)
			return false
		}
		each(t)
		return true
	})
	if err != nil || len(unshown) == 0 {
		return err
	}
	var kinds []nemesis.Kind
	for _, t := range unshown {
		kinds = append(kinds, t.kind)
	}
	reference, err := findSystem("node", "")
	if err == nil {
		err = a.tryOn(ctx, cluster, reference, kinds, n, func(t attempt) bool {
			each(t)
			return t.Proven()
		})
	}
	if err != nil && ctx.Err() == nil {
		for _, t := range unshown {
			t.Err = errors.Join(t.Err, fmt.Errorf("tried on reference nodes instead: %w", err))
			each(t)
		}
		return nil
	}
	return err
}

// tryOn tries kinds of fault on the nodes of one system, each until it has been tried n times or is not to go on.
func (a *app) tryOn(ctx context.Context, cluster string, s harness.System, kinds []nemesis.Kind, n int, goOn func(attempt) bool) (err error) {
	spec, done, err := a.scratch(ctx, cluster, s, history.Test{Nodes: trialNodes, System: s.Name()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	id := 0
	return harness.Scratch(ctx, spec, func(c *harness.Cluster) error {
		for _, k := range kinds {
			for range n {
				id++
				trying, cancel := context.WithTimeout(ctx, trialTime)
				t := c.Try(trying, usualFault(k, id))
				cancel()
				if ctx.Err() != nil {
					return harness.ErrInterrupted
				}
				if !goOn(attempt{k, s.Name(), t}) {
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
	return float64(d.Round(10*time.Microsecond)) / float64(time.Millisecond)
}
