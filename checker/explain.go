package checker

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"rift/harness/history"
)

const (
	maxContext    = 200  // invocations shown around a violation, at most
	maxEarlier    = 10   // of these, how many that ended before it began
	maxLinearized = 1000 // of the longest order found, how many of the last are kept
)

// cause is a violation before it has a name: the point where no order of one key's operations continues.
type cause struct {
	view
	model Model
	key   string
	spans []span // all operations of the key
	finding
}

// anomaly puts the violation into words.
func (c cause) anomaly() Anomaly {
	var a Anomaly
	ok := false
	if c.model.explain != nil {
		a, ok = c.model.explain(c)
	}
	if !ok {
		a = c.unnamed()
	}
	x := c.operation(c.culprit)
	a.Key, a.Node = c.key, x.Node
	a.Rule = "Linearizability: each operation takes effect at one instant between its invocation and its completion. " + c.model.Doc
	a.Frontier = c.frontier()
	a.Context = c.context(a.Ops)
	return a
}

// unnamed tells what the search found: what the object can be, and what nevertheless was answered.
func (c cause) unnamed() Anomaly {
	x := c.operation(c.culprit)
	a := Anomaly{Kind: "nonlinearizable", Ops: []int{int(c.culprit.call)}}
	a.Summary = fmt.Sprintf("On %s, %s, and no order of the operations explains that.", c.object(), tell(x))
	a.Steps = []string{"What happened: " + tell(x) + "."}
	if len(c.states) > 0 {
		a.Summary = strings.TrimSuffix(a.Summary, ".") + ": in every order that explains all earlier answers, " + c.possible() + "."
		a.Steps = append(a.Steps, "In every order that explains all answers completed before it, "+c.possible()+".")
	}
	var others []string
	for _, s := range c.stuck {
		if s != c.culprit {
			a.Ops = append(a.Ops, int(s.call))
			others = append(others, tell(c.operation(s)))
		}
	}
	if len(others) > 0 {
		a.Steps = append(a.Steps, "Open at that time, and of no help: "+strings.Join(others, "; ")+".")
	}
	sort.Ints(a.Ops)
	return a
}

// object is the key in words.
func (c cause) object() string {
	if c.key == "" {
		return "the " + c.model.Name
	}
	return "key " + c.key
}

// possible says what the object can be when nothing fits any more.
func (c cause) possible() string {
	words := make([]string, 0, len(c.states))
	for _, s := range c.states {
		words = append(words, c.model.describe(s))
	}
	sort.Strings(words)
	const few = 8
	if len(words) > few {
		words = append(words[:few], fmt.Sprintf("%d more states", len(words)-few))
	}
	return strings.Join(words, " or ")
}

func (c cause) frontier() *Frontier {
	f := &Frontier{Stuck: invocations(c.stuck), State: c.possible()}
	from := max(0, len(c.order)-maxLinearized)
	f.Linearized, f.Earlier = invocations(c.order[from:]), from
	return f
}

// context lists the key's operations that ran between the earliest of ops and the culprit's completion, and a few that ended before.
func (c cause) context(ops []int) []int {
	start := slices.Min(ops)
	var around []int
	for k, earlier := len(c.spans)-1, 0; k >= 0 && len(around) < maxContext && earlier < maxEarlier; k-- {
		s := c.spans[k]
		if s.call > c.culprit.ret || slices.Contains(ops, int(s.call)) {
			continue
		}
		if int(s.ret) < start {
			earlier++
		}
		around = append(around, int(s.call))
	}
	slices.Reverse(around)
	return around
}

func invocations(spans []span) []int {
	places := make([]int, len(spans))
	for i, s := range spans {
		places[i] = int(s.call)
	}
	return places
}

// operations spells out the key's operations that were invoked before the culprit completed, and all others with later.
func (c cause) operations() (before, later []history.Operation) {
	for _, s := range c.spans {
		if s.call < c.culprit.ret {
			before = append(before, c.operation(s))
		} else {
			later = append(later, c.operation(s))
		}
	}
	return before, later
}
