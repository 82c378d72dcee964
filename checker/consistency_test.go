package checker

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"rift/harness/history"
)

// weakShape says what histories of registers to draw. A process reads from a log of all writes, up to a place that only moves on: that is
// sequentially consistent, unless wrong is above zero.
type weakShape struct {
	operations, processes, keys int
	info                        float64 // share of writes whose outcome nobody knows
	reorder                     float64 // share of writes that a process's log has in another place
	wrong                       float64 // share of reads that answer any value of the key
}

// drawWeak makes up a history of operations that do not overlap, which weak promises do not care about, or overlap with the next.
func drawWeak(r *rand.Rand, s weakShape) history.History {
	type entry struct{ key, value int }
	logs, at := make([][]entry, s.processes), make([]int, s.processes)
	ids := make([]int, s.processes)
	for p := range ids {
		ids[p] = p
	}
	var h history.History
	record := func(o history.Op) {
		o.Index, o.Time = len(h), time.Duration(len(h))*time.Millisecond
		h = append(h, o)
	}
	written := make([]int, s.keys)
	for range s.operations {
		p, key := r.IntN(s.processes), r.IntN(s.keys)
		o := history.Op{Process: ids[p], Type: history.Invoke, F: "read", Key: fmt.Sprintf("k%d", key), Node: fmt.Sprintf("n%d", p+1)}
		if r.IntN(2) == 0 {
			written[key]++
			o.F, o.Value = "write", number(written[key])
			record(o)
			for q := range logs {
				place := len(logs[q])
				if place > at[q] && r.Float64() < s.reorder {
					place = at[q] + r.IntN(place-at[q])
				}
				logs[q] = append(logs[q][:place:place], append([]entry{{key, written[key]}}, logs[q][place:]...)...)
			}
			at[p] = len(logs[p])
			o.Type = history.OK
			if r.Float64() < s.info {
				o.Type, o.Error = history.Info, "timeout"
				ids[p] += s.processes
			}
			record(o)
			continue
		}
		record(o)
		at[p] += r.IntN(len(logs[p]) - at[p] + 1)
		value := 0
		for _, e := range logs[p][:at[p]] {
			if e.key == key {
				value = e.value
			}
		}
		if r.Float64() < s.wrong {
			value = r.IntN(written[key] + 1)
		}
		o.Type, o.Value = history.OK, number(value)
		record(o)
	}
	return h
}

func randomWeak(r *rand.Rand) weakShape {
	s := weakShape{operations: 4 + r.IntN(6), processes: 2 + r.IntN(3), keys: 1 + r.IntN(3), info: 0.3 * r.Float64()}
	if r.IntN(2) == 0 {
		s.reorder = r.Float64()
	}
	if r.IntN(2) == 0 {
		s.wrong = 0.6 * r.Float64()
	}
	return s
}

// kept takes a history in, for twins.
func kept(t *testing.T, h history.History) *accesses {
	t.Helper()
	b := newBreaches(soundReads...)
	a, err := readAccesses(h, b)
	if err != nil || b.total() > 0 {
		t.Fatalf("%v, %v:\n%s", err, b.count, lines(h))
	}
	return a
}

// bruteSequential tries all orders.
func bruteSequential(a *accesses) bool {
	next, holds := make([]int, len(a.sequences)), make([]int32, len(a.keys))
	for k := range holds {
		holds[k] = initial
	}
	var rest func(left int) bool
	rest = func(left int) bool {
		if left == 0 {
			return true
		}
		for p, sequence := range a.sequences {
			if next[p] == len(sequence) {
				continue
			}
			x := a.all[sequence[next[p]]]
			held := holds[x.key]
			if !x.write && x.source != held {
				continue
			}
			next[p]++
			holds[x.key] = held
			if x.write {
				holds[x.key] = x.source
			}
			if rest(left - 1) {
				return true
			}
			next[p]--
			holds[x.key] = held
		}
		return false
	}
	return rest(len(a.all))
}

// bruteCausal follows the definition (Bouajjani et al., section 3). Causal consistency: for each read, some order of what it causally follows explains its answer.
// Causal convergence: one order of all writes does so for all reads.
func bruteCausal(a *accesses, convergent bool) bool {
	n := len(a.all)
	follows := make([][]bool, n) // follows[i][j]: j causally follows i
	for i := range follows {
		follows[i] = make([]bool, n)
	}
	for _, sequence := range a.sequences {
		for k := 1; k < len(sequence); k++ {
			follows[sequence[k-1]][sequence[k]] = true
		}
	}
	for i, x := range a.all {
		if !x.write && x.source != initial {
			follows[x.source][i] = true
		}
	}
	for k := range n {
		for i := range n {
			for j := range n {
				follows[i][j] = follows[i][j] || follows[i][k] && follows[k][j]
			}
		}
	}
	var writes, reads []int
	for i, x := range a.all {
		if x.write {
			writes = append(writes, i)
		} else {
			reads = append(reads, i)
		}
	}
	explains := func(order []int, read int) bool {
		last := initial
		for _, w := range order {
			if follows[w][read] && a.all[w].key == a.all[read].key {
				last = int32(w)
			}
		}
		return last == a.all[read].source
	}
	good := make([]bool, n)
	all := func() bool {
		every := true
		for _, r := range reads {
			if explains(writes, r) {
				good[r] = true
			} else {
				every = false
			}
		}
		return every
	}
	converged := false
	var permute func(k int)
	permute = func(k int) {
		if converged {
			return
		}
		if k == len(writes) {
			converged = all()
			return
		}
		for i := k; i < len(writes); i++ {
			writes[k], writes[i] = writes[i], writes[k]
			possible := true
			for _, later := range writes[k+1:] {
				possible = possible && !follows[later][writes[k]]
			}
			if possible {
				permute(k + 1)
			}
			writes[k], writes[i] = writes[i], writes[k]
		}
	}
	permute(0)
	if convergent || converged {
		return converged
	}
	for _, r := range reads {
		if !good[r] {
			return false
		}
	}
	return true
}

