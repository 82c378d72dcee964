package checker

import (
	"fmt"
	"strconv"
	"strings"

	"rift/harness/history"
)

// maxNamed is how many elements a sentence names.
const maxNamed = 10

// maxProven bounds the elements whose story is told: the others' are alike.
const maxProven = 3

func (s *setHistory) counts() map[string]int {
	c := map[string]int{CountOperations: s.total, "lists": len(s.listings)}
	for _, e := range s.elements {
		switch {
		case e.acked != never:
			c["acknowledged"]++
		case e.add != never && e.lastSeen > 0:
			c["recovered"]++ // nobody knew of its add, but it took effect
		}
		if e.add != never || e.failed != never {
			c["added"]++
		}
	}
	for kind, flaws := range s.flaws {
		c[kind] = len(flaws)
	}
	return c
}

// table shows each node's lists and what was wrong in them.
func (s *setHistory) table() *Table {
	kinds := []string{setLost, setStale, setUnexpected, setDuplicated}
	t := &Table{Columns: append([]string{"node", "lists", "elements in the last"}, kinds...)}
	for _, node := range s.nodes {
		lists, size := 0, 0
		for _, l := range s.listings {
			if l.Node == node {
				lists, size = lists+1, len(l.elements)
			}
		}
		row := []string{node, strconv.Itoa(lists), strconv.Itoa(size)}
		for _, kind := range kinds {
			n := 0
			for _, f := range s.flaws[kind] {
				if s.listings[f.listing].Node == node {
					n++
				}
			}
			row = append(row, strconv.Itoa(n))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// anomaly tells of all elements with the same flaw, and shows the first.
func (s *setHistory) anomaly(kind string, flaws []flaw) Anomaly {
	first := flaws[0]
	e, l := s.elements[first.element], s.listings[first.listing]
	a := Anomaly{Kind: kind, Rule: setRules[kind], Node: who(l.Operation)}
	var names []string
	for _, f := range flaws[:min(len(flaws), maxNamed)] {
		names = append(names, s.elements[f.element].name)
		if len(a.Steps) < maxProven {
			a.Steps = append(a.Steps, s.sentence(kind, f))
		}
	}
	which := strings.Join(names, ", ")
	if more := len(flaws) - len(names); more > 0 {
		which += fmt.Sprintf(" and %s more", thousands(more))
	}
	a.Summary = fmt.Sprintf("%s %s: %s. %s", was(len(flaws), "element"), kind, which, a.Steps[0])
	if kind == setStale {
		a.Summary = fmt.Sprintf("%s missing from a list: %s. %s", was(len(flaws), "element"), which, a.Steps[0])
	}
	for _, place := range []int32{e.add, e.failed} {
		if place != never && int(place) < l.End {
			a.Ops = append(a.Ops, int(place))
		}
	}
	a.Ops = append(a.Ops, l.Index)
	return a
}

// sentence tells what is wrong with one element.
func (s *setHistory) sentence(kind string, f flaw) string {
	e, l := s.elements[f.element], s.listings[f.listing]
	known := "was listed before"
	if e.acked != never && e.acked <= e.established {
		ack := s.h[e.acked]
		known = fmt.Sprintf("was acknowledged by %s %s", who(history.Operation{Node: ack.Node, Process: ack.Process}), at(ack.Time))
	}
	switch kind {
	case setLost:
		return fmt.Sprintf("%s %s, and no node has it in its last list; %s answered without it to a list that began %s.",
			e.name, known, who(l.Operation), at(l.Invoked))
	case setStale:
		return fmt.Sprintf("%s %s, but %s answered without it to a list that began later, %s.", e.name, known, who(l.Operation), at(l.Invoked))
	case setDuplicated:
		return fmt.Sprintf("%s listed %s twice, %s.", who(l.Operation), e.name, at(l.Completed))
	}
	why := "nobody ever added it"
	switch {
	case e.add != never:
		why = "its add had not begun"
	case e.failed != never:
		why = "its add certainly failed"
	}
	return fmt.Sprintf("%s listed %s %s, although %s.", who(l.Operation), e.name, at(l.Completed), why)
}
