package checker

import (
	"math"
	"slices"
	"time"

	"rift/harness/history"
)

// A situation is something that a run can get into, and in which stores have been known to go wrong. A search that never met it has said nothing about it.
type situation struct {
	name string
	met  func(w *whatHappened) int // how often
}

// situations are all that are looked for, in the order in which they are told.
var situations = []situation{
	{"two candidates at once", func(w *whatHappened) int { return w.overlaps("Candidate") }},
	{"two leaders at once", func(w *whatHappened) int { return w.overlaps("Leader") }},
	{"deposed leader got a request", (*whatHappened).askedDeposed},
	{"leader killed", func(w *whatHappened) int { return len(w.hit(w.isLeader, "kill", "power")) }},
	{"leader paused", func(w *whatHappened) int { return len(w.hit(w.isLeader, "pause", "freeze")) }},
	{"node killed during snapshot", func(w *whatHappened) int { return len(w.hit(w.writesSnapshot, "kill", "power")) }},
	{"leader killed during snapshot", func(w *whatHappened) int {
		return len(w.hit(func(node string, at time.Duration) bool { return w.isLeader(node, at) && w.writesSnapshot(node, at) }, "kill", "power"))
	}},
	{"election during partition", func(w *whatHappened) int {
		return w.count(func(t timed) bool { return t.Role == "Candidate" && w.partitioned(t.at) })
	}},
	{"config change during partition", func(w *whatHappened) int {
		return w.count(func(t timed) bool { return t.Members && w.partitioned(t.at) })
	}},
	{"crash with unsynced writes", (*whatHappened).unsynced},
	{"torn tail recovered", func(w *whatHappened) int { return w.count(func(t timed) bool { return t.Event == "torn" }) }},
	{"snapshot taken", func(w *whatHappened) int { return w.count(func(t timed) bool { return t.Event == "snapshot-end" }) }},
	{"snapshot restored at start", func(w *whatHappened) int {
		return w.count(func(t timed) bool { return t.Event == "restore" && t.first })
	}},
	{"snapshot installed", func(w *whatHappened) int {
		return w.count(func(t timed) bool { return t.Event == "restore" && !t.first })
	}},
	{"leadership transferred", func(w *whatHappened) int { return w.count(func(t timed) bool { return t.Event == "transfer" }) }},
}

// Situations lists the names of all situations that are looked for.
func Situations() (names []string) {
	for _, s := range situations {
		names = append(names, s.name)
	}
	return names
}

// Met says how often a run met each situation, with no entry for those that it never did. The nodes' transitions are told by their own wall clocks, the first of all
// being taken for the run's start: what a fault does to clocks makes this inexact.
func Met(r *history.Run, trace []Transition) map[string]int {
	w := newWhatHappened(r, trace)
	met := make(map[string]int)
	for _, s := range situations {
		if n := s.met(w); n > 0 {
			met[s.name] = n
		}
	}
	return met
}

// timed is a transition by the run's clock.
type timed struct {
	Transition
	at    time.Duration
	first bool // nothing but a start came before it in its life
}

// role is a time in which a node had a role.
type role struct {
	node, name string
	term       uint64
	from, to   time.Duration
}

// whatHappened is what a run met, in a form that can be asked.
type whatHappened struct {
	run         *history.Run
	transitions []timed // those of each node in their order
	roles       []role
	partitions  []window
}

type window struct{ from, to time.Duration }

func (w window) holds(at time.Duration) bool { return w.from <= at && at < w.to }

const forever = time.Duration(math.MaxInt64)

func newWhatHappened(r *history.Run, trace []Transition) *whatHappened {
	w := &whatHappened{run: r}
	if len(trace) == 0 {
		return w
	}
	start := slices.MinFunc(trace, func(a, b Transition) int { return a.At.Compare(b.At) }).At
	last := make(map[string]string) // event of each node
	for _, t := range trace {
		w.transitions = append(w.transitions, timed{Transition: t, at: t.At.Sub(start), first: last[t.Node] == "start"})
		last[t.Node] = t.Event
	}
	w.findRoles()
	for _, e := range r.Evidence {
		if e.Kind == "partition" && e.Step == history.StepInject && !e.Skipped {
			w.partitions = append(w.partitions, window{e.Time + e.Took, w.healed(e.Fault)})
		}
	}
	return w
}

