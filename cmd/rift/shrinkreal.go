package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"rift/harness/shrink"
)

// realBudget is the usual budget of shrinking in containers, where each run takes its time.
const realBudget = 10 * time.Minute

// inContainers shrinks a run by repeated trials on a cluster of its kind. The operations stay the workload's, drawn from the seed.
func (s *shrinking) inContainers(ctx context.Context) error {
	if !s.options.givenBudget {
		s.options.budget = realBudget
	}
	trials := s.options.trials
	const often, seldom = 0.9, 0.2
	fmt.Fprintf(s.out, "a candidate is taken if %d of %d runs show the violation: one that shows it in %.0f %% of its runs is given up with a probability of %.0f %%, "+
		"one that shows it in %.0f %% is taken with one of %.0f %%\n", shrink.Needed(trials), trials,
		100*often, 100*(1-shrink.Taken(trials, often)), 100*seldom, 100*shrink.Taken(trials, seldom))
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
	result, err := s.search(ctx, 1, func(ctx context.Context, c choice) (outcome, error) { return s.oftenEnough(ctx, c, o) }, s.start(planned(s.run)), s.start(hit))
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
			return s.rated(ctx, made, func() error {
				return s.conclude(result, made, made.run.Test.Command, "rift sim --from "+shellQuote(made.dir))
			})
		}
	}
	return fmt.Errorf("the smallest run, %s, has shown %s in a trial, but not in %d runs after it; more --trials give a surer answer", sizeOf(result.Case), s.wanted, trials)
}

// oftenEnough makes the runs of a candidate until it is certain whether enough of them show the violation, and returns the last that does, or else the last.
func (s *shrinking) oftenEnough(ctx context.Context, c choice, o runOptions) (outcome, error) {
	needed, left := shrink.Needed(s.options.trials), s.options.trials
	for {
		made, err := s.quiet().makeRun(ctx, c, o)
		if err == nil {
			err = ctx.Err() // what was cut short counts for nothing
		}
		if err != nil {
			return made, err
		}
		left--
		shown := slices.Contains(violations(made.report), s.wanted)
		if shown {
			needed--
		}
		switch {
		case needed == 0:
			return made, nil
		case needed > left:
			made.report.Results = nil // what it showed was not shown often enough
			return made, nil
		}
	}
}

// rated says how often the smallest run shows the violation, and then concludes.
func (s *shrinking) rated(ctx context.Context, made outcome, conclude func() error) error {
	if err := conclude(); err != nil {
		return err
	}
	return s.replay(ctx, made.dir, replayOptions{run: s.options.run, times: s.options.trials, as: asPlan})
}
