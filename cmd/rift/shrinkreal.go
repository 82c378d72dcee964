package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"time"
)

// realBudget is the usual budget of shrinking in containers, where each run takes its time.
const realBudget = 10 * time.Minute

// inContainers shrinks a run by repeated trials on a cluster of its kind. The operations stay the workload's, drawn from the seed.
func (s *shrinking) inContainers(ctx context.Context) error {
	if !s.options.givenBudget {
		s.options.budget = realBudget
	}
	trials := s.options.trials
	fmt.Fprintf(s.out, "a candidate is given up after %d runs without the violation, wrongly so with a probability of %.0f %% if it shows it in half of its runs\n",
		trials, 100*math.Pow(0.5, float64(trials)))
	hit, err := s.ran()
	if err != nil {
		return err
	}
	store, err := os.MkdirTemp("", "rift-trials-")
	if err != nil {
		return fmt.Errorf("make a folder for trials: %w", err)
	}
	defer os.RemoveAll(store)
	o := s.options.run
	o.cluster, o.store = s.run.Test.Cluster, store
	result, err := s.search(ctx, trials, func(ctx context.Context, c choice) (outcome, error) {
		made, err := s.quiet().makeRun(ctx, c, o)
		if err == nil && ctx.Err() != nil {
			err = ctx.Err() // what was cut short counts for nothing
		}
		return made, err
	}, s.start(planned(s.run)), s.start(hit))
	if err != nil {
		return err
	}
	smallest, err := s.smaller(result.Case)
	if err != nil {
		return err
	}
	o.store = s.options.run.store
	for range trials {
		made, err := s.quiet().makeRun(ctx, smallest, o)
		if err != nil {
			return err
		}
		if slices.Contains(violations(made.report), s.wanted) {
			return s.rated(ctx, made, func() error { return s.conclude(result, made, made.run.Test.Command) })
		}
	}
	return fmt.Errorf("the smallest run, %s, has shown %s in a trial, but not in %d runs after it; more --trials give a surer answer", sizeOf(result.Case), s.wanted, trials)
}

// rated says how often the smallest run shows the violation, and then concludes.
func (s *shrinking) rated(ctx context.Context, made outcome, conclude func() error) error {
	if err := conclude(); err != nil {
		return err
	}
	return s.replay(ctx, made.dir, replayOptions{run: s.options.run, times: s.options.trials, as: asPlan})
}
