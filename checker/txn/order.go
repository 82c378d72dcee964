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

// edgeKind is a kind of dependency between transactions.
type edgeKind uint8

const (
	gone       edgeKind = iota // no edge any more
	ww                         // the second wrote the next version
	wr                         // the second read what the first wrote
	rw                         // the second wrote the next version after the one that the first read
	rwProcess                  // rw, where the version order rests on a process's order
	rwRealTime                 // rw, where the version order rests on real time
	inProcess                  // the second is the same process's next transaction
	inTime                     // the first was complete before the second began
	tail                       // no dependency of its own: the way on from an auxiliary node (see graph)
)

var edgeNames = [...]string{ww: "ww", wr: "wr", rw: "rw", rwProcess: "rw", rwRealTime: "rw", inProcess: "process", inTime: "realtime"}

func (k edgeKind) isRW() bool { return k >= rw && k <= rwRealTime }

// dependencies gives the kinds of edges that a link makes, where gone means none: from the first version's writer to the second's, and from the
// first version's readers to the second's writer.
//
// A writes-follow-reads link makes no ww edge, because there is a wr edge between the same two transactions; so what follows
// from it holds for every database that is at least read-committed. Links by process and real-time order make their rw edges only for
// the -process and -realtime variants, whose models imply them, unless the caller vouches for the keys.
func (a *analysis) dependencies(why reason) (writers, readers edgeKind) {
	switch why {
	case adjacent, unseen:
		return ww, rw
	case processOrder:
		if a.keys < SequentialKeys {
			return gone, rwProcess
		}
		return ww, rw
	case timeOrder:
		if a.keys < LinearizableKeys {
			return gone, rwRealTime
		}
		return ww, rw
	}
	return gone, rw
}
