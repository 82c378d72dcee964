package checker

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"rift/harness/history"
)

// Invariants checks what must hold inside a cluster of Raft nodes, whatever clients see, on the transitions that nodes wrote to their logs (Ongaro and
// Ousterhout, "In Search of an Understandable Consensus Algorithm", 2014, figure 3). A broken invariant is often seen long before a client gets a wrong answer, or
// where no client ever asks. Each assertion counts how often it was put to the test: one that never was has proven nothing, and is told.
type Invariants struct {
	Trace  []Transition
	Phases []history.Phase
}

// The assertions, by the names under which they are counted and reported.
const (
	oneLeader    = "one-leader-a-term"
	oneVote      = "one-vote-a-term"
	termForward  = "term-never-back"
	entriesSame  = "committed-entries-same"
	entriesKept  = "committed-entries-kept"
	statesSame   = "same-state-at-same-index"
	stateForward = "state-never-back"
	stopsClean   = "clean-stop"
)

// CountChecked begins the names of the counts of how often each assertion was checked.
const CountChecked = "checked-"

// assertions are all of them, the severest first.
var assertions = []promise{
	{entriesSame, "What was committed at a place of the log stays there: every node applies the same entry at the same index (state machine safety)."},
	{entriesKept, "What any node has applied is there in the end (leader completeness)."},
	{statesSame, "Nodes that have applied the log up to the same index are at the same revision, with the same bytes."},
	{oneLeader, "At most one leader is elected in a term (election safety)."},
	{oneVote, "A node votes for at most one candidate in a term, also across restarts."},
	{termForward, "The term of a node never goes back, also across restarts, unless its disk was emptied."},
	{stateForward, "As long as a node lives, each batch that it applies follows on the one before, and its revision never goes back."},
	{stopsClean, "A node that is asked to shut down ends, and leaves no goroutine behind."},
}

// Assertions lists the names of all assertions.
func Assertions() (names []string) {
	for _, p := range assertions {
		names = append(names, p.kind)
	}
	return names
}

// Check implements Checker; the history is not looked at. It takes O(n) for n transitions.
func (i Invariants) Check(_ context.Context, _ history.History) Result {
	s := newAsserter()
	for _, t := range i.Trace {
		s.take(t)
	}
	if ended(i.Phases) {
		s.end()
	}
	for _, p := range i.Phases {
		if p.Name == history.ShutDownPhase && p.Note != "" {
			s.assert(stopsClean, false, Transition{}, Transition{}, "Asked to shut down, %s.", p.Note)
		}
	}
	r := Result{Checker: "invariants", Method: "assertions over the nodes' transitions", Counts: map[string]int{"transitions": len(i.Trace)}}
	r.Table = &Table{Columns: []string{"assertion", "checked", "broken"}}
	never, checked := []string{}, 0
	for _, p := range assertions {
		n := s.checked[p.kind]
		r.Counts[CountChecked+p.kind] = n
		r.Table.Rows = append(r.Table.Rows, []string{p.kind, thousands(n), thousands(s.broken.count[p.kind])})
		checked += n
		if n == 0 {
			never = append(never, p.kind)
		}
	}
	switch {
	case s.broken.settle(&r):
		return r
	case checked == 0:
		r.Summary = "No node told of a transition on which an assertion could be checked, so nothing was put to the test."
	default:
		r.Verdict = Valid
		r.Summary = fmt.Sprintf("All held, in %s of %s.", count(checked, "check"), count(len(assertions)-len(never), "assertion"))
	}
	if len(never) > 0 {
		r.Summary += " Never put to the test: " + strings.Join(never, ", ") + "."
	}
	return r
}

// ended says whether a run came to its final phase with a cluster that serves again, so that whatever was applied must be there.
func ended(phases []history.Phase) bool {
	for _, p := range phases {
		if p.Name == history.FinalPhase {
			return p.Note == ""
		}
	}
	return false
}

// appliedEntry is an entry with the transition that told of it first.
type appliedEntry struct {
	Entry
	by Transition
}

// asserter checks transitions as they come, those of each node in their order.
type asserter struct {
	checked map[string]int
	broken  *breaches
	leaders map[uint64]Transition   // by term
	entries map[uint64]appliedEntry // by index
	states  map[uint64]Transition   // by index
	nodes   map[string]*asserted    // by name
	newest  Transition              // with the highest index
}

// asserted is what is known of one node.
type asserted struct {
	term  Transition            // its last
	votes map[uint64]Transition // by term
	last  Transition            // the last of this life that told a state
}

func newAsserter() *asserter {
	return &asserter{
		checked: make(map[string]int), broken: newBreaches(assertions...), leaders: make(map[uint64]Transition),
		entries: make(map[uint64]appliedEntry), states: make(map[uint64]Transition), nodes: make(map[string]*asserted),
	}
}

