package harness

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"rift/harness/history"
	"rift/nemesis"
)

// Scratch brings a healthy cluster up, lets it be used, and takes it down again. Nothing of it is recorded.
func Scratch(ctx context.Context, s Spec, use func(c *Cluster) error) (err error) {
	c := &Cluster{hosts: s.Hosts, system: s.System, test: s.Test, tag: s.Tag, log: s.Log}
	defer func() {
		down, cancel := context.WithTimeout(context.WithoutCancel(ctx), tearDownTime)
		defer cancel()
		err = errors.Join(err, s.Hosts.Close(down))
	}()
	up, cancel := context.WithTimeout(ctx, setUpTime)
	defer cancel()
	if err := c.Up(up); err != nil {
		return fmt.Errorf("set the cluster up: %w", err)
	}
	return use(c)
}

// Trial is what came of one fault on a scratch cluster.
type Trial struct {
	Inject, Heal history.Evidence
	Err          error // why it could not be tried, or not healed
}

// Proven says whether the fault was seen to bite, and to be gone if there was anything to heal.
func (t Trial) Proven() bool {
	return t.Err == nil && t.Inject.Proven && (t.Heal.Proven || t.Heal.Skipped)
}

// Try carries one fault out, as a run does it, and heals it again. Afterwards the cluster serves as before.
func (c *Cluster) Try(ctx context.Context, p history.PlannedFault) Trial {
	if err := nemesis.Able([]history.PlannedFault{p}, c); err != nil {
		return Trial{Err: err}
	}
	seen := &evidenceOf{start: time.Now()}
	faults := &nemesis.Runner{Cluster: c, Record: seen, Log: c.log}
	c.onRestart(faults.Restarted)
	defer c.onRestart(nil)
	err := faults.Run(ctx, []history.PlannedFault{p})
	again, cancel := context.WithTimeout(ctx, quiesceTime)
	defer cancel()
	_, down := c.Recover(again)
	t := seen.trial()
	t.Err = errors.Join(err, down, ctx.Err())
	return t
}

// evidenceOf takes down what one fault shows.
type evidenceOf struct {
	start time.Time
	mu    sync.Mutex
	all   []history.Evidence
}

// Now is the time since the trial began.
func (s *evidenceOf) Now() time.Duration { return time.Since(s.start) }

// Event takes nothing down: a trial has no history.
func (s *evidenceOf) Event(history.Op) {}

// Evidence takes one step down.
func (s *evidenceOf) Evidence(e history.Evidence) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, e)
}

func (s *evidenceOf) trial() (t Trial) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.all {
		switch e.Step {
		case history.StepInject:
			t.Inject = e
		case history.StepHeal:
			t.Heal = e
		}
	}
	return t
}
