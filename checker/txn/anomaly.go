package txn

import "slices"

// An anomalyKind is one way in which a history can contradict a model.
type anomalyKind struct {
	name  string
	rule  string
	rules []Model // the weakest models that it rules out
}

// The kinds of anomaly that are not cycles. Those that have no name in Adya's work are Elle's, and thin-air-read, a value that
// nobody wrote, is the name used by Liu et al., "Plume", OOPSLA 2024; fractured-read is Bailis's.
const (
	duplicateElements = "duplicate-elements"
	incompatibleOrder = "incompatible-order"
	dirtyUpdate       = "dirty-update"
	thinAirRead       = "thin-air-read"
	abortedRead       = "G1a"
	intermediateRead  = "G1b"
	futureRead        = "future-read"
	internal          = "internal"
	fracturedRead     = "fractured-read"
	lostUpdate        = "lost-update"
	cyclicProcess     = "cyclic-versions-process"
	cyclicRealTime    = "cyclic-versions-realtime"
)

// A class is a class of cycles, by what is on it. A more severe class comes first, and rules out all that a later one does.
type class uint8

const (
	g0 class = iota
	g1c
	gSingle
	gNonadjacent
	g2Item
	noClass
)

var classNames = [...]string{g0: "G0", g1c: "G1c", gSingle: "G-single", gNonadjacent: "G-nonadjacent", g2Item: "G2-item"}

// A variant says which orders beside those of the data a cycle relies on.
type variant uint8

const (
	plain    variant = iota
	process          // each process's own transactions take effect in its order
	realTime         // a transaction that was complete before another began takes effect before it
)

var variantSuffix = [...]string{plain: "", process: "-process", realTime: "-realtime"}

func cycleName(c class, v variant) string { return classNames[c] + variantSuffix[v] }

var variantRule = [...]string{
	plain:    "",
	process:  " Transactions of one process take effect in the order in which it made them.",
	realTime: " A transaction that is complete before another begins takes effect before it.",
}

var classRule = [...]string{
	g0:           "Transactions write in one order: no transaction's write comes both before and after another's.",
	g1c:          "Information flows one way: a transaction that another one has read from or written after cannot depend on that other one.",
	gSingle:      "A transaction sees either all of another transaction's effects or none.",
	gNonadjacent: "Each transaction reads from a snapshot, and snapshots are taken in one order that all transactions agree on.",
	g2Item:       "Transactions take effect as if one after another: none may miss a write that had to come before it.",
}

var classModels = [...][]Model{
	g0:           {ReadUncommitted, SessionPL1, StrongPL1},
	g1c:          {ReadCommitted, SessionPL2, StrongPL2},
	gSingle:      {ConsistentView, SessionSnapshot, StrongSnapshot},
	gNonadjacent: {SnapshotIsolation, SessionSnapshot, StrongSnapshot},
	g2Item:       {RepeatableRead, SessionSerial, StrictSerial},
}

// kinds are all kinds of anomaly, the severest first: what contradicts the data alone, then what contradicts the processes'
// orders, then what contradicts real time.
var kinds = listKinds()

func listKinds() []anomalyKind {
	cycles := func(v variant, from, to class) (out []anomalyKind) {
		for c := from; c <= to; c++ {
			k := anomalyKind{cycleName(c, v), classRule[c] + variantRule[v], []Model{classModels[c][v]}}
			if v == plain && (c == gSingle || c == gNonadjacent) {
				k.rules = append(k.rules, RepeatableRead) // the versions are of items here, never of predicates
			}
			out = append(out, k)
		}
		return out
	}
	return slices.Concat(
		[]anomalyKind{{duplicateElements, "An element is appended once, so a list holds it once.", []Model{ReadUncommitted}}},
		cycles(plain, g0, g0),
		[]anomalyKind{
			{incompatibleOrder, "All reads of a list show the same elements in the same order, as far as they go, and a transaction's own appends in its order.", []Model{ReadCommitted}},
			{dirtyUpdate, "A committed write does not build on a write that was undone.", []Model{ReadCommitted}},
			{thinAirRead, "A value that is read was written by somebody.", []Model{ReadCommitted}},
			{abortedRead, "Nobody reads what a failed transaction wrote.", []Model{ReadCommitted}},
			{intermediateRead, "Nobody reads what a transaction wrote before its last write to that key.", []Model{ReadCommitted}},
		},
		cycles(plain, g1c, g1c),
		[]anomalyKind{
			{futureRead, "A transaction does not read what it writes only later.", []Model{ReadCommitted}},
			{internal, "A transaction reads its own writes, and the same value again if it reads twice.", []Model{ReadAtomic}},
			{fracturedRead, "A transaction that sees one write of another transaction sees its writes to other keys too.", []Model{ReadAtomic}},
			{lostUpdate, "Of two transactions that read the same version and then write to that key, one must see the other's write.", []Model{CursorStability}},
		},
		cycles(plain, gSingle, g2Item),
		[]anomalyKind{{cyclicProcess, "Each process sees the versions of a key in one order.", []Model{SessionSnapshot}}},
		cycles(process, g0, g2Item),
		[]anomalyKind{{cyclicRealTime, "The versions of a key follow one another in real time.", []Model{StrongSnapshot}}},
		cycles(realTime, g0, g2Item),
	)
}

// severity is the place of a kind, from 0 for the severest.
func severity(name string) int {
	return slices.IndexFunc(kinds, func(k anomalyKind) bool { return k.name == name })
}
