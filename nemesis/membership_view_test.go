package nemesis

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// five are five voters, one on each node.
func five() (members []Member) {
	for i := range 5 {
		node := fmt.Sprintf("n%d", i+1)
		members = append(members, Member{Identity: node, Node: node, Voter: true})
	}
	return members
}

// among says of the named nodes that they live.
func among(nodes string) func(string) bool {
	return func(node string) bool { return slices.Contains(strings.Fields(nodes), node) }
}

func TestAChangeIsBegunOnlyWithALiveMajority(t *testing.T) {
	old, fresh := Member{Identity: "n3", Node: "n3"}, Member{Identity: "n3-2", Node: "n3"}
	four := change{removeMember, old}.apply(five())
	learning := change{addLearner, fresh}.apply(four)
	for _, c := range []struct {
		name    string
		members []Member
		change  change
		live    string
		why     string
	}{
		{"a dead voter goes", five(), change{removeMember, old}, "n1 n2 n4", ""},
		{"too few are left", five(), change{removeMember, old}, "n1 n2", "remove n3: of the voters n1, n2, n3, n4, n5 only n1, n2 can be reached: no majority"},
		{"the one that goes is needed", five(), change{removeMember, old}, "n1 n2 n3", "remove n3: of the voters n1, n2, n4, n5 only n1, n2 can be reached: no majority"},
		{"a learner needs no majority of its own", four, change{addLearner, fresh}, "n1 n2 n4", ""},
		{"a learner counts for none", learning, change{addLearner, fresh}, "n1 n2 n3", "add n3-2: of the voters n1, n2, n4, n5 only n1, n2 can be reached: no majority"},
		{"a vote", learning, change{giveVote, fresh}, "n1 n2 n3 n4", ""},
		{"the new voter makes the majority, and the old ones have none", learning, change{giveVote, fresh}, "n1 n2 n3", "promote n3-2: of the voters n1, n2, n4, n5 only n1, n2 can be reached: no majority"},
		{"the new voter is dead", learning, change{giveVote, fresh}, "n1 n2 n4", ""},
		{"nobody lives", five(), change{removeMember, old}, "", "remove n3: of the voters n1, n2, n3, n4, n5 only none can be reached: no majority"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var v MembershipView
			if err := v.begin(c.change, among(c.live)); err == nil {
				t.Error("a change was begun before any node had told the members")
			}
			v.Told(c.members)
			why := ""
			if err := v.begin(c.change, among(c.live)); err != nil {
				why = err.Error()
			}
			if why != c.why {
				t.Errorf("said %q, want %q", why, c.why)
			}
			if begun := v.Pending() != ""; begun != (c.why == "") {
				t.Errorf("pending is %q", v.Pending())
			}
		})
	}
}

func TestALostAnswerStaysPending(t *testing.T) {
	everyone := among("n1 n2 n3 n4 n5")
	remove := change{removeMember, Member{Identity: "n3", Node: "n3"}}
	var v MembershipView
	v.Told(five())
	begin := func(c change, want string) {
		t.Helper()
		if err := v.begin(c, everyone); err != nil && want == "" || want != "" && (err == nil || err.Error() != want) {
			t.Fatalf("begin %s: %v, want %q", c, err, want)
		}
	}
	pending := func(want string, voters int) {
		t.Helper()
		if got := v.Pending(); got != want || len(votersOf(v.Members())) != voters {
			t.Fatalf("pending is %q, want %q; the members are %s", got, want, roster(v.Members()))
		}
	}
	begin(remove, "")
	v.end(remove, refused)
	pending("", 5)
	begin(remove, "")
	v.end(remove, unknownOutcome)
	pending("remove n3", 5)
	begin(change{removeMember, Member{Identity: "n4", Node: "n4"}}, "remove n4: nobody knows yet what became of another change, remove n3")
	v.Told(five()) // it may still come
	pending("remove n3", 5)
	begin(remove, "")
	v.end(remove, refused) // of the second request; the first was another's
	pending("remove n3", 5)
	v.Told(remove.apply(five()))
	pending("", 4)

	add := change{addLearner, Member{Identity: "n3-2", Node: "n3"}}
	begin(add, "")
	v.end(add, unknownOutcome)
	withdraw := change{removeMember, add.member}
	begin(withdraw, "") // the only change that is allowed meanwhile
	v.end(withdraw, made)
	pending("", 4)
}

