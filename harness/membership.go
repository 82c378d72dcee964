package harness

import (
	"context"
	"errors"
	"fmt"

	"rift/harness/history"
	"rift/nemesis"
)

// Membership is what a System offers whose members can be changed while it runs. Errors that wrap ErrDidNotHappen say that a change was
// certainly not made.
type Membership interface {
	// Members asks the nodes for the configuration that certainly stands. The Node of each member is for the harness to fill in.
	Members(ctx context.Context, nodes []Node) ([]nemesis.Member, error)
	// Joined asks one node whether it knows itself to be a member under this identity.
	Joined(ctx context.Context, n Node, identity string) (bool, error)
	// LaunchMember says how to start a node that has no data, under an identity, so that by itself it asks the others to become a member
	// without a vote. It must never found a cluster of its own.
	LaunchMember(n Node, identity string, others []Node, t history.Test) (Launch, error)
	// Promote gives a member its vote, and Remove takes a member out; the request goes through the given node, which may pass it on.
	Promote(ctx context.Context, via Node, identity string) error
	Remove(ctx context.Context, via Node, identity string) error
	// Transfer has the leader hand over to a member, or to whom it likes if to is empty.
	Transfer(ctx context.Context, leader Node, to string) error
}

// membership is the cluster as faults on members and leaders see it.
type membership struct {
	*Cluster
	system Membership
}

func (c *Cluster) membership() (membership, error) {
	m, ok := c.system.(Membership)
	if !ok {
		return membership{}, fmt.Errorf("system %s cannot be asked to change its members or its leader", c.system.Name())
	}
	return membership{c, m}, nil
}

// Membership is for faults that change the members.
func (c *Cluster) Membership() (nemesis.Membership, error) { return c.membership() }

// Leadership is for faults that change the leader.
func (c *Cluster) Leadership() (nemesis.Leadership, error) { return c.membership() }

// View is what the faults believe of the configuration.
func (m membership) View() *nemesis.MembershipView { return &m.view }

// Members asks all nodes that run.
func (m membership) Members(ctx context.Context) ([]nemesis.Member, error) {
	members, err := m.system.Members(ctx, m.running())
	for i := range members {
		members[i].Node = m.owner(members[i].Identity)
	}
	return members, err
}

// Joined asks one node.
func (m membership) Joined(ctx context.Context, node, identity string) (bool, error) {
	n, known := m.node(node)
	if !known {
		return false, unknownNode(node)
	}
	return m.system.Joined(ctx, n, identity)
}

// Wipe takes all data of a node that is down.
func (m membership) Wipe(ctx context.Context, node string) error { return m.hosts.Wipe(ctx, node) }

// Rejoin starts a node under an identity. Views, logs and faults know it by its own name as before.
func (m membership) Rejoin(ctx context.Context, node, identity string) error {
	n, known := m.node(node)
	if !known {
		return unknownNode(node)
	}
	var others []Node
	for _, other := range m.members() {
		if other.Name != node {
			others = append(others, other)
		}
	}
	launch, err := m.system.LaunchMember(n, identity, others, m.test)
	if err != nil {
		return err
	}
	if err := m.hosts.Relaunch(ctx, node, launch); err != nil {
		return err
	}
	m.enlist(node, identity)
	return m.Start(ctx, node)
}

// Promote gives a member its vote.
func (m membership) Promote(ctx context.Context, identity string) error {
	return m.ask(ctx, func(via Node) error { return m.system.Promote(ctx, via, identity) })
}

// Remove takes a member out.
func (m membership) Remove(ctx context.Context, identity string) error {
	return m.ask(ctx, func(via Node) error { return m.system.Remove(ctx, via, identity) })
}

// ask has the leader do something: it is the one that must, and whoever passes a request on may lose its answer.
func (m membership) ask(ctx context.Context, do func(via Node) error) error {
	s, err := m.Standing(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", nemesis.ErrRefused, err) // nobody was asked
	}
	n, _ := m.node(s.Leader)
	return refusal(do(n))
}

// refusal marks an error after which nothing happened as faults know it.
func refusal(err error) error {
	if errors.Is(err, ErrDidNotHappen) {
		return fmt.Errorf("%w: %w", nemesis.ErrRefused, err)
	}
	return err
}

// Standing asks who leads, and in which term.
func (m membership) Standing(ctx context.Context) (nemesis.Standing, error) {
	v, err := m.leader(ctx)
	return nemesis.Standing{Leader: v.Node, Term: v.Term}, err
}

// Transfer has the leader hand over.
func (m membership) Transfer(ctx context.Context, leader, to string) error {
	n, known := m.node(leader)
	if !known {
		return unknownNode(leader)
	}
	if to != "" {
		to = m.identity(to)
	}
	return refusal(m.system.Transfer(ctx, n, to))
}

func unknownNode(name string) error {
	return fmt.Errorf("node: %q given, which this cluster does not have", name)
}
