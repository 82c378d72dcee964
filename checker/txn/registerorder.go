package txn

import "slices"

// registerOrder infers what it can of each key's version order. A register read shows one value and nothing of
// those before it, so the order follows from: the initial state, which precedes everything; writes that follow reads in one
// transaction; and the order in which a process, or real time, met the versions.
func (a *analysis) registerOrder() []link {
	a.slot = make([]int32, len(a.names.keys))
	var links []link
	for t := range a.calls {
		if a.active[t] {
			for _, m := range a.meetings(int32(t)) {
				if m.wrote {
					links = append(links, link{a.initial + m.key, m.last, initialState})
				}
				if m.wrote && m.read && m.first != m.last && a.value[m.first] != noValue {
					links = append(links, link{m.first, m.last, followsRead})
				}
			}
		}
	}
	certain := len(links)
	links = append(links, a.acyclic(links[:certain], a.processLinks(), cyclicProcess)...)
	return append(links, a.acyclic(links[:certain], a.timeLinks(), cyclicRealTime)...)
}

// meeting is what a transaction had to do with one key: the first version that it met and the last one.
type meeting struct {
	key, first, last int32
	read             bool // first was read, before any write
	wrote            bool // last was written
}

// meetings gives a transaction's meetings, which are good until the next call.
func (a *analysis) meetings(txn int32) []meeting {
	ops, first := a.record.of(txn)
	met := a.met[:0]
	for i, op := range ops {
		version, key := a.versions.of[first+uint32(i)], int32(op.key())
		at := a.slot[key]
		if int(at) >= len(met) || met[at].key != key {
			a.slot[key] = int32(len(met))
			met = append(met, meeting{key: key, first: version, last: version, read: !op.isWrite(), wrote: op.isWrite()})
			continue
		}
		m := &met[at]
		if op.isWrite() {
			m.last, m.wrote = version, true
			if !m.read {
				m.first = version // what a transaction wrote before its last write nobody may see
			}
		}
	}
	a.met = met
	return met
}

// processLinks follow each process from one meeting with a key to its next.
func (a *analysis) processLinks() []link {
	type place struct {
		process int
		key     int32
	}
	last := make(map[place]int32)
	var links []link
	for t := range a.calls {
		if !a.active[t] {
			continue
		}
		for _, m := range a.meetings(int32(t)) {
			at := place{a.calls[t].Process, m.key}
			if old, met := last[at]; met && old != m.first {
				links = append(links, link{old, m.first, processOrder})
			}
			last[at] = m.last
		}
	}
	return links
}

// frontier bounds how many completed transactions are remembered for a key. With more concurrency than that, less is inferred.
const frontier = 64

// timeLinks follow each key through real time. Of the completed transactions only those are kept that no later completed one
// stands for, which is the transitive reduction of real-time order.
func (a *analysis) timeLinks() []link {
	type visit struct{ txn, last int32 }
	open := make([][]visit, len(a.names.keys))
	var links []link
	for t := range a.calls {
		if !a.active[t] {
			continue
		}
		for _, m := range a.meetings(int32(t)) {
			visits, newest := open[m.key], int32(nobody)
			for _, v := range visits {
				if a.after[v.txn] <= int32(t) {
					newest = max(newest, v.txn)
				}
			}
			visits = slices.DeleteFunc(visits, func(v visit) bool { return a.after[v.txn] <= newest })
			for _, v := range visits {
				if a.after[v.txn] <= int32(t) && v.last != m.first {
					links = append(links, link{v.last, m.first, timeOrder})
				}
			}
			if int(a.after[t]) < len(a.calls) {
				visits = append(visits[max(0, len(visits)-frontier):], visit{int32(t), m.last})
			}
			open[m.key] = visits
		}
	}
	return links
}