func TestNoMoreThanAMinorityForgets(t *testing.T) {
	var v MembershipView
	v.Told(five())
	for _, identity := range []string{"n1", "n2"} {
		if err := v.forget(identity); err != nil {
			t.Fatal(err)
		}
	}
	if err := v.forget("n3"); err == nil || err.Error() != "wipe n3: 2 voters have no data as it is, and of 5 at most 2 may" {
		t.Errorf("a third of five voters was wiped: %v", err)
	}
	v.regained("n1")
	if err := v.forget("n3"); err != nil {
		t.Error(err)
	}
}

// membershipTruth is that of which a view has beliefs.
type membershipTruth struct {
	t       *testing.T
	members []Member
}

// check fails the test if a change, made now, would leave the configuration before or after it without a live majority.
func (m *membershipTruth) check(c change, live func(string) bool) {
	m.t.Helper()
	for _, members := range [][]Member{m.members, c.apply(m.members)} {
		if err := quorate(members, live); err != nil {
			m.t.Fatalf("%s was begun: %v", c, err)
		}
	}
}

// TestTheViewNeverLosesAQuorum begins changes at random against nodes that come and go, with answers that are lost. Whatever becomes of
// a change, then or later, both configurations had a live majority when it was begun; never do two members change at once; and
// when nothing is pending, what is believed is what is.
func TestTheViewNeverLosesAQuorum(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 1))
		truth := &membershipTruth{t: t, members: five()}
		var v MembershipView
		v.Told(truth.members)
		fresh := 0
		var late []change // whose answer was lost: each may still be made
		for range 60 {
			down, order := r.IntN(4), r.Perm(7)
			live := func(node string) bool { return !slices.Contains(order[:down], int(node[1]-'1')) }
			c := randomChange(r, v.Members(), &fresh)
			if len(late) > 0 && r.IntN(2) == 0 {
				c = late[r.IntN(len(late))]
			}
			if err := v.begin(c, live); err == nil {
				for _, other := range late {
					if other != c && (c.what != removeMember || c.member.Identity != other.member.Identity) {
						t.Fatalf("seed %d: %s was begun while %s was pending", seed, c, other)
					}
					truth.check(other, live) // if it is made between this moment and the next
				}
				truth.check(c, live)
				o := request(r, truth, c)
				if o == unknownOutcome {
					late = append(late, c)
				}
				v.end(c, o)
				if v.Pending() == "" {
					late = nil // what was superseded asks for a member that is gone
				}
			}
			if len(late) > 0 && r.IntN(3) == 0 {
				truth.members = late[r.IntN(len(late))].apply(truth.members)
			}
			if r.IntN(3) == 0 {
				v.Told(truth.members)
			}
			if v.Pending() == "" {
				late = nil
				if got, want := roster(v.Members()), roster(truth.members); got != want {
					t.Fatalf("seed %d: nothing is pending, and the members are believed to be %s; they are %s", seed, got, want)
				}
			}
		}
	}
}

// request asks for a change that was begun, and says what is known of what became of it.
func request(r *rand.Rand, truth *membershipTruth, c change) outcome {
	switch r.IntN(4) {
	case 0:
		truth.members = c.apply(truth.members)
		return made
	case 1:
		return refused
	case 2:
		truth.members = c.apply(truth.members)
	}
	return unknownOutcome
}

// randomChange is a change that makes sense: of a member, or a new one on one of seven nodes.
func randomChange(r *rand.Rand, members []Member, fresh *int) change {
	if len(members) == 0 || r.IntN(3) == 0 {
		*fresh++
		node := fmt.Sprintf("n%d", 1+r.IntN(7))
		return change{addLearner, Member{Identity: fmt.Sprintf("%s-%d", node, 1+*fresh), Node: node}}
	}
	m := members[r.IntN(len(members))]
	return change{[]alteration{giveVote, removeMember}[r.IntN(2)], Member{Identity: m.Identity, Node: m.Node}}
}
