package txn

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"rift/harness/history"
)

// The slow twin: it tries all orders of a small history's transactions on a database of plain maps.
type brute struct {
	calls []history.Operation
	ops   [][]bruteOp
	kind  Kind
	first func(a, b int) bool // a has to take effect before b
	// For snapshot isolation each transaction has two instants: its snapshot and its commit.
	snapshots bool
}

type bruteOp struct {
	write      bool
	key, value string // of a read: the elements with spaces between them
}

func newBrute(h history.History, kind Kind) *brute {
	calls, err := h.Operations()
	if err != nil {
		panic(err)
	}
	b := &brute{calls: calls, kind: kind, first: func(a, b int) bool { return false }}
	for _, c := range calls {
		text := c.Input
		if c.Type == history.OK {
			text = c.Output
		}
		var raw [][3]any
		if err := json.Unmarshal(text, &raw); err != nil {
			panic(err)
		}
		var ops []bruteOp
		for _, m := range raw {
			o := bruteOp{write: m[0] != "r", key: fmt.Sprint(m[1])}
			if m[2] != nil {
				o.value = strings.Trim(fmt.Sprint(m[2]), "[]")
			}
			ops = append(ops, o)
		}
		b.ops = append(b.ops, ops)
	}
	return b
}

func (b *brute) inProcess() *brute {
	c := *b
	c.first = func(x, y int) bool {
		return x < y && b.calls[x].Process == b.calls[y].Process && b.calls[x].Type == history.OK
	}
	return &c
}

func (b *brute) inTime() *brute {
	c := *b
	c.first = func(x, y int) bool { return b.calls[x].Type == history.OK && b.calls[x].End < b.calls[y].Index }
	return &c
}

func (b *brute) withSnapshots() *brute {
	c := *b
	c.snapshots = true
	return &c
}

// state is the database, and for snapshot isolation the transactions that have begun.
type state struct {
	values   map[string]string
	written  map[string]int      // key -> the instant of its last commit
	snapshot []map[string]string // transaction -> what it sees; nil before it begins
	begun    []int               // the instant of its snapshot
	done     []bool
	instant  int
}

// possible says whether some order explains everything that committed transactions saw.
func (b *brute) possible() bool {
	n := len(b.calls)
	return b.search(state{values: map[string]string{}, written: map[string]int{}, snapshot: make([]map[string]string, n), begun: make([]int, n), done: make([]bool, n)})
}

func (b *brute) search(s state) bool {
	left := false
	for t := range b.calls {
		if s.done[t] || b.calls[t].Type == history.Fail {
			continue
		}
		left = left || b.calls[t].Type == history.OK
		ready := true
		for other := range b.calls {
			// What never happened, such as an indeterminate transaction, holds up nobody.
			if !s.done[other] && b.calls[other].Type == history.OK && b.first(other, t) {
				ready = false
			}
		}
		if !ready {
			continue
		}
		if b.snapshots && s.snapshot[t] == nil {
			next := s
			next.snapshot, next.begun = slices.Clone(s.snapshot), slices.Clone(s.begun)
			next.snapshot[t], next.begun[t] = s.values, s.instant
			if b.search(next) {
				return true
			}
			continue
		}
		if next, ok := b.commit(s, t); ok && b.search(next) {
			return true
		}
	}
	return !left
}

// commit runs a transaction, and is false if it could not have seen what it saw, or if it lost to another writer.
func (b *brute) commit(s state, t int) (state, bool) {
	see := s.values
	if b.snapshots {
		see = s.snapshot[t]
	}
	mine := map[string]string{}
	for k, v := range see {
		mine[k] = v
	}
	next := s
	next.values, next.written, next.done = map[string]string{}, map[string]int{}, slices.Clone(s.done)
	next.done[t] = true
	next.instant++
	for k, v := range s.values {
		next.values[k] = v
	}
	for k, v := range s.written {
		next.written[k] = v
	}
	for _, o := range b.ops[t] {
		switch {
		case !o.write && b.calls[t].Type == history.OK && mine[o.key] != o.value:
			return state{}, false
		case o.write && b.snapshots && s.written[o.key] > s.begun[t]:
			return state{}, false
		case o.write && b.kind == ListAppend:
			mine[o.key] = strings.TrimSpace(mine[o.key] + " " + o.value)
		case o.write:
			mine[o.key] = o.value
		}
		if o.write {
			next.values[o.key], next.written[o.key] = mine[o.key], next.instant
		}
	}
	return next, true
}

