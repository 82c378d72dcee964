package checker

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"time"

	"rift/harness/history"
)

// StaleBound checks that reads of registers are never older than they may be: Δ-atomicity, as in Golab, Li & Shah, "Analyzing consistency properties
// for fun and profit", PODC 2011. A read is as old as the time between the moment when a newer write was certainly in effect, its acknowledgement or
// its first sight, and the read's beginning. Newer is a write that began when the one that was read was certainly in effect. Each value is written
// to a key once. It takes O(n log n), and always tells how old reads were.
type StaleBound struct {
	Bound time.Duration // 0: reads are never stale
}

const tooStale = "too-stale"

// Check implements Checker.
func (c StaleBound) Check(_ context.Context, h history.History) Result {
	r := Result{Checker: "stale-bound", Method: "each read against the writes that were certainly newer"}
	b := newBreaches(append([]promise{{tooStale, fmt.Sprintf("A read is at most %s old.", lasting(c.Bound))}}, soundReads...)...)
	a, err := readAccesses(h, b)
	if err != nil {
		return r.unreadable(err)
	}
	f := newFreshness(a)
	var ages []time.Duration
	for i, x := range a.all {
		if x.write {
			continue
		}
		newer, since := f.overtaken(int32(i))
		if newer == initial {
			ages = append(ages, 0)
			continue
		}
		age := a.h[x.call].Time - a.h[since].Time
		ages = append(ages, age)
		if age > c.Bound && b.wants(tooStale) {
			f.accuse(b, tooStale, int32(i), newer, fmt.Sprintf("it was %.3f s old, where at most %.3f s is allowed", age.Seconds(), c.Bound.Seconds()))
		}
	}
	slices.Sort(ages)
	stale := len(ages) - sort.Search(len(ages), func(i int) bool { return ages[i] > 0 })
	r.Counts = map[string]int{CountOperations: a.total, CountKeys: len(a.keys), "reads": a.reads, "stale_reads": stale}
	if len(ages) > 0 {
		r.Table = &Table{Columns: []string{"reads", "stale", "95 %", "99 %", "oldest"}, Rows: [][]string{{
			strconv.Itoa(len(ages)), strconv.Itoa(stale),
			lasting(quantile(ages, 0.95)), lasting(quantile(ages, 0.99)), lasting(quantile(ages, 1)),
		}}}
	}
	switch {
	case b.settle(&r):
	case a.reads == 0 || a.reads == len(a.all):
		r.Summary = "Nothing was written and read, so nothing was put to the test."
	default:
		r.Verdict = Valid
		r.Summary = fmt.Sprintf("None of %s was stale.", count(a.reads, "read"))
		if stale > 0 {
			r.Summary = fmt.Sprintf("Of %s, %s saw something old, but nothing older than %s, where %s is allowed.",
				count(a.reads, "read"), thousands(stale), lasting(quantile(ages, 1)), lasting(c.Bound))
		}
	}
	return r
}

// freshness tells which reads were certainly overtaken by a newer write when they began.
type freshness struct {
	*accesses
	done   []int32   // access -> the place of the completion by which the write was certainly in effect
	writes [][]int32 // key -> its writes, by their invocations
	first  [][]int32 // key -> of these and all later ones, the one that was certainly in effect first
}

func newFreshness(a *accesses) *freshness {
	f := &freshness{accesses: a, done: make([]int32, len(a.all)), writes: make([][]int32, len(a.keys)), first: make([][]int32, len(a.keys))}
	for i, x := range a.all {
		if x.write {
			f.writes[x.key] = append(f.writes[x.key], int32(i))
			f.done[i] = never
			if a.outcome(x.span) == history.OK {
				f.done[i] = x.ret
			}
		}
	}
	for _, x := range a.all {
		if !x.write && x.source != initial {
			f.done[x.source] = min(f.done[x.source], x.ret)
		}
	}
	for key, writes := range f.writes {
		f.first[key] = slices.Clone(writes)
		for k := len(writes) - 2; k >= 0; k-- {
			if later := f.first[key][k+1]; f.done[later] < f.done[writes[k]] {
				f.first[key][k] = later
			}
		}
	}
	return f
}

// overtaken gives a write that is certainly newer than what the read saw and was certainly in effect when the read began, and the place of
// the event since when it was: of all such writes, the one that was the first. Or initial, if there is none.
func (f *freshness) overtaken(read int32) (newer, since int32) {
	x := f.all[read]
	from := int32(-1)
	if x.source != initial {
		from = f.done[x.source]
	}
	writes := f.writes[x.key]
	k := sort.Search(len(writes), func(k int) bool { return f.all[writes[k]].call > from })
	if k == len(writes) {
		return initial, 0
	}
	newer = f.first[x.key][k]
	if since = f.done[newer]; since >= x.call {
		return initial, 0
	}
	return newer, since
}

// accuse adds a read that was overtaken. how says what is wrong with it.
func (f *freshness) accuse(b *breaches, kind string, read, newer int32, how string) {
	x, w := f.all[read], f.all[newer]
	places := []int32{newer, read}
	seen := "acknowledged"
	if since := f.done[newer]; since != w.ret { // not its own completion, but that of a read
		k := slices.IndexFunc(f.all, func(y access) bool { return !y.write && y.source == newer && y.ret == since })
		places = []int32{newer, int32(k), read}
		seen = "read"
	}
	if x.source != initial {
		places = append([]int32{x.source}, places...)
	}
	slices.SortFunc(places[:len(places)-1], cmp.Compare)
	o := f.operation(x.span)
	b.put(kind, f.operations(places...), nil, fmt.Sprintf("%s answered %s to a read of %s that began %s, although %s, which came after that, had been %s %s: %s.",
		who(o), f.value(x), f.object(x.key), at(o.Invoked), f.value(w), seen, at(f.h[f.done[newer]].Time), how))
}
