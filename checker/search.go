package checker

import (
	"cmp"
	"context"
	"math"
	"slices"
)

// search looks for an order of an object's operations that explains all answers, after Wing and Gong
// ("Testing and Verifying Concurrent Objects", 1993) with Lowe's memory of configurations
// ("Testing for linearizability", 2017), and with savings that keep long histories small:
//
//   - A configuration is the object's state, how far the completions are all explained, and which of the operations
//     open there are: its size is the concurrency's, not the history's. Sets of operations are told apart by
//     a sum of 128 random bits each (Zobrist hashing).
//   - An operation that has no effect is placed as soon as it fits, for that closes no other way.
//   - Pending operations with the same call are one resource, used up from the earliest. A configuration that has used more of it than
//     one that failed fails as well.
//   - A pending operation is placed only right before an operation that needs it.
//   - Of operations with the same call that may come next, only the one that completes first is tried.
type search struct {
	model   Model
	ops     []op    // completed, by invocation
	returns []int32 // ops by completion
	turn    []int32 // in which order operations are tried: as they are ranked, else as they completed
	class   []int32 // equal for operations with the same call
	next    []int32 // ring through the operations not yet placed, by invocation; the last element is its head
	prev    []int32
	placed  []bool
	pending []resource
	states  table[any]
	uses    useTable
	seen    map[config]int32 // -> the latest visit in visits
	visits  []visit
	path    []placement
	stack   []frame
	steps   int
	budget  int

	best  reach // the farthest point
	fresh int   // how much of path is as it was when best was taken
}

// config is where the search can stand, apart from the pending operations that it has used.
type config struct {
	explained int32 // all completions before this one are explained
	state     int32
	open      fingerprint // the operations placed that complete later
}

// fingerprint stands for a set of operations.
type fingerprint struct{ hi, lo uint64 }

// toggle puts operation i in, or takes it out.
func (f fingerprint) toggle(i int32) fingerprint {
	return fingerprint{f.hi ^ mix(uint64(i)<<1+1), f.lo ^ mix(uint64(i)<<1+2)}
}

// mix is the output function of SplitMix64 (Steele, Lea and Flood, 2014).
func mix(x uint64) uint64 {
	x *= 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// visit is one way in which a configuration was reached: what it had used.
type visit struct{ used, earlier int32 }

// placement is an element of the order under construction: a completed operation, or one of a resource.
type placement struct {
	op       int32
	resource bool
}

// frame is a configuration on the way from the start, and which ways on have been tried.
type frame struct {
	config
	used    int32
	placed  int   // length of path on arrival
	tried   int32 // the turn of the last operation that was tried; -1 at first
	detours []detour
	detour  int // the detour being tried; -1 before they were looked for
}

func newSearch(m Model, ops []op) *search {
	s := &search{model: m, seen: make(map[config]int32), visits: make([]visit, 1), uses: newUseTable(), best: reach{explained: -1}}
	resources := make(map[Call]int)
	for _, o := range ops {
		if !o.Pending {
			s.ops = append(s.ops, o)
			continue
		}
		at, known := resources[o.Call]
		if !known {
			at = len(s.pending)
			resources[o.Call] = at
			s.pending = append(s.pending, resource{call: o.Call})
		}
		s.pending[at].spans = append(s.pending[at].spans, o.span)
	}
	n := len(s.ops)
	s.placed = make([]bool, n)
	s.returns, s.next, s.prev = make([]int32, n), make([]int32, n+1), make([]int32, n+1)
	for i := range s.next {
		s.next[i], s.prev[i] = int32((i+1)%(n+1)), int32((i+n)%(n+1))
	}
	for i := range s.returns {
		s.returns[i] = int32(i)
	}
	slices.SortFunc(s.returns, func(a, b int32) int { return cmp.Compare(s.ops[a].ret, s.ops[b].ret) })
	var classes table[Call]
	s.turn, s.class = make([]int32, n), make([]int32, n)
	for i := range s.ops {
		s.class[i] = classes.id(s.ops[i].Call)
	}
	order := slices.Clone(s.returns)
	slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(s.ops[a].rank, s.ops[b].rank) })
	for t, i := range order {
		s.turn[i] = int32(t)
	}
	return s
}

// run goes depth first, with its own stack since histories are long.
func (s *search) run(ctx context.Context) Verdict {
	s.arrive(config{state: s.states.id(s.model.Init)}, 0, 0)
	for turns := 0; len(s.stack) > 0; turns++ {
		f := &s.stack[len(s.stack)-1]
		if int(f.explained) == len(s.ops) {
			return Valid
		}
		if s.steps > s.budget || turns%1024 == 0 && ctx.Err() != nil {
			return Unknown
		}
		if !s.advance(f) {
			s.retreat(f.placed)
			s.stack = s.stack[:len(s.stack)-1]
		}
	}
	return Invalid
}

