package checker

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"rift/harness/history"
)

// TestAspects holds that what the quick checkers of objects find is a violation of linearizability: they look at single aspects of it.
func TestAspects(t *testing.T) {
	for _, c := range []struct {
		Model
		Checker
		answer func() func(r *rand.Rand) (f, in, out string) // for one history
		kinds  []string
	}{
		{Queue(), TotalQueue{FIFO: true}, uniqueValues, []string{queueLost, queueUnexpected, queueDuplicated, queueReordered, queueNotEmpty}},
		{FencedLock(), MutualExclusion{Fenced: true}, always("fenced-lock"), []string{twoHolders, fenceReused}},
		{Counter(0), CounterBounds{}, always("counter"), []string{tooLow, tooHigh}},
		{Register(), StaleBound{}, registerAnswers, []string{tooStale, phantomValue}},
		{Register(), Durability{}, registerAnswers, []string{lostWrite, phantomValue}},
	} {
		r := rand.New(rand.NewPCG(10, 11))
		tally := make(map[string]int)
		for range histories(t, 1_500) {
			h := arbitrary(r, c.answer())
			found := c.Check(context.Background(), h)
			tally[found.Verdict.String()]++
			for _, a := range found.Anomalies {
				tally[a.Kind]++
			}
			if found.Verdict != Invalid {
				continue
			}
			if _, ops := opsOf(t, c.Model, h); bruteForce(c.Model, ops) {
				t.Fatalf("%s finds a linearizable history invalid: %s\n%s", found.Checker, found.Summary, lines(h))
			}
		}
		for _, kind := range append(c.kinds, "valid") {
			if tally[kind] == 0 {
				t.Errorf("%T never says %s: %v", c.Checker, kind, tally)
			}
		}
	}
}

// always gives answers that depend on nothing that was before.
func always(model string) func() func(r *rand.Rand) (f, in, out string) {
	return func() func(r *rand.Rand) (f, in, out string) { return answers[model] }
}

// uniqueValues puts each value into a queue once, and takes out one of the first few, seldom twice or one that is not there.
func uniqueValues() func(r *rand.Rand) (f, in, out string) {
	n := 0
	var there []int
	return func(r *rand.Rand) (f, in, out string) {
		if r.IntN(2) == 0 {
			n++
			there = append(there, n)
			return "enqueue", fmt.Sprint(n), ""
		}
		if len(there) == 0 || r.IntN(6) == 0 {
			return "dequeue", "", "null"
		}
		if r.IntN(20) == 0 {
			return "dequeue", "", fmt.Sprint(n + 1) // not yet, or never
		}
		i := r.IntN(min(2, len(there)))
		value := there[i]
		if r.IntN(10) > 0 {
			there = slices.Delete(there, i, i+1)
		}
		return "dequeue", "", fmt.Sprint(value)
	}
}

// registerAnswers writes each value once, and reads any.
func registerAnswers() func(r *rand.Rand) (f, in, out string) {
	n := 0
	return func(r *rand.Rand) (f, in, out string) {
		n++
		if r.IntN(2) == 0 {
			return "write", fmt.Sprint(n), ""
		}
		if r.IntN(6) == 0 {
			return "read", "", "null"
		}
		return "read", "", fmt.Sprint(max(1, n-1-r.IntN(5)))
	}
}

// drawLists is a history of a set whose lists show any of what was asked for, mostly prefixes of one order.
func drawLists(r *rand.Rand, wrong float64) history.History {
	answerOf := func(order []int) json.RawMessage {
		shown := slices.Clone(order[:r.IntN(len(order)+1)])
		if r.Float64() < wrong {
			r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
			shown = slices.Clone(order[:r.IntN(len(order)+1)])
		}
		r.Shuffle(len(shown), func(i, j int) { shown[i], shown[j] = shown[j], shown[i] })
		b, _ := json.Marshal(append([]int{}, shown...)) // numbers always marshal
		return b
	}
	var order []int
	var h history.History
	clients := make([]history.Op, 3)
	for i := range clients {
		clients[i].Process = i
	}
	added := 0
	for range 6 + r.IntN(14) {
		c := &clients[r.IntN(len(clients))]
		if c.Type == history.Invoke {
			c.Type = history.OK
			switch {
			case c.F == "list":
				c.Value = answerOf(order)
			case r.IntN(5) == 0:
				c.Type, c.Error = history.Info, "timeout"
			}
		} else {
			if c.Type == history.Info {
				c.Process += len(clients)
			}
			c.Type, c.F, c.Value, c.Error = history.Invoke, "list", nil, ""
			if r.IntN(2) == 0 && added < 6 {
				added++
				c.F, c.Value = "add", number(added)
				order = append(order, added)
			}
		}
		e := *c
		e.Index, e.Time = len(h), time.Duration(len(h))*time.Millisecond
		h = append(h, e)
	}
	return h
}

// brutePrefix tries all orders of the elements.
func brutePrefix(s *setHistory, sessions bool) bool {
	n := len(s.elements)
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	before := func(a, b element) bool {
		return a.acked < b.add && (!sessions || s.h[a.add].Process == s.h[b.add].Process)
	}
	good := func() bool {
		place := make([]int, n)
		for at, id := range order {
			for _, later := range order[at+1:] {
				if before(s.elements[later], s.elements[id]) {
					return false
				}
			}
			place[id] = at
		}
		return !slices.ContainsFunc(s.listings, func(l listing) bool {
			return slices.ContainsFunc(l.elements, func(id int32) bool { return place[id] >= len(l.elements) })
		})
	}
	var permute func(k int) bool
	permute = func(k int) bool {
		if k == n {
			return good()
		}
		for i := k; i < n; i++ {
			order[k], order[i] = order[i], order[k]
			found := permute(k + 1)
			order[k], order[i] = order[i], order[k]
			if found {
				return true
			}
		}
		return false
	}
	return permute(0)
}

