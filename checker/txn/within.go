package txn

import (
	"fmt"
	"slices"
)

// checkWithin finds what can be seen inside single transactions: a read that contradicts the transaction's own earlier reads and
// writes (the axiom INT of Cerone, Bernardi & Gotsman, 2015), a read of what it writes later, and its own
// appends seen out of order.
func (a *analysis) checkWithin() {
	w := within{
		analysis: a,
		newest:   make([]int32, len(a.names.keys)),
		longest:  make([]int32, len(a.names.keys)),
		write:    make([]int32, len(a.names.keys)),
	}
	for t := range a.calls {
		if a.active[t] {
			w.check(int32(t))
		}
	}
}

// within remembers for each key micro-operations of the current transaction, as their places +1; smaller ones are of earlier transactions.
type within struct {
	*analysis
	newest  []int32 // the last one of any kind
	longest []int32 // the read that saw most
	write   []int32 // the last write
	before  []int32 // micro-operation of the transaction -> the one before it on the same key, as in newest
}

func (w *within) check(txn int32) {
	ops, first := w.record.of(txn)
	w.before = w.before[:0]
	for i, op := range ops {
		at, key := int32(first)+int32(i), op.key()
		w.before = append(w.before, w.current(w.newest[key], first))
		switch {
		case op.isWrite():
			w.writes(at, int32(first))
			w.write[key] = at + 1
		default:
			w.reads(at, int32(first))
			if old := w.current(w.longest[key], first); old == nobody || length(w.ops[old]) < length(op) {
				w.longest[key] = at + 1
			}
		}
		w.newest[key] = at + 1
	}
}

// current is the place of a remembered micro-operation, or nobody if it was another transaction's.
func (w *within) current(remembered int32, first uint32) int32 {
	if remembered <= int32(first) {
		return nobody
	}
	return remembered - 1
}

func length(op microOp) int32 {
	_, n := op.list()
	return n
}

// elements are a list read's elements as versions.
func (a *analysis) elements(op microOp) []int32 {
	if op.arg == emptyList {
		return nil
	}
	at, n := op.list()
	return a.branch[at][:n]
}

// writes checks a write against the transaction's earlier reads and writes of the key.
func (w *within) writes(at, first int32) {
	op, version := w.ops[at], w.versions.of[at]
	if w.kind == Register {
		return // a register's read shows one value: see reads
	}
	if read := w.current(w.longest[op.key()], uint32(first)); read != nobody && w.includes(w.ops[read], version) {
		w.future(version, op.txn)
	}
	old := w.current(w.write[op.key()], uint32(first))
	if old == nobody || w.place[version] == 0 {
		return
	}
	if earlier := w.versions.of[old]; w.place[earlier] == 0 || w.place[earlier] > w.place[version] {
		w.seen(incompatibleOrder, func() finding {
			f := w.about(version, op.txn, "T1 appended %[3]s to %[2]s and then %[1]s, but T2 read %[1]s without %[3]s before it.", w.names.text(w.value[earlier]))
			f.txns = append(f.txns, w.lists.branches[w.chains[op.key()]].witness(w.place[version]))
			return f
		})
	}
}

func (w *within) future(version, txn int32) {
	w.seen(futureRead, func() finding { return w.about(version, txn, "T1 read %s from %s before it wrote it itself.") })
}

// includes says whether a list read saw an element.
func (w *within) includes(read microOp, version int32) bool {
	if read.arg == emptyList {
		return false
	}
	at, n := read.list()
	if at == w.chains[read.key()] {
		return w.place[version] > 0 && w.place[version] <= n
	}
	return slices.Contains(w.branch[at][:n], version)
}

// reads checks a read against the transaction's earlier reads and writes of the key.
func (w *within) reads(at, first int32) {
	op, version, before := w.ops[at], w.versions.of[at], w.before[at-first]
	if w.kind == Register {
		if by := w.writer[version]; by > at && w.ops[by].txn == op.txn {
			w.future(version, op.txn)
		}
		if before != nobody && w.versions.of[before] != version {
			w.inconsistent(at, before, 0)
		}
		return
	}
	list, own := w.elements(op), 0
	for before != nobody && w.ops[before].isWrite() {
		own++
		if len(list) < own || list[len(list)-own] != w.versions.of[before] {
			w.inconsistent(at, before, own-1)
			return
		}
		before = w.before[before-first]
	}
	if before == nobody || same(w.ops[before], op, int32(own)) {
		return
	}
	if !slices.Equal(w.elements(w.ops[before]), list[:len(list)-own]) {
		w.inconsistent(at, before, own)
	}
}

// same says, without looking at the elements, whether a later read must be an earlier one and so many appends more.
func same(old, later microOp, own int32) bool {
	a, n := old.list()
	b, m := later.list()
	return a == b && n+own == m
}

// inconsistent reports a read that contradicts an earlier micro-operation of its transaction, with some appends in between.
func (w *within) inconsistent(at, before int32, between int) {
	op, old := w.ops[at], w.ops[before]
	w.seen(internal, func() finding {
		did := "written " + w.names.text(old.arg) + " to it"
		switch {
		case !old.isWrite():
			did = "read it as " + w.readText(old)
		case w.kind == ListAppend:
			did = "appended " + w.names.text(old.arg)
		}
		if between > 0 {
			did += fmt.Sprintf(", with %d appends of its own in between", between)
		}
		return finding{
			txns: []int32{op.txn}, key: int(op.key()),
			text: fmt.Sprintf("T1 read %s as %s, though it had itself %s before.", w.names.keys[op.key()], w.readText(op), did),
		}
	})
}
