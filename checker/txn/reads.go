package txn

// checkReads finds reads of values that were never there to be read: written by nobody (thin-air-read), by a
// transaction that failed (G1a), or overwritten by its own writer before it committed (G1b).
func (a *analysis) checkReads() {
	phantom := a.taint(func(v int32) bool { return a.writer[v] == nobody && a.value[v] != noValue })
	aborted := a.taint(func(v int32) bool { return a.writer[v] != nobody && a.failed(a.ops[a.writer[v]].txn) })
	for i, op := range a.ops {
		if op.isWrite() {
			continue
		}
		version := a.versions.of[i]
		if v := a.tainted(op, version, phantom); v != nobody {
			a.seen(thinAirRead, func() finding { return a.about(v, op.txn, "T1 read %s from %s, and nobody ever wrote that.") })
		}
		if v := a.tainted(op, version, aborted); v != nobody {
			a.seen(abortedRead, func() finding {
				f := a.about(v, op.txn, "T1 read %s from %s, which only T2 wrote, and T2 failed.")
				f.txns = append(f.txns, a.ops[a.writer[v]].txn)
				return f
			})
		}
		if w := a.author(version); w != nobody && w != op.txn && !a.final[version] {
			a.seen(intermediateRead, func() finding {
				f := a.about(version, op.txn, "T1 read %[2]s as T2's write of %[1]s had left it, but T2 wrote to %[2]s again before it committed.")
				f.txns = append(f.txns, w)
				return f
			})
		}
	}
}

// taint marks versions that nobody may read.
type taint struct {
	is    func(version int32) bool
	first []int32 // branch -> the place of its first tainted element, or its length
}

func (a *analysis) taint(is func(version int32) bool) taint {
	t := taint{is, make([]int32, len(a.branch))}
	for at, elements := range a.branch {
		for t.first[at] < int32(len(elements)) && !is(elements[t.first[at]]) {
			t.first[at]++
		}
	}
	return t
}

// tainted is the first tainted version that a read showed, or nobody.
func (a *analysis) tainted(op microOp, version int32, t taint) int32 {
	if a.kind == Register {
		if t.is(version) {
			return version
		}
		return nobody
	}
	if op.arg == emptyList {
		return nobody
	}
	if at, length := op.list(); t.first[at] < length {
		return a.branch[at][t.first[at]]
	}
	return nobody
}

// checkLostUpdates finds transactions that read the same version of a key and then wrote to it: at least one of them
// overwrote the other's write without having seen it (Adya's H-lost; also found where the version order is unknown).
func (a *analysis) checkLostUpdates() {
	updater := make([]int32, len(a.versions.key)) // version -> the first transaction that updated it, +1
	last := make([]int32, len(a.names.keys))      // key -> the transaction's first micro-operation on it, +1
	for t := range a.calls {
		ops, first := a.record.of(int32(t))
		for i, op := range ops {
			at := &last[op.key()]
			if *at <= int32(first) {
				*at = int32(first) + int32(i) + 1
			}
			begun := *at - 1
			if !op.isWrite() || !a.active[t] || a.ops[begun].isWrite() {
				continue
			}
			version := a.versions.of[begun]
			*at = int32(first) + int32(i) + 1 // the second write to the key is no second update
			if updater[version] == 0 {
				updater[version] = int32(t) + 1
				continue
			}
			a.seen(lostUpdate, func() finding {
				text := "T1 and T2 both read %[2]s with %[1]s as its newest value, and both wrote to it: neither saw the other's write."
				if a.value[version] == noValue {
					text = "T1 and T2 both read %[2]s while nothing was in it, and both wrote to it: neither saw the other's write."
				}
				f := a.about(version, updater[version]-1, text)
				f.txns = append(f.txns, int32(t))
				return f
			})
		}
	}
}
