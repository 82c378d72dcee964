package nemesis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rift/nemesis/netfilter"
)

// Reconfigurable is a Cluster of a system whose members can be changed while it runs. The error says that this system's cannot.
type Reconfigurable interface {
	Membership() (Membership, error)
}

// Membership is what the faults that change the members need of a cluster. ErrRefused marks those errors of Promote and Remove after which
// the change was certainly not made; after any other nobody knows.
type Membership interface {
	// View is what is believed of the configuration; there is one for all faults of a run.
	View() *MembershipView
	// Members asks the nodes for the configuration that certainly stands.
	Members(ctx context.Context) ([]Member, error)
	// Joined asks one node whether it knows itself to be a member under this identity.
	Joined(ctx context.Context, node, identity string) (bool, error)
	// Spares lists the nodes that were made for membership faults to add and that are no members.
	Spares() []string
	// NewIdentity is an identity for the node that was never used.
	NewIdentity(node string) string
	// Wipe takes all data from a node that is down.
	Wipe(ctx context.Context, node string) error
	// Rejoin starts a node that is down and has no data under an identity. By itself it asks to become a member without a vote.
	Rejoin(ctx context.Context, node, identity string) error
	// Promote gives a member its vote.
	Promote(ctx context.Context, identity string) error
	// Remove takes a member, with or without a vote, out of the configuration. Its process goes on.
	Remove(ctx context.Context, identity string) error
	// Retire makes a node that is down and no member a spare.
	Retire(node string)
}

// ErrRefused marks a change that was certainly not made.
var ErrRefused = errors.New("refused")

// membershipOf is the cluster's Membership, or an error that says why it has none.
func membershipOf(c Cluster) (Membership, error) {
	r, ok := c.(Reconfigurable)
	if !ok {
		return nil, errors.New("the members of this cluster cannot be changed")
	}
	return r.Membership()
}

// How long one step of a fault is tried again, how long the nodes have for one answer, and the pause between tries.
const (
	stepTime   = 12 * time.Second
	answerTime = 3 * time.Second
	stepAgain  = 100 * time.Millisecond
)

// surgeon carries out the steps of one membership fault.
type surgeon struct {
	Membership
	cluster Cluster
	fault   int
}

// ask has the nodes tell who the members are.
func (s surgeon) ask(ctx context.Context) ([]Member, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	members, err := s.Members(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask who the members are: %w", err)
	}
	s.View().Told(members)
	return members, nil
}

// live says which nodes run, are in no other fault's hands, and are cut off from the leader by no partition of this run.
func (s surgeon) live(ctx context.Context) (func(node string) bool, error) {
	leader, err := pickedLeader(ctx, s.cluster)
	if err != nil {
		return nil, err
	}
	cut, err := netfilter.Links(s.cluster.Tag() + "-")
	if err != nil {
		return nil, fmt.Errorf("look which links are cut: %w", err)
	}
	return func(node string) bool {
		there := address(s.cluster, link{leader, node})
		_, up := s.cluster.Host(node)
		return up && s.cluster.Board().FreeFor(node, s.fault) && !cut[there] && !cut[netfilter.Link{From: there.To, To: there.From}]
	}, nil
}

// allowed says why a change must not be begun now; nil if it may. Nothing is begun.
func (s surgeon) allowed(ctx context.Context, c change, without string) error {
	live, err := s.live(ctx)
	if err != nil {
		return err
	}
	return s.View().allowed(c, func(node string) bool { return node != without && live(node) })
}

// change asks for a change until it is made. Between tries it looks again whether it still may be, and asks the nodes whether it
// was made when an answer was lost.
func (s surgeon) change(ctx context.Context, c change) error {
	do := s.Promote
	if c.what == removeMember {
		do = s.Remove
	}
	return s.until(ctx, func(ctx context.Context) error {
		live, err := s.live(ctx)
		if err != nil {
			return err
		}
		if err := s.View().begin(c, live); err != nil {
			return err
		}
		err = do(ctx, c.member.Identity)
		s.View().end(c, outcomeOf(err))
		if err == nil {
			return nil
		}
		if members, asked := s.ask(ctx); asked == nil && c.in(members) {
			return nil
		}
		return fmt.Errorf("%s: %w", c, err)
	})
}

func outcomeOf(err error) outcome {
	switch {
	case err == nil:
		return made
	case errors.Is(err, ErrRefused):
		return refused
	default:
		return unknownOutcome
	}
}

// join waits until a node that was started is a member.
func (s surgeon) join(ctx context.Context, m Member) error {
	c := change{addLearner, m}
	return s.until(ctx, func(ctx context.Context) error {
		joined, err := s.Joined(ctx, m.Node, m.Identity)
		if err != nil {
			return fmt.Errorf("%s: %w", c, err)
		}
		members, err := s.ask(ctx)
		if err != nil {
			return err
		}
		if !joined || !c.in(members) {
			return fmt.Errorf("%s: it runs, and is no member yet", c)
		}
		return nil
	})
}

// until tries something again until it succeeds, the context ends or its time is over. The error is the last.
func (s surgeon) until(ctx context.Context, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	again := time.NewTicker(stepAgain)
	defer again.Stop()
	for {
		once, done := context.WithTimeout(ctx, leaderWait+answerTime)
		err := try(once)
		done()
		if err == nil {
			return nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return err
		}
	}
}

// expect waits until the change that a node will ask for by itself may be begun. What comes of it, only the nodes can tell.
func (s surgeon) expect(ctx context.Context, c change) error {
	return s.until(ctx, func(ctx context.Context) error {
		live, err := s.live(ctx)
		if err != nil {
			return err
		}
		if err := s.View().begin(c, live); err != nil {
			return err
		}
		s.View().end(c, unknownOutcome)
		return nil
	})
}
