package txn

import (
	"fmt"

	"rift/harness/history"
)

// checkFractured finds transactions that saw one write of another transaction and missed its write to another key (Bailis et al.,
// "Scalable Atomic Visibility with RAMP Transactions", SIGMOD 2014). It looks at what each read first of a key, before writing to it.
func (a *analysis) checkFractured() {
	met := make([]int32, len(a.names.keys)) // key -> the transaction's first micro-operation on it, +1; smaller ones are of earlier transactions
	for t := range a.calls {
		if a.calls[t].Type != history.OK {
			continue
		}
		ops, first := a.record.of(int32(t))
		for i, op := range ops {
			if met[op.key()] <= int32(first) {
				met[op.key()] = int32(first) + int32(i) + 1
			}
		}
		last := int32(nobody) // a writer that has just been looked at
		for i, op := range ops {
			at := int32(first) + int32(i)
			if writer := a.author(a.versions.of[at]); !op.isWrite() && met[op.key()] == at+1 && writer != nobody && writer != int32(t) && writer != last {
				last = writer
				a.compareReads(at, writer, met, int32(first))
			}
		}
	}
}

// compareReads compares a transaction's reads, the first of them from place first on, with the writes of one that it read from.
func (a *analysis) compareReads(read, writer int32, met []int32, first int32) {
	writes, begin := a.record.of(writer)
	for j, w := range writes {
		other, version := met[w.key()]-1, a.versions.of[int(begin)+j]
		if !w.isWrite() || other < first || a.ops[other].isWrite() || !a.final[version] || !a.older(other, version) {
			continue
		}
		a.seen(fracturedRead, func() finding {
			saw, missed := a.versions.of[read], version
			return finding{
				txns: []int32{a.ops[read].txn, writer}, key: int(w.key()),
				text: fmt.Sprintf("T1 read %s with T2's write of %s, and yet it read %s without T2's write of %s.",
					a.names.keys[a.versions.key[saw]], a.names.text(a.value[saw]), a.names.keys[w.key()], a.names.text(a.value[missed])),
			}
		})
	}
}

// older says whether a read is known to have seen a state of its key from before a version was written.
func (a *analysis) older(read, version int32) bool {
	op, saw := a.ops[read], a.versions.of[read]
	if saw == version {
		return false
	}
	if a.value[saw] == noValue {
		return true
	}
	if a.kind == ListAppend {
		at, n := op.list()
		onChain := at == a.chains[op.key()]
		return onChain && (a.place[version] > n || (a.place[version] == 0 && !a.observed[version]))
	}
	for _, l := range a.known.next(saw) {
		if l.to == version && l.why == followsRead {
			return true
		}
	}
	return false
}