// TestWeakPromisesAgree compares the checkers of sequential and causal consistency with brute force on random histories.
func TestWeakPromisesAgree(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	tally := make(map[string]int)
	for range histories(t, 2_500) {
		h := drawWeak(r, randomWeak(r))
		a := kept(t, h)
		sequential, convergent, causal := bruteSequential(a), bruteCausal(a, true), bruteCausal(a, false)
		tally[fmt.Sprint(sequential, convergent, causal)]++
		for _, c := range []struct {
			Checker
			want bool
		}{{Sequential{}, sequential}, {Causal{Convergent: true}, convergent}, {Causal{}, causal}} {
			r := c.Check(context.Background(), h)
			if r.Verdict == Unknown && c.want && !a.shared() {
				continue
			}
			if r.Verdict != Unknown && (r.Verdict == Valid) != c.want || r.Verdict == Unknown {
				t.Fatalf("%s %+v says %s (%s), brute force %t:\n%s", r.Checker, c.Checker, r.Verdict, r.Summary, c.want, lines(h))
			}
			if r.Verdict == Invalid {
				tally[r.Anomalies[0].Kind]++
				checkProof(t, r, h)
			}
		}
	}
	t.Log(tally)
	for _, kind := range []string{"true true true", "false true true", "false false true", "false false false", nonsequential, writeCORead, writeCOInitRead, cyclicCF} {
		if tally[kind] == 0 {
			t.Errorf("no history is %s: %v", kind, tally)
		}
	}
}

// TestScheduleAgrees leaves the whole decision to the search for an order, without any links, and compares it with brute force.
func TestScheduleAgrees(t *testing.T) {
	r := rand.New(rand.NewPCG(24, 25))
	tally := make(map[Verdict]int)
	for range histories(t, 2_000) {
		h := drawWeak(r, randomWeak(r))
		a := kept(t, h)
		p, _ := newPrecedence(a)
		want := Invalid
		if bruteSequential(a) {
			want = Valid
		}
		order, verdict := p.schedule(context.Background(), DefaultSteps)
		if verdict != want {
			t.Fatalf("schedule says %s, brute force %s:\n%s", verdict, want, lines(h))
		}
		tally[want]++
		if verdict == Valid {
			continue
		}
		b, found := newBreaches(sequentialPromises...), Result{}
		if order.accuse(b); !b.settle(&found) || len(found.Anomalies[0].Ops) == 0 {
			t.Fatalf("not explained: %s\n%s", render(found), lines(h))
		}
		if _, verdict := p.schedule(context.Background(), 0); verdict != Unknown {
			t.Fatalf("%s without a step:\n%s", verdict, lines(h))
		}
	}
	if tally[Valid] < 50 || tally[Invalid] < 50 {
		t.Errorf("lopsided histories prove little: %v", tally)
	}
}

// TestTangles has long histories with several violations: a cycle must be found among all that is stuck behind it.
func TestTangles(t *testing.T) {
	r := rand.New(rand.NewPCG(26, 27))
	found := make(map[string]int)
	for range histories(t, 40) {
		h := drawWeak(r, weakShape{operations: 300, processes: 5, keys: 4, reorder: 0.02 * r.Float64(), wrong: 0.01 * r.Float64()})
		for _, c := range []Checker{Sequential{}, Causal{Convergent: true}} {
			r := c.Check(context.Background(), h)
			for _, a := range r.Anomalies {
				found[a.Kind]++
				if len(a.Ops) < 2 || len(a.Steps) < 2 {
					t.Fatalf("no proof: %s\n%s", render(r), lines(h))
				}
			}
			if r.Verdict == Unknown {
				t.Errorf("%s: %s", r.Checker, r.Summary)
			}
		}
	}
	if found[nonsequential] == 0 || found[cyclicCF] == 0 {
		t.Errorf("no tangles: %v", found)
	}
}

// checkProof holds that the operations of an anomaly alone are rejected as well, by the same checker.
func checkProof(t *testing.T, r Result, h history.History) {
	t.Helper()
	if len(r.Anomalies[0].Ops) == 0 || len(r.Anomalies[0].Steps) == 0 {
		t.Fatalf("no proof: %+v\n%s", r.Anomalies[0], lines(h))
	}
	shown := make(map[int]bool)
	for _, i := range r.Anomalies[0].Ops {
		shown[i] = true
	}
	open := make(map[int]int)
	var part history.History
	for _, o := range h {
		if o.Type == history.Invoke {
			open[o.Process] = o.Index
		}
		if shown[open[o.Process]] {
			o.Index = len(part)
			part = append(part, o)
		}
	}
	again := Checker(Sequential{})
	if r.Checker == "causal" {
		again = Causal{Convergent: true}
	}
	if judged := again.Check(context.Background(), part); judged.Verdict == Valid {
		t.Fatalf("the proof holds nothing against the system:\n%s\n%v\n%s", lines(h), r.Anomalies[0].Ops, render(r))
	}
}