// TestPrefixAgrees compares the checker of prefixes with brute force.
func TestPrefixAgrees(t *testing.T) {
	r := rand.New(rand.NewPCG(12, 13))
	tally := make(map[string]int)
	for range histories(t, 1_500) {
		h := drawLists(r, 0.3*float64(r.IntN(2)))
		s, err := readSet(h)
		if err != nil {
			t.Fatal(err)
		}
		for _, sessions := range []bool{false, true} {
			want := brutePrefix(s, sessions)
			got := Prefix{Sessions: sessions}.Check(context.Background(), h)
			for _, a := range got.Anomalies {
				tally[a.Kind]++
			}
			tally[fmt.Sprint(want)]++
			if got.Verdict == Invalid == want {
				t.Fatalf("sessions %t: brute force %t, but %s:\n%s", sessions, want, render(got), lines(h))
			}
		}
	}
	for _, kind := range []string{"true", "false", longFork, prefixGap} {
		if tally[kind] == 0 {
			t.Errorf("no history is %s: %v", kind, tally)
		}
	}
}

// TestMissed compares what a set's last misses are with looking at each element in each list.
func TestMissed(t *testing.T) {
	r := rand.New(rand.NewPCG(14, 15))
	missed := 0
	for range histories(t, 1_500) {
		s, err := readSet(drawLists(r, 0.5))
		if err != nil {
			t.Fatal(err)
		}
		s.compare()
		for id, e := range s.elements {
			want := 0
			for k, l := range s.listings {
				if e.add != never && e.established < int32(l.Index) && !slices.Contains(l.elements, int32(id)) {
					want = k + 1
				}
			}
			if e.missed != want {
				t.Fatalf("element %s: list %d, want %d:\n%s", e.name, e.missed, want, lines(s.h))
			}
			missed += min(want, 1)
		}
	}
	if missed == 0 {
		t.Error("nothing was ever missed")
	}
}

// TestSessionsAgree compares the checker of session guarantees with a walk through all pairs of reads and writes.
func TestSessionsAgree(t *testing.T) {
	r := rand.New(rand.NewPCG(16, 17))
	tally := make(map[string]int)
	for range histories(t, 3_000) {
		h := drawSessions(r)
		a := kept(t, h)
		for g, p := range sessionPromises {
			want := bruteSession(a, g)
			got := Sessions{Only: []string{p.kind}}.Check(context.Background(), h)
			tally[p.kind+got.Verdict.String()]++
			if (got.Verdict == Invalid) != want {
				t.Fatalf("%s broken: %t, but %s:\n%s", p.kind, want, render(got), lines(h))
			}
		}
	}
	for _, p := range sessionPromises {
		if tally[p.kind+"valid"] == 0 || tally[p.kind+"invalid"] == 0 {
			t.Errorf("%s: %v", p.kind, tally)
		}
	}
}

// drawSessions is a history of processes that write one or two keys of their own and read all, from replicas that may fall back.
func drawSessions(r *rand.Rand) history.History {
	const processes, keysEach = 3, 2
	back := 6 * r.IntN(2) // by how many writes a replica may fall back
	var log []history.Op  // all writes
	var seen [processes]int
	var h history.History
	for range 10 + r.IntN(40) {
		p := r.IntN(processes)
		o := history.Op{Process: p, Type: history.Invoke, F: "read", Node: "n1", Key: fmt.Sprintf("k%d.%d", r.IntN(processes), r.IntN(keysEach))}
		value := json.RawMessage("null")
		if r.IntN(2) == 0 {
			value = number(len(log) + 1)
			o.F, o.Key, o.Value = "write", fmt.Sprintf("k%d.%d", p, r.IntN(keysEach)), value
			log = append(log, o)
			seen[p] = len(log)
		} else {
			from := max(0, seen[p]-back)
			seen[p] = from + r.IntN(len(log)-from+1)
			for _, w := range log[:seen[p]] {
				if w.Key == o.Key {
					value = w.Value
				}
			}
		}
		done := o
		done.Type, done.Value = history.OK, value
		for _, e := range []history.Op{o, done} {
			e.Index, e.Time = len(h), time.Duration(len(h))*time.Millisecond
			h = append(h, e)
		}
	}
	return h
}

// bruteSession says whether any read breaks the guarantee with that place in sessionPromises.
func bruteSession(a *accesses, guarantee int) bool {
	version := func(w int32) (v int) { // writes of a key are in the order of its one writer
		if w == initial {
			return 0
		}
		for i := range w + 1 {
			if a.all[i].write && a.all[i].key == a.all[w].key {
				v++
			}
		}
		return v
	}
	for i, x := range a.all {
		if x.write {
			continue
		}
		for j, y := range a.all[:i] {
			if y.process != x.process {
				continue
			}
			needed := [4][]int32{}
			switch {
			case y.write:
				needed[0] = []int32{int32(j)}
			case y.source != initial:
				needed[1] = []int32{y.source}
				if w := a.all[y.source]; w.process != x.process {
					for _, z := range a.all[:y.source] {
						if z.process == w.process && z.write {
							needed[2] = append(needed[2], z.source)
						} else if z.process == w.process {
							needed[3] = append(needed[3], z.source)
						}
					}
				}
			}
			for _, w := range needed[guarantee] {
				if w != initial && a.all[w].key == x.key && version(w) > version(x.source) {
					return true
				}
			}
		}
	}
	return false
}
