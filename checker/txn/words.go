package txn

import (
	"fmt"
	"strings"

	"rift/harness/history"
)

// shown is how many edges of a long cycle are told from each of its ends.
const shown = 8

// prove tells a finding: who its transactions are, and what leads from each to the next.
func (a *analysis) prove(f finding) (steps []string) {
	cut := func(i int) bool { return len(f.txns) > 2*shown && i >= shown && i < len(f.txns)-shown }
	for i, t := range f.txns {
		if !cut(i) {
			steps = append(steps, fmt.Sprintf("T%d is %s.", i+1, a.describe(t)))
		} else if i == shown {
			steps = append(steps, fmt.Sprintf("T%d to T%d are the transactions between these.", shown+1, len(f.txns)-shown))
		}
	}
	steps = append(steps, f.steps...)
	for i, e := range f.edges {
		if !cut(i) {
			steps = append(steps, a.sentence(e, fmt.Sprintf("T%d", i+1), fmt.Sprintf("T%d", (i+1)%len(f.edges)+1)))
		} else if i == shown {
			steps = append(steps, fmt.Sprintf("In the same way each of T%d to T%d comes before the next one.", shown+1, len(f.txns)-shown))
		}
	}
	if len(f.edges) > 0 {
		steps = append(steps, "So T1 would have to come before itself.")
	}
	return steps
}

// describe says which transaction it was: who, when, what.
func (a *analysis) describe(t int32) string {
	o := &a.calls[t]
	var b strings.Builder
	fmt.Fprintf(&b, "process %d's transaction", o.Process)
	if o.Node != "" {
		fmt.Fprintf(&b, " on %s", o.Node)
	}
	fmt.Fprintf(&b, " at line %d, from %.3f s", o.Index, o.Invoked.Seconds())
	switch {
	case o.End == history.Never:
		b.WriteString(" and never completed")
	case o.Type == history.OK:
		fmt.Fprintf(&b, " to %.3f s", o.Completed.Seconds())
	default:
		fmt.Fprintf(&b, " to %.3f s, %s", o.Completed.Seconds(), map[history.Type]string{history.Fail: "failed", history.Info: "indeterminate"}[o.Type])
	}
	ops, _ := a.record.of(t)
	for i, op := range ops {
		if i == shown {
			fmt.Fprintf(&b, ", and %d more", len(ops)-i)
			break
		}
		separator := ", "
		if i == 0 {
			separator = ": "
		}
		b.WriteString(separator + a.opText(op))
	}
	return b.String()
}

// opText is a micro-operation in short.
func (a *analysis) opText(op microOp) string {
	key := a.names.keys[op.key()]
	switch {
	case !op.isWrite():
		return "r " + key + " " + a.readText(op)
	case a.kind == Register:
		return "w " + key + " " + a.names.text(op.arg)
	}
	return "append " + key + " " + a.names.text(op.arg)
}

// readText is what a read saw; of a long list the newest elements.
func (a *analysis) readText(op microOp) string {
	if a.kind == Register {
		return a.names.text(op.arg)
	}
	list := a.elements(op)
	var b strings.Builder
	b.WriteByte('[')
	if len(list) > shown {
		fmt.Fprintf(&b, "(%d older) ", len(list)-shown)
		list = list[len(list)-shown:]
	}
	for i, e := range list {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(a.names.text(a.value[e]))
	}
	b.WriteByte(']')
	return b.String()
}

// sentence proves that one transaction comes before another.
func (a *analysis) sentence(e edge, from, to string) string {
	switch e.kind {
	case inProcess:
		return fmt.Sprintf("%s is an earlier transaction of the same process as %s (process).", from, to)
	case inTime:
		return fmt.Sprintf("%s was complete at %.3f s (line %d), before %s began at %.3f s (line %d) (realtime).",
			from, a.calls[e.from].Completed.Seconds(), a.calls[e.from].End, to, a.calls[e.to].Invoked.Seconds(), a.calls[e.to].Index)
	}
	return a.contact(e).sentence(a, from, to) + " (" + edgeNames[e.kind] + ")."
}

// contact is where two transactions depend on each other: the first had to do with the first version, the second with the second. For wr
// both are the same.
type contact struct {
	kind edgeKind
	link link
}

// contact finds what makes an edge between transactions.
func (a *analysis) contact(e edge) contact {
	if e.kind == wr {
		ops, first := a.record.of(e.to)
		for i, op := range ops {
			if v := a.versions.of[int(first)+i]; !op.isWrite() && a.author(v) == e.from {
				return contact{wr, link{from: v, to: v}}
			}
		}
	}
	ops, first := a.record.of(e.from)
	for i, op := range ops {
		v := a.versions.of[int(first)+i]
		if op.isWrite() != (e.kind == ww) || (op.isWrite() && a.author(v) != e.from) {
			continue
		}
		for _, l := range a.known.next(v) {
			kind, readers := a.dependencies(l.why)
			if !op.isWrite() {
				kind = readers
			}
			if a.author(l.to) == e.to && kind == e.kind {
				return contact{e.kind, l}
			}
		}
	}
	return contact{}
}

// sentence says how the transactions named from and to depend on each other.
func (c contact) sentence(a *analysis, from, to string) string {
	l := c.link
	key, old, next := a.names.keys[a.versions.key[l.from]], a.names.text(a.value[l.from]), a.names.text(a.value[l.to])
	did := "wrote"
	if a.kind == ListAppend {
		did = "appended"
	}
	if c.kind == wr {
		return fmt.Sprintf("%s read %s and saw %s there, which %s %s", to, key, old, from, did)
	}
	grounds := a.grounds(l, to)
	switch {
	case c.kind == ww && a.kind == ListAppend:
		return fmt.Sprintf("%s appended %s to %s, and %s appended %s after it%s", from, old, key, to, next, grounds)
	case c.kind == ww:
		return fmt.Sprintf("%s wrote %s to %s, and %s wrote %s after it%s", from, old, key, to, next, grounds)
	case a.value[l.from] == noValue:
		return fmt.Sprintf("%s read %s while nothing was in it, so it missed %s, which %s %s%s", from, key, next, to, did, grounds)
	}
	return fmt.Sprintf("%s read %s with %s as its newest value, so it missed %s, which %s %s after that%s", from, key, old, next, to, did, grounds)
}

// grounds says why the order of two versions is known, of which the transaction named writer wrote the second.
func (a *analysis) grounds(l link, writer string) string {
	switch l.why {
	case adjacent:
		chain := a.chains[a.versions.key[l.to]]
		return fmt.Sprintf(", as the list shows that was read at line %d", a.calls[a.lists.branches[chain].witness(a.place[l.to])].Index)
	case unseen:
		return ", and which no read ever showed"
	case followsRead:
		return ": " + writer + " had read the same value before it wrote"
	case processOrder:
		return ": a process met the one and later the other"
	case timeOrder:
		return ": a transaction that met the one was complete before one that met the other began"
	}
	return ""
}
