package node

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// A slowState is the state machine written down as plainly as possible.
type slowState struct {
	revision uint64
	clock    uint64
	items    map[string]item
}

func (s *slowState) apply(c command) (applied bool) {
	old, exists := s.items[c.key]
	switch {
	case c.op == opElapse:
		s.clock += uint64(c.span)
		for key, it := range s.items {
			if it.expires > 0 && it.expires <= s.clock {
				s.revision++
				delete(s.items, key)
			}
		}
	case c.op == opTxn:
		_, applied = s.transact(c.txn)
		return applied
	case c.condition == ifValue && (!exists || old.value != c.prevValue):
		return false
	case c.condition == ifRevision && (exists && old.revision != c.prevRevision || !exists && c.prevRevision != 0):
		return false
	case c.op == opPut:
		s.revision++
		it := item{value: c.value, revision: s.revision}
		if c.span > 0 {
			it.expires = s.clock + uint64(c.span) + uint64(ttlGrace)
		}
		s.items[c.key] = it
	case c.op == opDelete && exists:
		s.revision++
		delete(s.items, c.key)
	}
	return true
}

func itemsOf(s *state) map[string]item {
	items := map[string]item{}
	s.keys.Root().Walk(func(key []byte, v any) bool { items[string(key)] = v.(item); return false })
	return items
}

func hashOf(items map[string]item) (sum uint64) {
	for _, key := range slices.Backward(slices.Sorted(maps.Keys(items))) { // any order will do
		sum += hashItem(key, items[key])
	}
	return sum
}

func TestStateIsWhatTheSlowStateIs(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for run := range 25 {
		s, slow := newState(), &slowState{items: map[string]item{}}
		for step := range 200 {
			tr := s.transition()
			for range 1 + r.IntN(3) {
				c := randomCommand(r)
				if c.op != opTxn && c.op != opElapse {
					c.op = op(1 + r.IntN(2))
				}
				if got, want := tr.apply(&c), slow.apply(c); got.applied != want {
					t.Fatalf("run %d, step %d: %+v: %+v, want applied %v", run, step, c, got, want)
				}
			}
			before := itemsOf(s)
			hash := s.hash
			next := tr.commit()
			if !maps.Equal(itemsOf(s), before) || s.hash != hash {
				t.Fatal("a published state changed")
			}
			s = next
			if !maps.Equal(itemsOf(s), slow.items) || s.revision != slow.revision || s.clock != slow.clock || s.hash != hashOf(slow.items) {
				t.Fatalf("run %d, step %d: %v at %d (%x), time %d, want %v at %d, time %d", run, step, itemsOf(s), s.revision, s.hash, s.clock, slow.items, slow.revision, slow.clock)
			}
		}
		if again := roundTrip(t, s); !maps.Equal(itemsOf(again), slow.items) || again.hash != s.hash || again.revision != s.revision || again.clock != s.clock || again.expiring.Len() != s.expiring.Len() {
			t.Fatalf("after a snapshot: %v, want %v", itemsOf(again), slow.items)
		}
	}
}

func TestAFailedComparisonTellsWhatIsThere(t *testing.T) {
	tr := newState().transition()
	tr.apply(&command{op: opPut, key: "k", value: "v"})
	got := tr.apply(&command{op: opPut, key: "k", value: "w", condition: ifRevision, prevRevision: 0})
	if want := (result{existed: true, value: "v", revision: 1, cluster: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func snapshotBytes(t testing.TB, s *state) []byte {
	var b bytes.Buffer
	if err := (snapshot{state: s}).write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func roundTrip(t testing.TB, s *state) *state {
	again, err := restoring{}.readSnapshot(bytes.NewReader(snapshotBytes(t, s)))
	if err != nil {
		t.Fatal(err)
	}
	return again
}

func TestSnapshotsKeepEverything(t *testing.T) {
	s := newState()
	s.index, s.cluster, s.members = 77, "c", map[string]string{"n1": "1.2.3.4:5", "n2": ""}
	again := roundTrip(t, s)
	if again.index != 77 || again.cluster != "c" || !maps.Equal(again.members, s.members) {
		t.Errorf("%+v became %+v", s, again)
	}
	b := snapshotBytes(t, s)
	for n := range b {
		if _, err := (restoring{}).readSnapshot(bytes.NewReader(b[:n])); err == nil {
			t.Errorf("the first %d of %d bytes were accepted", n, len(b))
		}
		flipped := bytes.Clone(b)
		flipped[n] ^= 1 << (n % 8)
		if _, err := (restoring{}).readSnapshot(bytes.NewReader(flipped)); err == nil {
			t.Errorf("a flipped bit in byte %d of %d was accepted", n, len(b))
		}
	}
}

func FuzzReadSnapshot(f *testing.F) {
	s := newState().transition()
	s.apply(&command{op: opPut, key: "k", value: "v"})
	s.apply(&command{op: opMember, key: "n1", value: "1.2.3.4:5"})
	f.Add(snapshotBytes(f, s.commit()))
	f.Add([]byte(snapshotMagic + "\x00\x00\x00\x00\xff\xff\xff\xff\x0f"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := restoring{}.readSnapshot(bytes.NewReader(b))
		if err != nil {
			return
		}
		if again := roundTrip(t, s); again.hash != s.hash || !maps.Equal(itemsOf(again), itemsOf(s)) {
			t.Fatal("not the same after another round")
		}
	})
}

func TestDropNewestDropsTheNewest(t *testing.T) {
	for _, test := range []struct{ keys, kept int }{{0, 0}, {3, 0}, {20, 15}, {200, 190}} {
		var items []keyed
		for i := range test.keys {
			items = append(items, keyed{fmt.Sprint(i), item{revision: uint64(test.keys - i)}})
		}
		kept := dropNewest(items)
		if len(kept) != test.kept {
			t.Errorf("of %d keys %d were kept, want %d", test.keys, len(kept), test.kept)
		}
		for _, k := range kept {
			if k.revision > uint64(test.kept) {
				t.Errorf("of %d keys, %s of revision %d was kept", test.keys, k.key, k.revision)
			}
		}
	}
}

func BenchmarkApply(b *testing.B) {
	s := newState()
	c := command{op: opPut, value: "value"}
	for i := 0; b.Loop(); i++ {
		tr := s.transition()
		for k := range 100 {
			c.key = fmt.Sprint(i % 100 * k)
			tr.apply(&c)
		}
		s = tr.commit()
	}
}
