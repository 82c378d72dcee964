package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"rift/harness/history"
)

var membershipKind = Kind{
	Name:    "membership",
	Doc:     "Replaces, removes and adds members, with learners and their promotion, and never so that a configuration has no live majority.",
	Targets: membershipTargets,
	How: "the system is asked to remove and promote members; a node that leaves is killed, and comes back on an empty disk, under a new identity, " +
		"as a learner",
	Needs: "a system whose members can be changed while it runs; grow needs --spares",
	Proof: "the nodes themselves tell the configuration before and after, confirmed by a majority",
	Draw:  drawMembership,
	New:   newMembership,
	Fits:  needsAbility(AbilityMembership),
	Able: func(c Cluster) error {
		_, err := membershipOf(c)
		return err
	},
}

// Targets of a membership fault.
const (
	Replace = "replace" // a voter loses its disk, is removed, and a new member takes its place
	Shrink  = "shrink"  // a voter is removed; a new member takes its place when the fault is healed
	Promote = "promote" // a voter is replaced by a learner, which gets its vote when the fault is healed
	Grow    = "grow"    // a spare node becomes a voter, and is removed again
	Wipe    = "wipe"    // a voter loses its disk, and comes back under its old identity when the fault is healed; nobody removes it
)

// membershipTargets are all of them, the usual ones first.
var membershipTargets = []string{Replace, Shrink, Promote, Grow, Wipe}

// argNode says which node a membership fault takes: "one" draws it, "leader" asks, anything else is a node's name.
const argNode = "node"

// Lengths of membership faults, drawn evenly: a change takes a second or two by itself.
const (
	membershipLeast = 4 * time.Second
	membershipMost  = 9 * time.Second
)

func drawMembership(r *rand.Rand, allowed []string) history.PlannedFault {
	p := history.PlannedFault{Target: allowed[r.IntN(len(allowed))], For: history.Duration(between(r, membershipLeast, membershipMost))}
	if p.Target != Grow && r.IntN(4) == 0 {
		p.Args = map[string]string{argNode: Leader}
	}
	return p
}

func newMembership(p history.PlannedFault) (Fault, error) {
	if err := checkPlanned(p, membershipTargets, []string{argNode}); err != nil {
		return nil, err
	}
	node, given := p.Args[argNode]
	switch {
	case !given:
		node = One
	case node == "" || strings.ContainsAny(node, "+, "):
		return nil, fmt.Errorf("argument node of membership: %q given, one, leader or a node's name allowed", node)
	case p.Target == Grow && node == Leader:
		return nil, errors.New("argument node of membership: leader given, which is no spare; one or a spare node's name allowed")
	}
	return &membership{planned: p, victim: node}, nil
}

// membership is one membership fault. What it has done so far stands in its fields, so that Heal can go on from wherever Inject ended.
type membership struct {
	planned history.PlannedFault
	victim  string // argument node

	node   string   // that it has hit; empty: none
	before []Member // the configuration that it found
	old    string   // the identity that is to leave; empty: none, or it has left
	fresh  string   // the identity under which the node is to join; empty: not drawn yet
	joined bool     // it was started under that identity
	healed bool
}

// step is one step of a fault. Taking it again when it has been taken does nothing.
type step func(*membership, context.Context, surgeon) error

// procedure are the steps that put a target in, and those that take it out again, from wherever the first ended.
type procedure struct{ inject, heal []step }

var (
	kills  step = (*membership).kill
	leaves step = (*membership).leave
	enters step = (*membership).enter
	votes  step = (*membership).vote
	goes   step = (*membership).retire
)

var procedures = map[string]procedure{
	Replace: {[]step{kills, leaves, enters, votes}, []step{leaves, enters, votes}},
	Shrink:  {[]step{leaves, kills}, []step{leaves, enters, votes}}, // in good health, as an operator removes a node
	Promote: {[]step{kills, leaves, enters}, []step{leaves, enters, votes}},
	Grow:    {[]step{enters, votes}, []step{goes}},
	Wipe:    {nil, []step{enters, votes}}, // put in by loseData: the nodes are asked for nothing
}

// Inject takes the steps of its target up to where the fault is in force.
func (f *membership) Inject(ctx context.Context, c Cluster, r *rand.Rand) (history.Evidence, error) {
	m, err := membershipOf(c)
	if err != nil {
		return history.Evidence{}, err
	}
	s := surgeon{m, c, f.planned.ID}
	if err := f.take(ctx, s, r); err != nil {
		f.release(s)
		*f = membership{planned: f.planned, victim: f.victim} // nothing was changed, and it may be tried again
		return Skip(err.Error()), nil
	}
	if f.planned.Target == Wipe {
		return f.loseData(ctx, s)
	}
	return f.carryOut(ctx, s, procedures[f.planned.Target].inject, f.inForce)
}