// advance tries the frame's next way on, and says whether there was one.
func (s *search) advance(f *frame) bool {
	limit := s.ops[s.returns[f.explained]].ret
	for f.detour < 0 {
		i := s.candidate(f.tried, limit)
		if i < 0 {
			f.detours, f.detour = s.detours(f, limit), 0
			break
		}
		f.tried = s.turn[i]
		next, ok := s.model.Step(s.states.values[f.state], s.ops[i].Call)
		if !ok {
			continue
		}
		at := len(s.path)
		s.arrive(s.place(f.config, i, s.states.id(next)), f.used, at)
		return true
	}
	if f.detour == len(f.detours) {
		return false
	}
	d := f.detours[f.detour]
	f.detour++
	at := len(s.path)
	for _, r := range d.by {
		s.path = append(s.path, placement{r, true})
	}
	s.arrive(s.place(f.config, d.op, d.state), d.used, at)
	return true
}

// candidate is the operation that may come next whose turn is the first after that given; -1 if there is none. One with a
// twin is none: in its twin's place it leads nowhere else.
func (s *search) candidate(after, limit int32) int32 {
	best, turn, head := int32(-1), int32(math.MaxInt32), int32(len(s.ops))
	for i := s.next[head]; i != head && s.ops[i].call < limit; i = s.next[i] {
		if t := s.turn[i]; t > after && t < turn && !s.ops[i].Pure && !s.twin(i, limit) {
			best, turn = i, t
		}
	}
	return best
}

// twin says whether an operation with the same call as i may come next as well, and completes before i.
func (s *search) twin(i, limit int32) bool {
	head := int32(len(s.ops))
	for j := s.next[head]; j != head && s.ops[j].call < limit; j = s.next[j] {
		if s.class[j] == s.class[i] && s.ops[j].ret < s.ops[i].ret {
			return true
		}
	}
	return false
}

// place puts operation i next and gives the configuration after it.
func (s *search) place(c config, i, state int32) config {
	s.next[s.prev[i]], s.prev[s.next[i]] = s.next[i], s.prev[i]
	s.placed[i] = true
	s.path = append(s.path, placement{op: i})
	c.state, c.open = state, c.open.toggle(i)
	for int(c.explained) < len(s.returns) && s.placed[s.returns[c.explained]] {
		c.open = c.open.toggle(s.returns[c.explained])
		c.explained++
	}
	return c
}

// retreat takes back what was placed since path had length n.
func (s *search) retreat(n int) {
	for k := len(s.path) - 1; k >= n; k-- {
		if i := s.path[k].op; !s.path[k].resource {
			s.next[s.prev[i]], s.prev[s.next[i]] = i, i
			s.placed[i] = false
		}
	}
	s.path = s.path[:n]
	s.fresh = min(s.fresh, n)
}

// arrive enters a configuration, unless nothing can come of it that did not come of an earlier one. The path had
// length placed before.
func (s *search) arrive(c config, used int32, placed int) {
	s.steps += visitSteps
	c = s.placePure(c)
	if s.visited(c, used) {
		s.retreat(placed)
		return
	}
	s.stack = append(s.stack, frame{config: c, used: used, placed: placed, tried: -1, detour: -1})
	if c.explained < s.best.explained {
		return
	}
	farther := c.explained > s.best.explained
	if farther {
		s.best.explained, s.best.states = c.explained, s.best.states[:0]
	}
	if !slices.Contains(s.best.states, c.state) {
		s.best.states = append(s.best.states, c.state)
	}
	if farther || len(s.path) > len(s.best.path) {
		s.best.path = append(s.best.path[:s.fresh], s.path[s.fresh:]...)
		s.fresh = len(s.path)
	}
}

// placePure places the operations without effect that fit as things stand.
func (s *search) placePure(c config) config {
	state, head := s.states.values[c.state], int32(len(s.ops))
	for i := s.next[head]; i != head && int(c.explained) < len(s.ops); i = s.next[i] {
		if s.ops[i].call > s.ops[s.returns[c.explained]].ret {
			break
		}
		if s.ops[i].Pure {
			if _, ok := s.model.Step(state, s.ops[i].Call); ok {
				c = s.place(c, i, c.state)
			}
		}
	}
	return c
}

// visited remembers the configuration, and says whether it was seen before with no more used.
func (s *search) visited(c config, used int32) bool {
	latest := s.seen[c]
	for v := latest; v != 0; v = s.visits[v].earlier {
		s.steps++
		if s.uses.within(s.visits[v].used, used) {
			return true
		}
	}
	s.seen[c] = int32(len(s.visits))
	s.visits = append(s.visits, visit{used, latest})
	return false
}
