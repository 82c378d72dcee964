package txn

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"

	"rift/harness/history"
)

// enumeration is the slow twin of component and seeker: it knows all edges one by one, and walks all simple cycles.
type enumeration struct {
	from  [][]edge
	short map[[2]uint8]int // class and variant -> length of the shortest cycle
}

func enumerate(a *analysis) *enumeration {
	g := a.depends
	n := int32(len(a.calls))
	e := &enumeration{from: make([][]edge, n), short: map[[2]uint8]int{}}
	add := func(from, to int32, kind edgeKind) {
		if x := (edge{from, to, kind}); !slices.Contains(e.from[from], x) {
			e.from[from] = append(e.from[from], x)
		}
	}
	var expand func(from, node int32, kind edgeKind)
	expand = func(from, node int32, kind edgeKind) {
		if node < n {
			add(from, node, kind)
			return
		}
		for _, p := range g.edges[g.start[node]:g.start[node+1]] {
			expand(from, p.to(), kind)
		}
	}
	for v := range n {
		for _, p := range g.edges[g.start[v]:g.start[v+1]] {
			expand(v, p.to(), p.kind())
		}
		for w := range n {
			if a.calls[v].Type == history.OK && a.calls[v].End < a.calls[w].Index {
				add(v, w, inTime)
				if a.calls[v].Process == a.calls[w].Process {
					add(v, w, inProcess)
				}
			}
		}
	}
	for v := range n {
		e.walk(v, []edge{})
	}
	return e
}

// walk visits the simple cycles whose smallest transaction is the first.
func (e *enumeration) walk(first int32, path []edge) {
	at := first
	if len(path) > 0 {
		at = path[len(path)-1].to
	}
	for _, next := range e.from[at] {
		switch {
		case next.to == first:
			cycle := append(path, next)
			if slices.IndexFunc(cycle, func(x edge) bool { return x.kind != inTime && x.kind != inProcess }) < 0 {
				panic("the process and time orders have a cycle")
			}
			c, v := classify(cycle)
			key := [2]uint8{uint8(c), uint8(v)}
			if old, ok := e.short[key]; !ok || len(cycle) < old {
				e.short[key] = len(cycle)
			}
		case next.to > first && !slices.ContainsFunc(path, func(x edge) bool { return x.from == next.to }):
			e.walk(first, append(path, next))
		}
	}
}

// TestCyclesAgainstEnumeration holds the search for cycles against all simple cycles: whatever exists is found or implied by what is
// found, and what is said to be a shortest cycle is one.
func TestCyclesAgainstEnumeration(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 3))
	for range *rounds / 2 {
		kind := Kind(r.IntN(2))
		h := drawHistory(r, kind)
		a, err := Checker{Kind: kind, Expect: StrictSerial, Steps: DefaultSteps, Keys: KeyAssumption(r.IntN(3))}.judge(context.Background(), h)
		if err != nil {
			t.Fatal(err)
		}
		all := enumerate(a)
		for key, length := range all.short {
			implied := slices.ContainsFunc(a.found, func(f finding) bool {
				if len(f.edges) == 0 {
					return false
				}
				c, v := classify(f.edges)
				return uint8(c) <= key[0] && uint8(v) <= key[1]
			})
			if !implied {
				t.Fatalf("a %s cycle of length %d was not found\\n%s", cycleName(class(key[0]), variant(key[1])), length, printed(h))
			}
		}
		proven := 0
		components := len(a.parts())
		for _, f := range a.found {
			if len(f.edges) == 0 {
				continue
			}
			c, v := classify(f.edges)
			shortest, exists := all.short[[2]uint8{uint8(c), uint8(v)}]
			if !exists || len(f.edges) < shortest || (components == 1 && f.short && len(f.edges) != shortest) {
				t.Fatalf("the shortest %s cycle has length %d (%v), %d was found, %d components\\n%s", f.kind, shortest, exists, len(f.edges), components, printed(h))
			}
			proven += b2i(f.short)
			for i, e := range f.edges {
				if !slices.Contains(all.from[e.from], e) || e.to != f.edges[(i+1)%len(f.edges)].from {
					t.Fatalf("%s: edge %d is none: %v\\n%s", f.kind, i, e, printed(h))
				}
			}
		}
		if len(all.short) > 0 && proven == 0 {
			t.Fatalf("no cycle is known to be a shortest one\n%s", printed(h))
		}
	}
}