// assert counts a check, and takes down a breach with its proof.
func (s *asserter) assert(name string, holds bool, before, now Transition, format string, args ...any) {
	s.checked[name]++
	if holds {
		return
	}
	s.broken.merge(name, 1, func() Anomaly {
		return Anomaly{Kind: name, Node: now.Node, Summary: fmt.Sprintf(format, args...), Steps: []string{before.String(), now.String()}}
	})
}

func (s *asserter) take(t Transition) {
	n := s.nodes[t.Node]
	if n == nil || t.Event == "start" && !t.Existing {
		n = &asserted{votes: make(map[uint64]Transition)}
		s.nodes[t.Node] = n
	}
	switch t.Event {
	case "start":
		n.last = Transition{}
	case "term":
		if n.term.Node != "" {
			s.assert(termForward, t.Term >= n.term.Term, n.term, t, "%s went back from term %d to term %d.", t.Node, n.term.Term, t.Term)
		}
		n.term = t
	case "vote":
		before, again := n.votes[t.Term]
		if !again {
			n.votes[t.Term], before = t, t
		}
		s.assert(oneVote, before.Candidate == t.Candidate, before, t, "%s voted for %s and for %s in term %d.", t.Node, before.Candidate, t.Candidate, t.Term)
	case "stop":
		s.assert(stopsClean, t.Left == 0, t, t, "%s left %s behind when it had shut down.", t.Node, count(t.Left, "goroutine"))
	case "role":
		if t.Role == "Leader" {
			s.leader(t)
		}
	case "apply":
		s.apply(n, t)
		s.state(t)
		n.last = t
	case "restore":
		s.state(t)
		n.last = t
	}
}

func (s *asserter) leader(t Transition) {
	before, again := s.leaders[t.Term]
	if !again {
		s.leaders[t.Term] = t
	}
	s.assert(oneLeader, !again, before, t, "%s was elected in term %d, in which %s had been.", t.Node, t.Term, before.Node)
}

// apply takes entries that a node has applied.
func (s *asserter) apply(n *asserted, t Transition) {
	for _, e := range t.Entries {
		before, known := s.entries[e.Index]
		if !known {
			s.entries[e.Index] = appliedEntry{e, t}
			continue
		}
		s.assert(entriesSame, before.Entry == e, before.by, t, "At index %d %s applied the entry of term %d (checksum %s), and %s that of term %d (checksum %s).",
			e.Index, before.by.Node, before.Term, before.Sum, t.Node, e.Term, e.Sum)
	}
	if n.last.Node != "" && len(t.Entries) > 0 {
		first := t.Entries[0].Index
		s.assert(stateForward, first > n.last.Index && t.Revision >= n.last.Revision, n.last, t,
			"%s, at index %d and revision %d, applied entries from index %d on and came to revision %d.", t.Node, n.last.Index, n.last.Revision, first, t.Revision)
	}
}

// state takes a state that a node told. Two that are at the same index must be the same.
func (s *asserter) state(t Transition) {
	if s.newest.Node == "" || t.Index > s.newest.Index {
		s.newest = t
	}
	before, known := s.states[t.Index]
	if !known {
		s.states[t.Index] = t
		return
	}
	s.assert(statesSame, before.Revision == t.Revision && before.Hash == t.Hash, before, t,
		"With the log applied up to index %d, %s was at revision %d with hash %s, and %s at revision %d with hash %s.",
		t.Index, before.Node, before.Revision, before.Hash, t.Node, t.Revision, t.Hash)
}

// end checks what must hold when everything is healed and the cluster serves: somebody has all that anybody ever had.
func (s *asserter) end() {
	if s.newest.Node == "" {
		return
	}
	var most Transition
	for _, n := range s.nodes {
		if most.Node == "" || n.last.Index > most.Index || n.last.Index == most.Index && n.last.Node < most.Node {
			most = n.last
		}
	}
	s.assert(entriesKept, most.Index >= s.newest.Index, s.newest, most, "%s had applied the log up to index %d; in the end no node has more than index %d.",
		s.newest.Node, s.newest.Index, most.Index)
}

// String is the transition for people.
func (t Transition) String() string {
	if t.Node == "" {
		return "Nobody told anything."
	}
	what := t.Event
	switch t.Event {
	case "term":
		what = fmt.Sprintf("entered term %d", t.Term)
	case "vote":
		what = fmt.Sprintf("voted for %s in term %d", t.Candidate, t.Term)
	case "role":
		what = fmt.Sprintf("became %s in term %d", t.Role, t.Term)
	case "apply", "restore", "snapshot", "snapshot-end":
		verb := map[string]string{"apply": "applied the log", "restore": "restored a snapshot", "snapshot": "began a snapshot", "snapshot-end": "ended a snapshot"}[t.Event]
		what = verb + " up to index " + strconv.FormatUint(t.Index, 10) + fmt.Sprintf(", revision %d, hash %s", t.Revision, t.Hash)
	}
	return fmt.Sprintf("%s, at %s by its clock: %s", t.Node, t.At.Format("15:04:05.000"), what)
}
