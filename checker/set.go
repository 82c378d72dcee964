package checker

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"

	"rift/harness/history"
)

// Set checks a set that only grows: "add" puts its value in, "list" answers all elements. An element is established once its add
// was acknowledged or a list showed it; every list that begins after that must have it, whoever answers. No list may
// show an element that was not being added, or one twice. Nothing is proven for a node that never listed.
type Set struct{}

// The kinds of a set's anomalies.
const (
	setLost       = "lost"       // established, and missing from every node's last list
	setStale      = "stale"      // established, and missing from one list, although it is still there
	setUnexpected = "unexpected" // listed, although nobody added it, or its add certainly failed
	setDuplicated = "duplicated" // listed twice
)

var setRules = map[string]string{
	setLost:       "An element whose add was acknowledged, or that was listed, is in the set for ever.",
	setStale:      "A list shows every element that was established before the list began, on every node.",
	setUnexpected: "A list shows only elements that were added.",
	setDuplicated: "A list shows each element once.",
}

// element is what is known of one element of the set.
type element struct {
	name        string
	add         int32 // its first add that may have taken effect; never if there is none
	failed      int32 // an add that certainly did not take effect; never if there is none
	acked       int32 // place of the first acknowledgement; never if there is none
	established int32 // place of the first acknowledgement or of the first list's completion that shows it
	lastSeen    int   // the last listing that shows it, counted from 1
	missed      int   // the last listing that began when it was established and misses it, counted from 1
	final       bool  // it is in the last list of some node
}

// listing is one list that answered.
type listing struct {
	history.Operation
	elements []int32
	final    bool // its node's last
}

// setHistory is a history of a set, taken apart.
type setHistory struct {
	view
	elements []element
	ids      map[string]int32
	listings []listing // by completion
	nodes    []string  // that took part, sorted
	total    int       // operations
	flaws    map[string][]flaw
}

// flaw is one element that is wrong in one listing.
type flaw struct {
	element int32
	listing int // its place, from 0
}

// Check implements Checker.
func (Set) Check(_ context.Context, h history.History) Result {
	r := Result{Checker: "set", Method: "every list against every add"}
	s, err := readSet(h)
	if err != nil {
		r.Summary = fmt.Sprintf("The history cannot be judged: %v.", err)
		return r
	}
	s.compare()
	r.Counts, r.Table = s.counts(), s.table()
	for _, kind := range []string{setLost, setUnexpected, setDuplicated, setStale} {
		if flaws := s.flaws[kind]; len(flaws) > 0 {
			r.Anomalies = append(r.Anomalies, s.anomaly(kind, flaws))
		}
	}
	silent := s.silent()
	switch {
	case len(r.Anomalies) > 0:
		r.Verdict, r.Summary = Invalid, r.Anomalies[0].Summary
	case r.Counts["acknowledged"] == 0:
		r.Summary = "No add was acknowledged, so nothing was put to the test."
	case len(s.listings) == 0:
		r.Summary = "The set was never listed, so nobody knows whether the acknowledged elements are there."
	case len(silent) > 0:
		r.Summary = fmt.Sprintf("%s never listed the set after the last acknowledged add, so nothing is proven for it.", strings.Join(silent, ", "))
	default:
		r.Verdict = Valid
		r.Summary = fmt.Sprintf("%s acknowledged and is in the last list of every node (%s), and nothing is there that was not added.",
			each(r.Counts["acknowledged"]), strings.Join(s.nodes, ", "))
	}
	return r
}

// was is "1 element was", "3 elements were".
func was(n int, noun string) string {
	if n == 1 {
		return "1 " + noun + " was"
	}
	return count(n, noun) + " were"
}

func each(n int) string {
	if n == 1 {
		return "1 element was"
	}
	return "Each of " + count(n, "element") + " was"
}

func readSet(h history.History) (*setHistory, error) {
	v := view{h}
	all, err := v.spans()
	if err != nil {
		return nil, err
	}
	return gatherSet(v, all)
}

