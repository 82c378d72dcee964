package nemesis

import (
	"fmt"
	"slices"
	"sync"
)

// Member is one member of the system under test, as its nodes tell it.
type Member struct {
	Identity string // the name under which the system knows it; a node that was given an empty disk has another than before
	Node     string // the node on which it runs
	Voter    bool   // false: it learns all that is written, and counts for no quorum
}

// MembershipView is what the faults of a run believe of the system's configuration: the members that the nodes last told, and the one
// change that was asked for and of which nobody knows yet whether it was made. All its methods may be called at the same time. The
// zero value knows nothing.
//
// The one idea behind it is that a change whose answer was lost may have been made, or may still be. Until that is known no other
// change is begun, except the removal of the very member in question; and each change is held against both configurations.
type MembershipView struct {
	mu      sync.Mutex
	told    bool
	members []Member
	pending *change
	before  *change         // that was pending when the pending one, a removal of the same member, was begun, and that may be made all the same
	lost    bool            // an answer to either was lost: only the nodes can tell what became of it
	wiped   map[string]bool // identities that lost their data, and have not been seen to have it back
}

// alteration is a kind of change.
type alteration string

const (
	addLearner   alteration = "add"
	giveVote     alteration = "promote"
	removeMember alteration = "remove"
)

// change is one step from one configuration to the next.
type change struct {
	what   alteration
	member Member
}

func (c change) String() string { return string(c.what) + " " + c.member.Identity }

// outcome is what is known of a change that was asked for.
type outcome int

const (
	unknownOutcome outcome = iota // it was made, or may be, or not
	made
	refused // it was not made, and never will be
)

// apply is the configuration after the change.
func (c change) apply(members []Member) []Member {
	rest := slices.DeleteFunc(slices.Clone(members), func(m Member) bool { return m.Identity == c.member.Identity })
	known := len(rest) < len(members)
	switch {
	case c.what == addLearner && known, c.what == giveVote && !known:
		return members
	case c.what == removeMember:
		return rest
	}
	m := c.member
	m.Voter = c.what == giveVote
	return append(rest, m)
}

// in says whether the configuration is one in which the change was made.
func (c change) in(members []Member) bool {
	m, known := findMember(members, c.member.Identity)
	switch c.what {
	case addLearner:
		return known
	case giveVote:
		return known && m.Voter
	default:
		return !known
	}
}

func findMember(members []Member, identity string) (Member, bool) {
	for _, m := range members {
		if m.Identity == identity {
			return m, true
		}
	}
	return Member{}, false
}

// Told takes down a configuration of which the nodes say that it certainly stands.
func (v *MembershipView) Told(members []Member) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.told, v.members = true, slices.Clone(members)
	if v.pending != nil && v.pending.in(members) {
		v.resolve()
	}
}

// Members are those that were told last, with what was certainly changed since.
func (v *MembershipView) Members() []Member {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.members)
}

// Pending names the change of which nobody knows whether it was made; empty if there is none.
func (v *MembershipView) Pending() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.pending == nil {
		return ""
	}
	return v.pending.String()
}

// begin notes that a change is about to be asked for, unless it is not allowed. One that is pending may be asked for again.
func (v *MembershipView) begin(c change, live func(node string) bool) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.check(c, live); err != nil {
		return err
	}
	if v.pending == nil || *v.pending != c {
		v.before, v.pending = v.pending, &c
	}
	return nil
}

// resolve notes that nothing is pending any more. The lock is held.
func (v *MembershipView) resolve() { v.pending, v.before, v.lost = nil, nil, false }

// allowed says why a change must not be begun: another is pending, or, in what may be the configuration before or after it, the
// voters that live are no majority.
func (v *MembershipView) allowed(c change, live func(node string) bool) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.check(c, live)
}

func (v *MembershipView) check(c change, live func(node string) bool) error {
	switch p := v.pending; {
	case !v.told:
		return fmt.Errorf("%s: no node has told who the members are", c)
	case p != nil && *p != c && (c.what != removeMember || p.member.Identity != c.member.Identity):
		return fmt.Errorf("%s: nobody knows yet what became of another change, %s", c, p)
	}
	for _, before := range v.possible() {
		for _, members := range [][]Member{before, c.apply(before)} {
			if err := quorate(members, live); err != nil {
				return fmt.Errorf("%s: %w", c, err)
			}
		}
	}
	return nil
}

// forget notes that a voter is about to lose its data. More than a minority must not: no system could keep what they alone acknowledged.
func (v *MembershipView) forget(identity string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if most := (len(votersOf(v.members)) - 1) / 2; len(v.wiped) >= most {
		return fmt.Errorf("wipe %s: %d voters have no data as it is, and of %d at most %d may", identity, len(v.wiped), len(votersOf(v.members)), most)
	}
	if v.wiped == nil {
		v.wiped = make(map[string]bool)
	}
	v.wiped[identity] = true
	return nil
}

// regained notes that a voter has its data back.
func (v *MembershipView) regained(identity string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.wiped, identity)
}

// possible are the configurations that may stand now.
func (v *MembershipView) possible() [][]Member {
	all := [][]Member{v.members}
	for _, c := range []*change{v.before, v.pending} {
		if c != nil {
			all = append(all, c.apply(v.members))
		}
	}
	return all
}

// quorate says why the voters that live are no majority; nil if they are.
func quorate(members []Member, live func(node string) bool) error {
	var voters, alive []string
	for _, m := range members {
		if m.Voter {
			voters = append(voters, m.Identity)
			if live(m.Node) {
				alive = append(alive, m.Identity)
			}
		}
	}
	if len(alive) < len(voters)/2+1 {
		return fmt.Errorf("of the voters %s only %s can be reached: no majority", listed(voters), orNobody(listed(alive)))
	}
	return nil
}

func orNobody(list string) string {
	if list == "" {
		return "none"
	}
	return list
}

// end notes what came of a change that was begun. A refusal says nothing of an earlier request for the same change whose answer was
// lost: another node may have had that one.
func (v *MembershipView) end(c change, o outcome) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.pending == nil || *v.pending != c {
		return // the nodes have told meanwhile that it was made
	}
	switch {
	case o == made:
		v.members = c.apply(v.members)
		v.resolve()
	case o == unknownOutcome:
		v.lost = true
	case !v.lost:
		v.resolve()
	}
}
