package txn

import (
	"cmp"
	"slices"
)

// link says that one version came before another.
type link struct {
	from, to int32
	why      reason
}

// reason is why one version is known to have come before another.
type reason uint8

const (
	adjacent     reason = iota // a list read shows them one after the other
	unseen                     // the first is the newest that anybody saw, and the second was appended and never seen
	initialState               // the first is the key's initial state
	followsRead                // one transaction read the first and wrote the second
	processOrder               // one process met the first and then the second
	timeOrder                  // a transaction that met the first was complete before one that met the second began
)

// versionOrder holds links by their first versions.
type versionOrder struct {
	links []link
	start []uint32 // version -> its first link; one more at the end
}

func newVersionOrder(versions int, links []link) versionOrder {
	o := versionOrder{make([]link, len(links)), make([]uint32, versions+2)}
	for _, l := range links {
		o.start[l.from+2]++
	}
	for i := range versions {
		o.start[i+2] += o.start[i+1]
	}
	for _, l := range links {
		o.links[o.start[l.from+1]] = l
		o.start[l.from+1]++
	}
	return o
}

// next gives the links from a version.
func (o versionOrder) next(version int32) []link { return o.links[o.start[version]:o.start[version+1]] }

// order keeps the links, those of one version sorted by reason and writer.
func (a *analysis) order(links []link) {
	a.known = newVersionOrder(len(a.versions.key), links)
	for v := range a.versions.key {
		if next := a.known.next(int32(v)); len(next) > 1 {
			slices.SortFunc(next, func(x, y link) int {
				return cmp.Or(int(x.why)-int(y.why), int(a.author(x.to)-a.author(y.to)), int(x.to-y.to))
			})
		}
	}
}

// author is the transaction that wrote a version and committed, or nobody.
func (a *analysis) author(version int32) int32 {
	if w := a.writer[version]; w != nobody && a.active[a.ops[w].txn] {
		return a.ops[w].txn
	}
	return nobody
}