// gatherSet takes the operations on one set apart.
func gatherSet(v view, all []span) (*setHistory, error) {
	s := &setHistory{view: v, total: len(all), ids: make(map[string]int32), flaws: make(map[string][]flaw)}
	for _, sp := range all {
		o := v.operation(sp)
		if o.Node != "" && !slices.Contains(s.nodes, o.Node) {
			s.nodes = append(s.nodes, o.Node)
		}
		switch o.F {
		case "add":
			s.add(o, sp)
		case "list":
			if err := s.list(o); err != nil {
				return nil, err
			}
		default:
			return nil, unknownFunction(o.F, "add", "list")
		}
	}
	sort.Strings(s.nodes)
	slices.SortFunc(s.listings, func(a, b listing) int { return a.End - b.End })
	last := make(map[string]int)
	for i, l := range s.listings {
		last[l.Node] = i
	}
	for _, i := range last {
		s.listings[i].final = true
	}
	return s, nil
}

func (s *setHistory) id(name string) int32 {
	id, ok := s.ids[name]
	if !ok {
		id = int32(len(s.elements))
		s.ids[name] = id
		s.elements = append(s.elements, element{name: name, add: never, failed: never, acked: never, established: never})
	}
	return id
}

func (s *setHistory) add(o history.Operation, sp span) {
	e := &s.elements[s.id(text(o.Input))]
	switch o.Type {
	case history.Fail:
		e.failed = min(e.failed, sp.call)
		return
	case history.OK:
		e.acked = min(e.acked, sp.ret)
		e.established = e.acked
	}
	e.add = min(e.add, sp.call)
}

func (s *setHistory) list(o history.Operation) error {
	if o.Type != history.OK {
		return nil
	}
	var names []json.RawMessage
	if err := json.Unmarshal(o.Output, &names); err != nil {
		return fmt.Errorf("operation %d, list by process %d: value: %.60s given, an array of elements allowed", o.Index, o.Process, o.Output)
	}
	l := listing{Operation: o}
	for _, name := range names {
		l.elements = append(l.elements, s.id(text(name)))
	}
	s.listings = append(s.listings, l)
	return nil
}

// compare finds what is wrong in each listing, in the order of their completions. It takes time in proportion to what was listed.
func (s *setHistory) compare() {
	for k, l := range s.listings {
		for _, id := range l.elements {
			e := &s.elements[id]
			switch {
			case e.lastSeen == k+1:
				s.flaw(setDuplicated, id, k)
			case e.add > int32(l.End):
				s.flaw(setUnexpected, id, k)
			}
			e.lastSeen, e.final = k+1, e.final || l.final
			e.established = min(e.established, int32(l.End))
		}
	}
	s.findMissed()
	for id, e := range s.elements {
		switch {
		case e.missed == 0:
		case e.final:
			s.flaw(setStale, int32(id), e.missed-1)
		default:
			s.flaw(setLost, int32(id), e.missed-1)
		}
	}
}

// findMissed finds each element's last miss, going backwards through the listings with those elements that all later ones have.
func (s *setHistory) findMissed() {
	there := make([]int32, 0, len(s.elements)) // in all listings behind it that began when it was established
	for id, e := range s.elements {
		if e.established != never && e.add != never {
			there = append(there, int32(id))
		}
	}
	shown := make([]int, len(s.elements)) // the last listing looked at that shows it, counted from 1
	for k := len(s.listings) - 1; k >= 0; k-- {
		l := s.listings[k]
		for _, id := range l.elements {
			shown[id] = k + 1
		}
		there = slices.DeleteFunc(there, func(id int32) bool {
			e := &s.elements[id]
			if shown[id] != k+1 && e.established < int32(l.Index) {
				e.missed = k + 1
			}
			return e.missed > 0 || e.established > int32(l.End)
		})
	}
}

func (s *setHistory) flaw(kind string, element int32, listing int) {
	s.flaws[kind] = append(s.flaws[kind], flaw{element, listing})
}

// silent lists the nodes without a list that began after the last acknowledgement.
func (s *setHistory) silent() []string {
	last := int32(-1)
	for _, e := range s.elements {
		if e.acked != never {
			last = max(last, e.acked)
		}
	}
	return slices.DeleteFunc(slices.Clone(s.nodes), func(node string) bool {
		return slices.ContainsFunc(s.listings, func(l listing) bool { return l.Node == node && int32(l.Index) > last })
	})
}
