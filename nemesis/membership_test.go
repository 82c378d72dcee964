package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rift/harness/history"
)

// electorate is a cluster of idle processes of whose membership it is told what a store would know.
type electorate struct {
	*processCluster
	view    MembershipView
	members []Member
	spares  []string
	lives   map[string]int // identities that each node has had
	wiped   []string       // nodes whose data was taken, in turn

	electing sync.Mutex
	leads    string
	term     uint64
	loyal    error // of a leader that does not hand over

	lose   map[alteration]int // how many answers to requests of each kind get lost, after the request was carried out
	refuse map[alteration]int // how many are refused
	stuck  bool               // nobody joins
}

func newElectorate(t *testing.T, n int) *electorate {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("which links are cut is asked of the kernel, which needs root")
	}
	c := &electorate{processCluster: newProcessCluster(t, n), lives: map[string]int{}, lose: map[alteration]int{}, refuse: map[alteration]int{}}
	for _, node := range c.Nodes() {
		c.members = append(c.members, Member{Identity: node, Node: node, Voter: true})
		c.lives[node] = 1
	}
	return c
}

func (c *electorate) Membership() (Membership, error) { return c, nil }
func (c *electorate) Leadership() (Leadership, error) { return c, nil }
func (c *electorate) View() *MembershipView           { return &c.view }
func (c *electorate) Spares() []string                { return slices.Clone(c.spares) }

// Leader is whoever led last, or else the first voter that runs.
func (c *electorate) Leader(ctx context.Context) (string, error) {
	s, err := c.Standing(ctx)
	return s.Leader, err
}

func (c *electorate) Standing(context.Context) (Standing, error) {
	c.electing.Lock()
	defer c.electing.Unlock()
	if _, up := c.Host(c.leads); up {
		return Standing{c.leads, c.term}, nil
	}
	for _, m := range c.members {
		if _, up := c.Host(m.Node); up && m.Voter {
			c.leads = m.Node
			c.term++
			return Standing{c.leads, c.term}, nil
		}
	}
	return Standing{}, ErrNoLeader
}

func (c *electorate) Transfer(_ context.Context, leader, to string) error {
	c.electing.Lock()
	defer c.electing.Unlock()
	if c.loyal != nil {
		return c.loyal
	}
	if to == "" {
		to = "n5"
	}
	c.leads, c.term = to, c.term+1
	return nil
}

func (c *electorate) Members(context.Context) ([]Member, error) { return slices.Clone(c.members), nil }

func (c *electorate) Joined(_ context.Context, _, identity string) (bool, error) {
	_, known := findMember(c.members, identity)
	return known, nil
}

func (c *electorate) NewIdentity(node string) string {
	c.lives[node]++
	return fmt.Sprintf("%s-%d", node, c.lives[node])
}

func (c *electorate) Wipe(_ context.Context, node string) error {
	if _, up := c.Host(node); up {
		return errors.New("it runs")
	}
	c.wiped = append(c.wiped, node)
	return nil
}

func (c *electorate) Rejoin(ctx context.Context, node, identity string) error {
	if !c.stuck {
		c.members = append(change{removeMember, Member{Identity: identity}}.apply(c.members), Member{Identity: identity, Node: node})
	}
	return c.Start(ctx, node)
}

func (c *electorate) Promote(_ context.Context, identity string) error {
	m, _ := findMember(c.members, identity)
	return c.carryOut(change{giveVote, m})
}

func (c *electorate) Remove(_ context.Context, identity string) error {
	m, _ := findMember(c.members, identity)
	return c.carryOut(change{removeMember, m})
}

func (c *electorate) carryOut(ch change) error {
	switch {
	case c.refuse[ch.what] > 0:
		c.refuse[ch.what]--
		return fmt.Errorf("%w: not now", ErrRefused)
	case c.lose[ch.what] > 0:
		c.lose[ch.what]--
		c.members = ch.apply(c.members)
		return errors.New("the connection broke")
	}
	c.members = ch.apply(c.members)
	return nil
}

func (c *electorate) Retire(node string) { c.spares = append(c.spares, node) }

func (c *electorate) checkQuiet(t *testing.T) {
	t.Helper()
	if taken, pending := c.board.Taken(), c.view.Pending(); taken != nil || pending != "" {
		t.Errorf("the board holds %v, pending is %q", taken, pending)
	}
	if len(votersOf(c.members)) != 5 || len(c.members) != 5 {
		t.Errorf("the members are %s", roster(c.members))
	}
}

func TestMembershipComesAndGoes(t *testing.T) {
	for _, answers := range []struct {
		name         string
		lose, refuse int
	}{{"", 0, 0}, {" with lost answers", 1, 0}, {" with refusals", 0, 2}} {
		for _, want := range []struct {
			target           string
			injected, healed string // as the members are told
			up               bool   // between
			wiped            int
		}{
			{Replace, "n1, n2, n3-2, n4, n5", "n1, n2, n3-2, n4, n5", true, 1},
			{Shrink, "n1, n2, n4, n5", "n1, n2, n3-2, n4, n5", false, 1},
			{Promote, "n1, n2, n4, n5; learners n3-2", "n1, n2, n3-2, n4, n5", true, 1},
			{Wipe, "n1, n2, n3, n4, n5", "n1, n2, n3, n4, n5", false, 2},
		} {
			t.Run(want.target+answers.name, func(t *testing.T) {
				c := newElectorate(t, 5)
				for _, what := range []alteration{removeMember, giveVote} {
					c.lose[what], c.refuse[what] = answers.lose, answers.refuse
				}
				f := makeFault(t, membershipKind, history.PlannedFault{Target: want.target, Args: map[string]string{"node": "n3"}})
				e := inject(t, f, c)
				_, up := c.Host("n3")
				if !e.Proven || !slices.Equal(e.Nodes, []string{"n3"}) || roster(c.members) != want.injected || up != want.up {
					t.Errorf("inject: %+v; the members are %s, n3 is up: %t", e, roster(c.members), up)
				}
				e = heal(t, f, c)
				if _, up := c.Host("n3"); !e.Proven || roster(c.members) != want.healed || !up || len(c.wiped) != want.wiped {
					t.Errorf("heal: %+v; the members are %s, n3 is up: %t, wiped %v", e, roster(c.members), up, c.wiped)
				}
				c.checkQuiet(t)
				if again := heal(t, f, c); !again.Skipped {
					t.Errorf("heal again: %+v", again)
				}
			})
		}
	}
}

