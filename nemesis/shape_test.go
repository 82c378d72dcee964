package nemesis

import (
	"fmt"
	"maps"
	"slices"
	"testing"
)

// views lists for each node the nodes that it exchanges packets with in both directions, itself included.
func views(order []string, c cutting) map[string]string {
	all := make(map[string]string)
	for _, a := range order {
		var view []string
		for _, b := range order {
			if !slices.Contains(c.links, link{a, b}) && !slices.Contains(c.links, link{b, a}) {
				view = append(view, b)
			}
		}
		slices.Sort(view)
		all[a] = joined(view)
	}
	return all
}

func mutual(c cutting) bool {
	return !slices.ContainsFunc(c.links, func(l link) bool { return !slices.Contains(c.links, link{l[1], l[0]}) })
}

func size(view string) int {
	n := 1
	for _, c := range view {
		if c == ',' {
			n++
		}
	}
	return n
}

// eachShape calls check for each shape and number of nodes with many orders.
func eachShape(t *testing.T, least int, shapes []string, check func(t *testing.T, order []string, c cutting, views map[string]string)) {
	r := random()
	for _, shape := range shapes {
		for n := least; n <= 9; n++ {
			t.Run(fmt.Sprintf("%s of %d", shape, n), func(t *testing.T) {
				for range 50 {
					var order []string
					for _, i := range r.Perm(n) {
						order = append(order, fmt.Sprintf("n%d", i+1))
					}
					direction := []string{Outgoing, Incoming}[r.IntN(2)]
					c := cutNodes(shape, direction, order, r)
					check(t, order, c, views(order, c))
					if t.Failed() {
						t.Fatalf("order %v: %+v", order, c)
					}
				}
			})
		}
	}
}

func TestEveryShapeCutsSomething(t *testing.T) {
	eachShape(t, 2, Shapes, func(t *testing.T, order []string, c cutting, _ map[string]string) {
		if len(c.links) == 0 || len(c.nodes) == 0 || c.what == "" {
			t.Error("it cuts nothing, or nobody, or does not say what")
		}
		if !slices.IsSortedFunc(c.links, compareLinks) || !slices.IsSorted(c.nodes) {
			t.Error("its links or nodes are not sorted")
		}
		if distinct := slices.Compact(slices.Clone(c.links)); len(distinct) != len(c.links) {
			t.Error("it cuts a link twice")
		}
		for _, l := range c.links {
			if l[0] == l[1] || !slices.Contains(order, l[0]) || !slices.Contains(order, l[1]) {
				t.Errorf("%v is no link", l)
			}
		}
	})
}

func TestTheLeaderIsCutOffWithAMinority(t *testing.T) {
	eachShape(t, 3, []string{LeaderMinority}, func(t *testing.T, order []string, c cutting, views map[string]string) {
		n := len(order)
		if with := size(views[order[0]]); !mutual(c) || with != (n-1)/2 || size(views[order[n-1]]) != n-with || n-with <= n/2 {
			t.Errorf("the leader sees %s, the others %s", views[order[0]], views[order[n-1]])
		}
	})
}

func TestIsolateCutsOneOff(t *testing.T) {
	eachShape(t, 2, []string{IsolateOne, IsolateLeader}, func(t *testing.T, order []string, c cutting, views map[string]string) {
		for node, view := range views {
			if alone := node == order[0]; !mutual(c) || alone && view != node || !alone && size(view) != len(order)-1 {
				t.Errorf("%s sees %s", node, view)
			}
		}
	})
}

func TestSidesSeeThemselvesAlone(t *testing.T) {
	eachShape(t, 2, []string{Halves, MajorityMinority}, func(t *testing.T, order []string, c cutting, views map[string]string) {
		sides := make(map[string]bool)
		for _, view := range views {
			sides[view] = true
		}
		if len(sides) != 2 || !mutual(c) {
			t.Errorf("sides %v, want two", slices.Collect(maps.Keys(sides)))
		}
	})
	eachShape(t, 2, []string{Halves}, func(t *testing.T, order []string, _ cutting, views map[string]string) {
		for node, view := range views {
			if s := size(view); s != len(order)/2 && s != (len(order)+1)/2 {
				t.Errorf("%s sees %s, which is no half", node, view)
			}
		}
	})
	eachShape(t, 3, []string{MajorityMinority}, func(t *testing.T, order []string, _ cutting, views map[string]string) {
		most := 0
		for _, view := range views {
			most = max(most, size(view))
		}
		if most < len(order)/2+1 || most == len(order) {
			t.Errorf("the larger side has %d", most)
		}
	})
}

func TestRingGivesEachItsOwnMajority(t *testing.T) {
	eachShape(t, 3, []string{Ring}, func(t *testing.T, order []string, c cutting, views map[string]string) {
		owner := make(map[string]string)
		for node, view := range views {
			if size(view) < len(order)/2+1 || !mutual(c) {
				t.Errorf("%s sees %s, which is no majority", node, view)
			}
			if owner[view] != "" {
				t.Errorf("%s and %s both see %s", node, owner[view], view)
			}
			owner[view] = node
		}
	})
}

func TestBridgeSeesBothSides(t *testing.T) {
	eachShape(t, 3, []string{Bridge}, func(t *testing.T, order []string, c cutting, views map[string]string) {
		if !mutual(c) || !slices.Equal(c.nodes, order[:1]) {
			t.Errorf("the middle is %v", c.nodes)
		}
		for node, view := range views {
			middle := node == order[0]
			if s := size(view); middle && s != len(order) || !middle && (s < 2 || s > (len(order)+2)/2) {
				t.Errorf("%s sees %s", node, view)
			}
		}
	})
}

func TestOneWayLosesOneDirection(t *testing.T) {
	eachShape(t, 2, []string{OneWay}, func(t *testing.T, order []string, c cutting, _ map[string]string) {
		from, to := make(map[string]bool), make(map[string]bool)
		for _, l := range c.links {
			from[l[0]], to[l[1]] = true, true
		}
		outgoing := len(from) == 1 && from[order[0]] && len(to) == len(order)-1
		incoming := len(to) == 1 && to[order[0]] && len(from) == len(order)-1
		if !outgoing && !incoming {
			t.Errorf("from %v to %v", from, to)
		}
	})
}

func FuzzParseLinks(f *testing.F) {
	for _, s := range []string{"n1>n2", "n1>n2 n2>n1", "n1", "n1>n1", ">", "", "n1>n2 n1>n2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, given string) {
		links, err := parseLinks("partition", given)
		if (err == nil) != (len(links) > 0) {
			t.Fatalf("%q: %v, error %v", given, links, err)
		}
		var again string
		for _, l := range links {
			again += l[0] + ">" + l[1] + " "
		}
		if len(links) > 0 {
			if back, err := parseLinks("partition", again); err != nil || !slices.Equal(back, links) {
				t.Fatalf("%q reads as %v, and that as %v, error %v", given, links, back, err)
			}
		}
	})
}
