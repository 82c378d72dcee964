package checker

import (
	"context"
	"fmt"

	"rift/harness/history"
)

// Durability checks that every acknowledged write is there at the end. Of registers ("write", "read", each value written to a key once) the reads count that
// began after the last acknowledgement of their key: not all of them may answer a value that was certainly overwritten. Of sets ("add", "list")
// every acknowledged element must be in the last list of some node. Nothing is proven for a key that was not read at the end. It takes O(n log n).
type Durability struct{}

// Check implements Checker.
func (d Durability) Check(_ context.Context, h history.History) Result {
	r := Result{Checker: "durability", Method: "final reads against acknowledged writes"}
	for i := range h {
		if !h[i].Nemesis() && (h[i].F == "add" || h[i].F == "list") {
			return d.sets(r, h)
		}
	}
	return d.registers(r, h)
}

func (Durability) sets(r Result, h history.History) Result {
	v := view{h}
	all, err := v.spans()
	if err != nil {
		return r.unreadable(err)
	}
	b := newBreaches(promise{setLost, setRules[setLost]})
	acked, unread := 0, 0
	sets := v.objects(all)
	for _, o := range sets {
		s, err := gatherSet(v, o.spans)
		if err != nil {
			return r.unreadable(err)
		}
		s.compare()
		acked += s.counts()["acknowledged"]
		if len(s.listings) == 0 || len(s.silent()) == len(s.nodes) && len(s.nodes) > 0 {
			unread++
		}
		if flaws := s.flaws[setLost]; len(flaws) > 0 {
			b.merge(setLost, len(flaws), func() Anomaly {
				a := s.anomaly(setLost, flaws)
				a.Key = o.key
				return a
			})
		}
	}
	r.Counts = map[string]int{CountOperations: len(all), CountKeys: len(sets), "acknowledged": acked, "keys_unread": unread}
	return r.durable(b, acked, unread)
}

func (Durability) registers(r Result, h history.History) Result {
	b := newBreaches(append([]promise{{lostWrite, "What was acknowledged is there at the end, unless something newer is."}}, soundReads...)...)
	a, err := readAccesses(h, b)
	if err != nil {
		return r.unreadable(err)
	}
	f := newFreshness(a)
	last := make([]int32, len(a.keys)) // key -> the last acknowledgement; -1 if there is none
	acked, unread := 0, 0
	for key := range last {
		last[key] = -1
		for _, w := range f.writes[key] {
			if a.outcome(a.all[w].span) == history.OK {
				acked++
				last[key] = max(last[key], a.all[w].ret)
			}
		}
	}
	there, missed := make([]bool, len(a.keys)), make([]int32, len(a.keys)) // whether a final read shows what it should; the last one that does not
	for key := range missed {
		missed[key] = initial
	}
	for i, x := range a.all {
		if x.write || x.call < last[x.key] {
			continue
		}
		if newer, _ := f.overtaken(int32(i)); newer == initial {
			there[x.key] = true
		} else {
			missed[x.key] = int32(i)
		}
	}
	for key := range last {
		switch {
		case last[key] < 0 || there[key]:
		case missed[key] == initial:
			unread++
		case b.wants(lostWrite):
			newer, _ := f.overtaken(missed[key])
			f.accuse(b, lostWrite, missed[key], newer, "no read at the end shows it, or anything newer")
		}
	}
	r.Counts = map[string]int{CountOperations: a.total, CountKeys: len(a.keys), "acknowledged": acked, "keys_unread": unread}
	return r.durable(b, acked, unread)
}

// durable gives the verdict.
func (r Result) durable(b *breaches, acked, unread int) Result {
	switch {
	case b.settle(&r):
	case acked == 0:
		r.Summary = "No write was acknowledged, so nothing was put to the test."
	case unread > 0:
		r.Summary = fmt.Sprintf("%s not read after the last acknowledged write, so nobody knows whether everything is there.", was(unread, "key"))
	default:
		r.Verdict = Valid
		r.Summary = fmt.Sprintf("At the end everything was there of %s.", count(acked, "acknowledged write"))
	}
	return r
}