func TestGrowTakesASpareAndGivesItBack(t *testing.T) {
	c := newElectorate(t, 5)
	f := makeFault(t, membershipKind, history.PlannedFault{Target: Grow})
	if e := inject(t, f, c); !e.Skipped || !strings.Contains(e.Summary, "--spares") {
		t.Errorf("without a spare: %+v", e)
	}
	c.spares = []string{"n6"}
	e := inject(t, f, c)
	if !e.Proven || roster(c.members) != "n1, n2, n3, n4, n5, n6-1" {
		t.Errorf("inject: %+v; the members are %s", e, roster(c.members))
	}
	e = heal(t, f, c)
	if _, up := c.Host("n6"); !e.Proven || up {
		t.Errorf("heal: %+v, up %t", e, up)
	}
	c.checkQuiet(t)
}

// A node that does not join in time is no evidence, and is not left behind.
func TestMembershipHealsWhatIsHalfIn(t *testing.T) {
	for _, target := range []string{Replace, Promote, Grow} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			c := newElectorate(t, 5)
			c.spares, c.stuck = []string{"n6"}, true
			f := makeFault(t, membershipKind, history.PlannedFault{Target: target})
			soon, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			if e, err := f.Inject(soon, c, random()); err == nil || e.Proven {
				t.Fatalf("inject: %+v, %v", e, err)
			}
			if len(c.board.Taken()) != 1 {
				t.Errorf("the board holds %v", c.board.Taken())
			}
			// What the node asked for when it was started, it now gets.
			c.stuck = false
			half := f.(*membership)
			c.members = append(c.members, half.member())
			if e := heal(t, f, c); !e.Proven {
				t.Errorf("heal: %+v", e)
			}
			c.checkQuiet(t)
		})
	}
}

func TestMembershipSkipsWhatWouldCostTheQuorum(t *testing.T) {
	c := newElectorate(t, 5)
	for _, node := range []string{"n4", "n5"} {
		if err := c.board.Claim(node, 99, "paused"); err != nil {
			t.Fatal(err)
		}
	}
	for _, target := range []string{Replace, Shrink, Promote} {
		f := makeFault(t, membershipKind, history.PlannedFault{Target: target, Args: map[string]string{"node": "n3"}})
		e := inject(t, f, c)
		if !e.Skipped || e.Summary != "remove n3: of the voters n1, n2, n3, n4, n5 only n1, n2 can be reached: no majority" {
			t.Errorf("%s: %+v", target, e)
		}
		if e := heal(t, f, c); !e.Skipped || !c.board.Free("n3") {
			t.Errorf("%s: heal %+v, board %v", target, e, c.board.Taken())
		}
	}
	if e := inject(t, makeFault(t, membershipKind, history.PlannedFault{Target: Replace, Args: map[string]string{"node": "n4"}}), c); !e.Skipped {
		t.Errorf("a node that another fault has: %+v", e)
	}
}

func TestMembershipOnTheLeader(t *testing.T) {
	c := newElectorate(t, 5)
	f := makeFault(t, membershipKind, history.PlannedFault{Target: Shrink, Args: map[string]string{"node": "leader"}})
	if e := inject(t, f, c); !e.Proven || !slices.Equal(e.Nodes, []string{"n1"}) {
		t.Errorf("inject: %+v", e)
	}
	heal(t, f, c)
	c.checkQuiet(t)
}

func TestMembershipRefusesBadPlans(t *testing.T) {
	for want, p := range map[string]history.PlannedFault{
		`target of membership: "all" given, one of replace, shrink, promote, grow, wipe allowed`: {Target: "all"},
		`argument of membership: "who" given, one of node allowed`:                               {Target: Replace, Args: map[string]string{"who": "n1"}},
		`argument node of membership: "" given, one, leader or a node's name allowed`:            {Target: Replace, Args: map[string]string{"node": ""}},
		`argument node of membership: leader given, which is no spare; one or a spare node's name allowed`: {
			Target: Grow, Args: map[string]string{"node": "leader"},
		},
	} {
		p.Kind = "membership"
		if _, err := membershipKind.New(p); err == nil || err.Error() != want {
			t.Errorf("%+v: %v, want %s", p, err, want)
		}
	}
	if err := membershipKind.Able(newProcessCluster(t, 1)); err == nil {
		t.Error("the members of a cluster that offers nothing can be changed")
	}
}

// Whatever is drawn is taken, and within its bounds.
func TestMembersAndLeadersAreDrawn(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, k := range []Kind{membershipKind, transferKind, leaderKillKind} {
		for range 300 {
			p := k.Draw(r, k.Targets)
			p.Kind = k.Name
			if _, err := k.New(p); err != nil || p.For < history.Duration(transferLeast) || p.For > history.Duration(leaderKillMost) {
				t.Fatalf("%+v: %v", p, err)
			}
		}
	}
}
