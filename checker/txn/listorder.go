package txn

import (
	"fmt"
	"slices"
)

// listOrder takes each key's version order from its longest read: it holds every append that anybody saw, in the order in which they
// took effect. A committed append that nobody saw took effect after all those.
func (a *analysis) listOrder() []link {
	a.chains = make([]int32, len(a.names.keys))
	a.place = make([]int32, len(a.versions.key))
	elsewhere := make([]bool, len(a.versions.key)) // on a branch that contradicts the chain: no place is known
	last := make([]int32, len(a.names.keys))
	links := make([]link, 0, len(a.versions.key))
	for k := range last {
		last[k], a.chains[k] = a.initial+int32(k), nobody
	}
	for k, branches := range a.lists.ofKey {
		for i, at := range branches {
			if i > 0 {
				for _, e := range a.branch[at] {
					elsewhere[e] = true
				}
				continue
			}
			a.chains[k] = at
			for n, e := range a.branch[at] {
				if a.place[e] != 0 {
					continue
				}
				a.place[e] = int32(n) + 1
				if a.author(e) != nobody {
					links = append(links, link{last[k], e, adjacent})
					last[k] = e
				}
			}
		}
	}
	for e := range a.initial {
		if a.author(e) != nobody && a.place[e] == 0 && !elsewhere[e] {
			links = append(links, link{last[a.versions.key[e]], e, unseen})
		}
	}
	return links
}

// checkLists finds lists that could not have grown by one append after another.
func (a *analysis) checkLists() {
	met := make([]int32, len(a.versions.key)) // version -> the last branch that it was met on, +1
	for at := range a.branch {
		b := &a.lists.branches[at]
		for n, e := range a.branch[at] {
			if met[e] == int32(at)+1 {
				a.seen(duplicateElements, func() finding {
					return a.about(e, b.witness(int32(n)+1), "T1 read %[2]s with the element %[1]s twice, at places %[3]d and %[4]d, though it was appended once.",
						slices.Index(a.branch[at], e)+1, n+1)
				})
			}
			met[e] = int32(at) + 1
		}
		if n, chain := a.agreement(at); n < len(b.values) {
			a.seen(incompatibleOrder, func() finding { return a.contradiction(int32(at), chain, n) })
		}
	}
	for _, at := range a.chains {
		if at != nobody {
			a.checkDirtyUpdates(at)
		}
	}
}

// about is a finding about a version; the text's first two arguments are its value and its key.
func (a *analysis) about(version, txn int32, text string, args ...any) finding {
	key := a.versions.key[version]
	args = append([]any{a.names.text(a.value[version]), a.names.keys[key]}, args...)
	return finding{txns: []int32{txn}, key: int(key), text: fmt.Sprintf(text, args...)}
}

// agreement is the number of elements that a branch has in common with the chain of its key, and that chain.
func (a *analysis) agreement(at int) (n int, chain int32) {
	b := &a.lists.branches[at]
	chain = a.chains[b.key]
	if chain == int32(at) {
		return len(b.values), chain
	}
	c := &a.lists.branches[chain]
	for n < len(b.values) && b.values[n] == c.values[n] {
		n++
	}
	return n, chain
}

// contradiction explains why two lists that agree in their first n elements cannot both have been the key's.
func (a *analysis) contradiction(at, chain int32, n int) finding {
	b, c := &a.lists.branches[at], &a.lists.branches[chain]
	return finding{
		key: int(b.key), txns: []int32{b.witness(int32(n) + 1), c.witness(int32(n) + 1)},
		text: fmt.Sprintf("T1 read %s with %s at place %d, but T2 read it with %s there.",
			a.names.keys[b.key], a.names.text(b.values[n]), n+1, a.names.text(c.values[n])),
	}
}

// checkDirtyUpdates finds committed appends to lists that held a failed transaction's append.
func (a *analysis) checkDirtyUpdates(at int32) {
	failed := int32(nobody)
	for n, e := range a.branch[at] {
		w := a.writer[e]
		switch {
		case w == nobody:
		case a.failed(a.ops[w].txn):
			failed = e
		case failed != nobody && a.active[a.ops[w].txn]:
			a.seen(dirtyUpdate, func() finding {
				f := a.about(e, a.ops[w].txn, "T1 committed its append of %s to %s after T2's %[3]s, though T2 failed. T3 read both.", a.names.text(a.value[failed]))
				f.txns = append(f.txns, a.ops[a.writer[failed]].txn, a.lists.branches[at].witness(int32(n)+1))
				return f
			})
			failed = nobody
		}
	}
}
