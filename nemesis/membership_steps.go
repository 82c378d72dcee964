package nemesis

import (
	"context"
	"fmt"
	"time"

	"rift/harness/history"
)

// member is the node under the identity with which it is to join.
func (f *membership) member() Member { return Member{Identity: f.fresh, Node: f.node} }

// kill ends the node, if it runs.
func (f *membership) kill(ctx context.Context, s surgeon) error {
	h, up := s.cluster.Host(f.node)
	if !up {
		return nil
	}
	_, err := killHost(ctx, s.cluster, h)
	return err
}

// wipe takes the data of the node, which is down.
func (f *membership) wipe(ctx context.Context, s surgeon) error {
	if err := s.Wipe(ctx, f.node); err != nil {
		return fmt.Errorf("wipe %s: %w", f.node, err)
	}
	return nil
}

// loseData kills the node and takes its data.
func (f *membership) loseData(ctx context.Context, s surgeon) (history.Evidence, error) {
	e := history.Evidence{Nodes: []string{f.node}}
	began := time.Now()
	if err := f.kill(ctx, s); err != nil {
		return e, err
	}
	if err := f.wipe(ctx, s); err != nil {
		return e, err
	}
	e.Applied, e.Proven = time.Since(began), true
	e.Summary = fmt.Sprintf("wipe %s: it was killed, and its data directory is empty; the members are %s", f.node, roster(f.before))
	return e, nil
}

// leave takes the node's old identity out of the configuration.
func (f *membership) leave(ctx context.Context, s surgeon) error {
	if f.old == "" {
		return nil
	}
	if err := s.change(ctx, change{removeMember, Member{Identity: f.old, Node: f.node}}); err != nil {
		return err
	}
	f.old = ""
	return nil
}

// enter starts the node on an empty disk, under a new identity unless it has one, and waits until it is a member.
func (f *membership) enter(ctx context.Context, s surgeon) error {
	if f.fresh == "" {
		f.fresh = s.NewIdentity(f.node)
	}
	if !f.joined {
		if err := f.rejoin(ctx, s); err != nil {
			return err
		}
		f.joined = true
	}
	if _, err := startNode(ctx, s.cluster, f.node); err != nil { // it may have ended by itself
		return err
	}
	return s.join(ctx, f.member())
}

// rejoin starts the node under its identity, once the change that this is may be begun.
func (f *membership) rejoin(ctx context.Context, s surgeon) error {
	if f.planned.Target != Wipe {
		if err := s.expect(ctx, change{addLearner, f.member()}); err != nil {
			return err
		}
	}
	if err := f.kill(ctx, s); err != nil {
		return err
	}
	if err := f.wipe(ctx, s); err != nil {
		return err
	}
	if err := s.Rejoin(ctx, f.node, f.fresh); err != nil {
		return fmt.Errorf("start %s as %s: %w", f.node, f.fresh, err)
	}
	return nil
}

// vote gives the node its vote, unless it has one.
func (f *membership) vote(ctx context.Context, s surgeon) error {
	c := change{giveVote, f.member()}
	if now, err := s.ask(ctx); err == nil && c.in(now) {
		return nil
	}
	return s.change(ctx, c)
}

// retire makes the node a spare again: it leaves, and is killed.
func (f *membership) retire(ctx context.Context, s surgeon) error {
	if f.fresh == "" {
		return nil
	}
	if !f.joined { // it may run all the same, and then ask to join
		if err := f.kill(ctx, s); err != nil {
			return err
		}
	}
	c := change{removeMember, f.member()}
	if now, err := s.ask(ctx); err != nil || !c.in(now) || s.View().Pending() != "" {
		if err := s.change(ctx, c); err != nil {
			return err
		}
	}
	if err := f.kill(ctx, s); err != nil {
		return err
	}
	s.Retire(f.node)
	return nil
}