// findRoles finds who had which role when. A role ends with the next one, with the node's next life, or when the node is killed.
func (w *whatHappened) findRoles() {
	current := make(map[string]int) // node -> its last role's place
	end := func(node string, at time.Duration) {
		if i, ok := current[node]; ok {
			w.roles[i].to = min(w.roles[i].to, max(at, w.roles[i].from))
			delete(current, node)
		}
	}
	for _, t := range w.transitions {
		switch t.Event {
		case "start":
			end(t.Node, t.at)
		case "role":
			end(t.Node, t.at)
			current[t.Node] = len(w.roles)
			w.roles = append(w.roles, role{node: t.Node, name: t.Role, term: t.Term, from: t.at, to: forever})
		}
	}
	for i, r := range w.roles {
		for _, e := range w.run.Evidence {
			killed := (e.Kind == "kill" || e.Kind == "power") && e.Step == history.StepInject && slices.Contains(e.Nodes, r.node)
			if killed && e.Time >= r.from {
				w.roles[i].to = min(w.roles[i].to, e.Time+e.Took)
			}
		}
	}
}

// healed is when a fault was healed.
func (w *whatHappened) healed(fault int) time.Duration {
	for _, e := range w.run.Evidence {
		if e.Fault == fault && e.Step == history.StepHeal {
			return e.Time
		}
	}
	return forever
}

func (w *whatHappened) count(is func(timed) bool) (n int) {
	for _, t := range w.transitions {
		if is(t) {
			n++
		}
	}
	return n
}

// overlaps counts the times when a node took on a role while another had it.
func (w *whatHappened) overlaps(name string) (n int) {
	for _, r := range w.roles {
		if r.name == name && slices.ContainsFunc(w.roles, func(o role) bool {
			return o.name == name && o.node != r.node && o.from <= r.from && r.from < o.to
		}) {
			n++
		}
	}
	return n
}

// askedDeposed counts the requests to a node that took itself for the leader when another had a later term.
func (w *whatHappened) askedDeposed() (n int) {
	var deposed []role
	for _, r := range w.roles {
		for _, o := range w.roles {
			if r.name == "Leader" && o.name == "Leader" && o.term > r.term && o.from < r.to {
				deposed = append(deposed, role{node: r.node, from: o.from, to: r.to})
			}
		}
	}
	for _, op := range w.run.History {
		if op.Process >= 0 && op.Type == history.Invoke && slices.ContainsFunc(deposed, func(d role) bool {
			return d.node == op.Node && d.from <= op.Time && op.Time < d.to
		}) {
			n++
		}
	}
	return n
}

// hit gives the nodes that faults of some kinds hit while something was so.
func (w *whatHappened) hit(so func(node string, at time.Duration) bool, kinds ...string) (nodes []string) {
	for _, e := range w.run.Evidence {
		if e.Step != history.StepInject || e.Skipped || !slices.Contains(kinds, e.Kind) {
			continue
		}
		for _, node := range e.Nodes {
			if so(node, e.Time+e.Took) {
				nodes = append(nodes, node)
			}
		}
	}
	return nodes
}

// isLeader says whether a node took itself for the leader at a time, its last instant included.
func (w *whatHappened) isLeader(node string, at time.Duration) bool {
	return slices.ContainsFunc(w.roles, func(r role) bool { return r.node == node && r.name == "Leader" && r.from <= at && at <= r.to })
}

// writesSnapshot says whether a node had begun a snapshot before a time, and told nothing of its end before its next life.
func (w *whatHappened) writesSnapshot(node string, at time.Duration) (writes bool) {
	for _, t := range w.transitions {
		if t.Node != node || t.at > at {
			continue
		}
		switch t.Event {
		case "snapshot":
			writes = true
		case "snapshot-end", "start":
			writes = false
		}
	}
	return writes
}

func (w *whatHappened) partitioned(at time.Duration) bool {
	return slices.ContainsFunc(w.partitions, func(p window) bool { return p.holds(at) })
}

// unsynced counts the power failures that took something with them.
func (w *whatHappened) unsynced() (n int) {
	for _, e := range w.run.Evidence {
		if e.Kind == "power" && e.Step == history.StepInject && e.Measures["lost_bytes"] > 0 {
			n++
		}
	}
	return n
}
