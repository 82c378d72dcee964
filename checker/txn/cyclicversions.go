package txn

import (
	"fmt"
	"slices"
)

// acyclic gives those of the further links that are on no cycle with the certain ones, and reports the cycles: a version that came
// both before and after another.
func (a *analysis) acyclic(certain, further []link, kind string) []link {
	o := newVersionOrder(len(a.versions.key), slices.Concat(certain, further))
	component, _ := components(len(a.versions.key), func(v int32, i uint32) (int32, bool) {
		if next := o.next(v); int(i) < len(next) {
			return next[i].to, true
		}
		return nobody, false
	})
	told := make(map[int32]bool)
	return slices.DeleteFunc(further, func(l link) bool {
		if component[l.from] != component[l.to] {
			return a.author(l.to) == nobody
		}
		if !told[component[l.from]] {
			told[component[l.from]] = true
			a.seen(kind, func() finding { return a.cyclicVersions(append([]link{l}, o.path(l.to, l.from)...)) })
		}
		return true
	})
}

// path is a shortest way from one version to another, which there must be.
func (o versionOrder) path(from, to int32) (path []link) {
	by := map[int32]link{}
	for queue := []int32{from}; by[to] == (link{}); queue = queue[1:] {
		for _, l := range o.next(queue[0]) {
			if _, met := by[l.to]; !met && l.to != from {
				by[l.to] = l
				queue = append(queue, l.to)
			}
		}
	}
	for at := to; at != from; at = by[at].from {
		path = append(path, by[at])
	}
	slices.Reverse(path)
	return path
}

// cyclicVersions explains a cycle of links, each by one or two transactions that show it.
func (a *analysis) cyclicVersions(cycle []link) finding {
	l := cycle[0]
	f := finding{key: int(a.versions.key[l.from])}
	key := a.names.keys[f.key]
	f.text = fmt.Sprintf("The values %s and %s of %s came each before the other.", a.names.text(a.value[l.from]), a.names.text(a.value[l.to]), key)
	name := func(txn int32) string {
		if !slices.Contains(f.txns, txn) {
			f.txns = append(f.txns, txn)
		}
		return fmt.Sprintf("T%d", slices.Index(f.txns, txn)+1)
	}
	for _, l := range cycle {
		old, next := a.names.text(a.value[l.from]), a.names.text(a.value[l.to])
		switch l.why {
		case initialState:
			f.steps = append(f.steps, fmt.Sprintf("%s is %s's initial state, so it came before %s.", old, key, next))
		case followsRead:
			f.steps = append(f.steps, fmt.Sprintf("%s read %s from %s and then wrote %s.", name(a.author(l.to)), old, key, next))
		default:
			m := a.meeters(l)
			first, second, when := name(m[0]), name(m[1]), "later in the same process"
			if l.why == timeOrder {
				when = "after that was complete"
			}
			f.steps = append(f.steps, fmt.Sprintf("%s met %s as %s, and %s %s met it as %s.", first, key, old, when, second, next))
		}
	}
	return f
}

// meeters finds two transactions of which the first left a version and the second, later in its process or in time, met another.
func (a *analysis) meeters(l link) (found [2]int32) {
	var before []int32
	for t := range a.calls {
		if !a.active[t] {
			continue
		}
		for _, m := range a.meetings(int32(t)) {
			if m.first == l.to {
				for _, b := range before {
					if a.after[b] <= int32(t) && (l.why == timeOrder || a.calls[b].Process == a.calls[t].Process) {
						return [2]int32{b, int32(t)}
					}
				}
			}
			if m.last == l.from {
				before = append(before, int32(t))
			}
		}
	}
	return found
}
