package checker

import (
	"encoding/binary"
	"slices"
)

// resource is all pending operations with the same call, by invocation. They never return, so an earlier
// one can stand wherever a later one can: it only matters how many are used.
type resource struct {
	call  Call
	spans []span
}

// useTable numbers multisets of used resources, kept as sorted lists. The empty one is 0.
type useTable struct {
	ids  map[string]int32 // by the list's bytes
	sets [][]int32
	more map[[2]int32]int32 // set, resource -> the set with one more of it
}

func newUseTable() useTable {
	return useTable{ids: map[string]int32{"": 0}, sets: [][]int32{nil}, more: make(map[[2]int32]int32)}
}

// with is set used and one more of resource r.
func (t *useTable) with(used, r int32) int32 {
	step := [2]int32{used, r}
	if id, ok := t.more[step]; ok {
		return id
	}
	at, _ := slices.BinarySearch(t.sets[used], r)
	set := slices.Insert(slices.Clone(t.sets[used]), at, r)
	var key []byte
	for _, r := range set {
		key = binary.AppendUvarint(key, uint64(r))
	}
	id, ok := t.ids[string(key)]
	if !ok {
		id = int32(len(t.sets))
		t.ids[string(key)] = id
		t.sets = append(t.sets, set)
	}
	t.more[step] = id
	return id
}

// count is how many of resource r are in set used.
func (t *useTable) count(used, r int32) int {
	set := t.sets[used]
	from, _ := slices.BinarySearch(set, r)
	to, _ := slices.BinarySearch(set, r+1)
	return to - from
}

// within says whether set a is contained in set b.
func (t *useTable) within(a, b int32) bool {
	if a == b || a == 0 || len(t.sets[a]) > len(t.sets[b]) {
		return a == b || a == 0
	}
	rest := t.sets[b]
	for _, r := range t.sets[a] {
		at, found := slices.BinarySearch(rest, r)
		if !found {
			return false
		}
		rest = rest[at+1:]
	}
	return true
}

// detour is a way on through pending operations to a completed one that needs them.
type detour struct {
	by    []int32 // resources, in order
	op    int32
	state int32 // after op
	used  int32
}

// stop is a state that pending operations can bring the object into.
type stop struct {
	state, before int32 // before: the state before its last operation
	used          int32
	by            []int32
}

// detours lists the ways on from a configuration by way of pending operations that were invoked before limit.
func (s *search) detours(f *frame, limit int32) []detour {
	var found []detour
	head := int32(len(s.ops))
	for _, at := range s.stops(f, limit) {
		last := s.pending[at.by[len(at.by)-1]].call
		for i := s.next[head]; i != head && s.ops[i].call < limit; i = s.next[i] {
			next, ok := s.model.Step(s.states.values[at.state], s.ops[i].Call)
			if ok && s.needs(s.ops[i].Call, last, s.states.values[at.before], next) {
				found = append(found, detour{by: at.by, op: i, state: s.states.id(next), used: at.used})
			}
		}
	}
	return found
}

// needs says whether call c, after the pending call p in state before, goes where it could not have gone with p later or never.
func (s *search) needs(c, p Call, before, after any) bool {
	alone, ok := s.model.Step(before, c)
	if !ok {
		return true
	}
	if alone == after {
		return false // p was for nothing
	}
	later, ok := s.model.Step(alone, p)
	return !ok || later != after
}

// stops lists the states to which sequences of available pending operations lead, each with what it uses; one that
// uses more than another for the same state is left out.
func (s *search) stops(f *frame, limit int32) []stop {
	all := []stop{{state: f.state, before: f.state, used: f.used}}
	for k := 0; k < len(all); k++ {
		from := all[k]
		if s.steps += len(s.pending); s.steps > s.budget {
			return nil
		}
		for r := range s.pending {
			res, r := &s.pending[r], int32(r)
			have := s.uses.count(from.used, r)
			if have == len(res.spans) || res.spans[have].call > limit {
				continue
			}
			next, ok := s.model.Step(s.states.values[from.state], res.call)
			if !ok || next == s.states.values[from.state] {
				continue
			}
			to := stop{state: s.states.id(next), before: from.state, used: s.uses.with(from.used, r)}
			s.steps += len(all)
			if !slices.ContainsFunc(all, func(o stop) bool { return o.state == to.state && s.uses.within(o.used, to.used) }) {
				to.by = append(slices.Clip(from.by), r)
				all = append(all, to)
			}
		}
	}
	return all[1:]
}