// models judges a history by the checker.
func models(t *testing.T, h history.History, c Checker) (map[Model]bool, *analysis) {
	t.Helper()
	c.Expect, c.Steps = StrictSerial, DefaultSteps
	a, err := c.judge(context.Background(), h)
	if err != nil {
		t.Fatalf("%v\n%s", err, printed(h))
	}
	return ruledOut(a.broken()), a
}

func printed(h history.History) string {
	var b []byte
	for _, o := range h {
		b = append(o.AppendJSON(b), '\n')
	}
	return string(b)
}

// smallHistory draws a history of a few transactions, which is often wrong in one place.
func smallHistory(r *rand.Rand, kind Kind) history.History {
	g := Generator{
		Kind: kind, Isolation: Isolation(r.IntN(3)), Txns: 2 + r.IntN(5), Processes: 1 + r.IntN(3), Keys: 1 + r.IntN(2),
		WritesPerKey: 2 + r.IntN(8), MaxOps: 1 + r.IntN(4), Stale: float64(r.IntN(3)) / 4,
	}
	if r.IntN(2) == 0 {
		g.Fail, g.Info = 0.15, 0.2
	}
	h := g.Generate(r)
	for range r.IntN(3) {
		spoil(r, h)
	}
	return h
}

// spoil changes one read's result.
func spoil(r *rand.Rand, h history.History) {
	o := &h[r.IntN(len(h))]
	if o.Type != history.OK {
		return
	}
	var ops [][3]any
	if err := json.Unmarshal(o.Value, &ops); err != nil {
		panic(err)
	}
	m := &ops[r.IntN(len(ops))]
	list, isList := m[2].([]any)
	switch {
	case m[0] != "r":
		return
	case isList && len(list) > 0 && r.IntN(3) > 0:
		m[2] = list[:r.IntN(len(list))]
	case isList && len(list) > 1:
		i, j := r.IntN(len(list)), r.IntN(len(list))
		list[i], list[j] = list[j], list[i]
	case isList:
		m[2] = append(list, 1+r.IntN(4))
	default:
		m[2] = 1 + r.IntN(4)
	}
	o.Value = marshal(ops)
}

// scrambledHistory draws a history whose writes have an order, but whose reads see any prefix of it: cycles of all classes, and little
// else, because a transaction reads a key once and before it writes to it, once.
func scrambledHistory(r *rand.Rand, kind Kind) history.History {
	g := Generator{Kind: kind, Txns: 2 + r.IntN(5), Processes: 1 + r.IntN(4), Keys: 1 + r.IntN(4), WritesPerKey: 100, MaxOps: 5, Info: 0.1 * float64(r.IntN(2))}
	h := g.Generate(r)
	order := make([][]any, g.Keys) // key -> its writes
	parsed := make([][][3]any, len(h))
	for i, o := range h {
		if o.Type != history.OK {
			continue
		}
		if err := json.Unmarshal(o.Value, &parsed[i]); err != nil {
			panic(err)
		}
		last := map[any]any{}
		parsed[i] = slices.DeleteFunc(parsed[i], func(m [3]any) bool {
			before := last[m[1]]
			again := before != nil && (before != "r" || m[0] == "r")
			if !again {
				last[m[1]] = m[0]
			}
			return again
		})
		for _, m := range parsed[i] {
			if m[0] != "r" {
				k := int(m[1].(float64))
				order[k] = append(order[k], m[2])
			}
		}
	}
	for _, writes := range order {
		if r.IntN(2) == 0 {
			r.Shuffle(len(writes), func(i, j int) { writes[i], writes[j] = writes[j], writes[i] })
		}
	}
	for i := range h {
		for j, m := range parsed[i] {
			if m[0] != "r" {
				continue
			}
			writes := order[int(m[1].(float64))]
			n := len(writes)
			for _, later := range parsed[i][j:] {
				if later[1] == m[1] && later[0] != "r" {
					n = slices.Index(writes, later[2])
				}
			}
			switch n = r.IntN(n + 1); {
			case n == 0:
				parsed[i][j][2] = nil
			case kind == ListAppend:
				parsed[i][j][2] = writes[:n]
			default:
				parsed[i][j][2] = writes[n-1]
			}
		}
		if parsed[i] != nil {
			h[i].Value = marshal(parsed[i])
			invocation := i - 1
			for h[invocation].Process != h[i].Process {
				invocation--
			}
			for j := range parsed[i] {
				if parsed[i][j][0] == "r" {
					parsed[i][j][2] = nil
				}
			}
			h[invocation].Value = marshal(parsed[i])
		}
	}
	return h
}

