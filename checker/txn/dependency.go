package txn

// edge is a dependency between two transactions.
type edge struct {
	from, to int32
	kind     edgeKind
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