// carryOut takes steps, and has the nodes tell what came of them.
func (f *membership) carryOut(ctx context.Context, s surgeon, steps []step, proven func(c Cluster, now []Member) bool) (history.Evidence, error) {
	e := history.Evidence{Nodes: []string{f.node}}
	began := time.Now()
	for _, take := range steps {
		if err := take(f, ctx, s); err != nil {
			return e, err
		}
	}
	e.Applied = time.Since(began)
	var now []Member
	if err := s.until(ctx, func(ctx context.Context) (err error) {
		now, err = s.ask(ctx)
		return err
	}); err != nil {
		return e, err
	}
	e.Proven = proven(s.cluster, now)
	e.Measures = map[string]float64{"voters_before": float64(len(votersOf(f.before))), "voters_after": float64(len(votersOf(now)))}
	e.Summary = fmt.Sprintf("%s %s: the members were %s, and are %s", f.planned.Target, f.node, roster(f.before), roster(now))
	return e, nil
}

// take finds out whom to hit, takes that node, and says why it may not be hit now.
func (f *membership) take(ctx context.Context, s surgeon, r *rand.Rand) (err error) {
	if f.before, err = s.ask(ctx); err != nil {
		return err
	}
	candidates, err := f.candidates(ctx, s)
	if err != nil {
		return err
	}
	if len(candidates) == 0 {
		return errors.New(f.nobody(s))
	}
	victim := candidates[r.IntN(len(candidates))]
	if err := s.cluster.Board().Claim(victim.Node, f.planned.ID, "changing its membership"); err != nil {
		return err
	}
	f.node = victim.Node
	switch f.planned.Target {
	case Grow:
		return s.allowed(ctx, change{addLearner, victim}, "")
	case Wipe: // no configuration changes; the other voters keep what this one forgets
		f.fresh = victim.Identity
		return s.View().forget(victim.Identity)
	default: // it may be dead by the time that it leaves
		f.old = victim.Identity
		return s.allowed(ctx, change{removeMember, victim}, victim.Node)
	}
}

// candidates are the voters, or the spares, that may be hit, in the nodes' order.
func (f *membership) candidates(ctx context.Context, s surgeon) (list []Member, err error) {
	wanted := f.victim
	if wanted == Leader {
		if wanted, err = pickedLeader(ctx, s.cluster); err != nil {
			return nil, err
		}
	}
	if f.planned.Target == Grow {
		for _, node := range s.Spares() {
			if s.cluster.Board().Free(node) && (wanted == One || wanted == node) {
				list = append(list, Member{Node: node})
			}
		}
		return list, nil
	}
	for _, m := range f.before {
		if m.Voter && available(s.cluster, m.Node) && (wanted == One || wanted == m.Node) {
			list = append(list, m)
		}
	}
	slices.SortFunc(list, func(a, b Member) int { return strings.Compare(a.Node, b.Node) })
	return list, nil
}

// nobody says why there was no candidate.
func (f *membership) nobody(s surgeon) string {
	if f.planned.Target == Grow {
		return "no spare node to be added: --spares makes some"
	}
	return skipTarget(s.cluster, f.planned.Target+", node "+f.victim).Summary
}

// inForce says whether the nodes tell what the fault is to bring about.
func (f *membership) inForce(c Cluster, now []Member) bool {
	member, known := findMember(now, f.fresh)
	_, up := c.Host(f.node)
	switch f.planned.Target {
	case Shrink:
		return !up && !slices.ContainsFunc(now, func(m Member) bool { return m.Node == f.node })
	case Promote:
		return up && known && !member.Voter
	default:
		return up && known && member.Voter
	}
}

// over says whether the nodes tell what is to be after the heal.
func (f *membership) over(c Cluster, now []Member) bool {
	member, known := findMember(now, f.fresh)
	_, up := c.Host(f.node)
	if f.planned.Target == Grow {
		return !up && !known
	}
	return up && known && member.Voter
}

// Heal brings the number of voters back to what it was.
func (f *membership) Heal(ctx context.Context, c Cluster) (history.Evidence, error) {
	if f.node == "" || f.healed {
		return Skip("no member was changed"), nil
	}
	m, err := membershipOf(c)
	if err != nil {
		return history.Evidence{}, err
	}
	s := surgeon{m, c, f.planned.ID}
	e, err := f.carryOut(ctx, s, procedures[f.planned.Target].heal, f.over)
	if err != nil {
		return e, err
	}
	f.healed = true
	f.release(s)
	return e, nil
}

// release gives the node back.
func (f *membership) release(s surgeon) {
	if f.node == "" {
		return
	}
	if f.planned.Target == Wipe {
		s.View().regained(f.fresh)
	}
	s.cluster.Board().Release(f.node, f.planned.ID)
}

// votersOf are the identities of those that vote.
func votersOf(members []Member) []string {
	var list []string
	for _, m := range members {
		if m.Voter {
			list = append(list, m.Identity)
		}
	}
	return list
}

// roster is a configuration, for a summary: "n1, n2, n3-2; learners n4".
func roster(members []Member) string {
	text := listed(votersOf(members))
	var learners []string
	for _, m := range members {
		if !m.Voter {
			learners = append(learners, m.Identity)
		}
	}
	if len(learners) > 0 {
		text += "; learners " + listed(learners)
	}
	return text
}