func marshal(ops [][3]any) []byte {
	text, err := json.Marshal(ops)
	if err != nil {
		panic(err)
	}
	return text
}

// drawHistory draws a history of either sort.
func drawHistory(r *rand.Rand, kind Kind) history.History {
	if r.IntN(2) == 0 {
		return smallHistory(r, kind)
	}
	return scrambledHistory(r, kind)
}

var rounds = flag.Int("rounds", 1_200, "how many random histories each comparison with brute force takes")

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestListsAgainstBruteForce holds the checker against all serial orders: for lists it must be right in both directions. Against
// snapshot isolation it may only be right when it objects, because the order of writes that nobody saw is not known.
func TestListsAgainstBruteForce(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 1))
	valid := 0
	for range *rounds {
		h := drawHistory(r, ListAppend)
		out, a := models(t, h, Checker{})
		b := newBrute(h, ListAppend)
		for _, tt := range []struct {
			model Model
			twin  *brute
		}{{Serializable, b}, {SessionSerial, b.inProcess()}, {StrictSerial, b.inTime()}} {
			if possible := tt.twin.possible(); possible == out[tt.model] {
				t.Fatalf("%s: brute force says %v, the checker ruled out %v: %v\n%s", tt.model, possible, out[tt.model], a.kindsSeen(), printed(h))
			} else if possible {
				valid++
			}
		}
		if len(h) <= 8 {
			for _, tt := range []struct {
				model Model
				twin  *brute
			}{{SnapshotIsolation, b}, {SessionSnapshot, b.inProcess()}, {StrongSnapshot, b.inTime()}} {
				if out[tt.model] && tt.twin.withSnapshots().possible() {
					t.Fatalf("%s is possible, but the checker ruled it out: %v\n%s", tt.model, a.kindsSeen(), printed(h))
				}
			}
		}
	}
	if valid < *rounds/10 || valid > 3**rounds*9/10 {
		t.Fatalf("%d of %d comparisons were of possible histories: the histories are too easy", valid, 3**rounds)
	}
}

// TestKeyAssumptions holds that vouching for the keys accuses no history for which what is vouched for is true: strict
// serializability makes each key linearizable, and that of the sessions makes it sequential.
func TestKeyAssumptions(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 4))
	tried := 0
	for range *rounds {
		h := drawHistory(r, Register)
		b := newBrute(h, Register)
		for _, tt := range []struct {
			keys KeyAssumption
			twin *brute
			keep Model
		}{{SequentialKeys, b.inProcess(), SessionSerial}, {LinearizableKeys, b.inTime(), StrictSerial}} {
			if !tt.twin.possible() {
				continue
			}
			tried++
			if out, a := models(t, h, Checker{Kind: Register, Keys: tt.keys}); out[tt.keep] {
				t.Fatalf("%s is possible, but was ruled out with assumption %d: %v\n%s", tt.keep, tt.keys, a.kindsSeen(), printed(h))
			}
		}
	}
	if tried < *rounds/10 {
		t.Fatalf("only %d histories were possible", tried)
	}
}

// TestRegistersAgainstBruteForce holds the checker against all serial orders: for registers it may only be right when it objects, but it
// has to object often.
func TestRegistersAgainstBruteForce(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 2))
	wrong, found := 0, 0
	for range *rounds {
		h := drawHistory(r, Register)
		out, a := models(t, h, Checker{Kind: Register})
		b := newBrute(h, Register)
		for _, tt := range []struct {
			model Model
			twin  *brute
		}{
			{Serializable, b},
			{SessionSerial, b.inProcess()},
			{StrictSerial, b.inTime()},
			{SnapshotIsolation, b.withSnapshots()},
			{SessionSnapshot, b.inProcess().withSnapshots()},
			{StrongSnapshot, b.inTime().withSnapshots()},
		} {
			if tt.twin.snapshots && len(h) > 8 {
				continue
			}
			possible := tt.twin.possible()
			if possible && out[tt.model] {
				t.Fatalf("%s is possible, but the checker ruled it out: %v\n%s", tt.model, a.kindsSeen(), printed(h))
			}
			wrong += b2i(!possible)
			found += b2i(out[tt.model])
		}
	}
	if found < wrong*9/10 {
		t.Fatalf("of %d models that were impossible for some history only %d were ruled out", wrong, found)
	}
	t.Logf("of %d models that were impossible for some history %d were ruled out", wrong, found)
}
