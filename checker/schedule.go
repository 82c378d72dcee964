package checker

import (
	"cmp"
	"context"
	"slices"
)

// schedule builds an order of all accesses that explains the reads and respects all links. A read whose write was the last
// one to its key is placed at once, since that never does harm. A write may be placed when nobody has yet to read what it overwrites; where there is a
// choice, the earliest completion goes first. Choices are taken back, and positions of the processes that led nowhere are remembered.
// Invalid means that every choice was tried.
func (p *precedence) schedule(ctx context.Context, budget int) (*scheduler, Verdict) {
	s := &scheduler{
		precedence: p, next: make([]int32, len(p.sequences)), holds: make([]int32, len(p.keys)), left: make([]int32, len(p.all)),
		early: make([]int32, len(p.keys)), waits: make([]int32, len(p.all)), dead: make(map[fingerprint]bool), most: -1,
	}
	for k := range s.holds {
		s.holds[k] = initial
	}
	for _, x := range p.all {
		switch {
		case x.write:
		case x.source == initial:
			s.early[x.key]++
		default:
			s.left[x.source]++
		}
	}
	for _, l := range p.links {
		s.waits[l.to]++
	}
	return s, s.run(ctx, budget)
}

// scheduler is an order that is being built.
type scheduler struct {
	*precedence
	next   []int32 // process -> how many of its accesses are placed
	holds  []int32 // key -> the write that was placed last, or initial
	left   []int32 // write -> how many of its reads are not placed
	early  []int32 // key -> how many reads of the initial value are not placed
	waits  []int32 // access -> how many links to it come from accesses that are not placed
	trail  []placed
	state  fingerprint          // of what is placed and what the keys hold
	dead   map[fingerprint]bool // states from which no order goes on
	choice []choice
	steps  int
	most   int     // the length of the longest order so far
	stuck  []int32 // what could come next there, and does not fit
}

// placed is an access in the order, with what its key held before.
type placed struct{ access, held int32 }

// choice is a moment at which several writes might come next.
type choice struct {
	trail   int     // its length then
	options []int32 // processes whose write has not been tried, the best last
	state   fingerprint
}

func (s *scheduler) run(ctx context.Context, budget int) Verdict {
	const contextEvery = 1 << 14
	for {
		s.placeReads()
		s.steps++
		switch {
		case len(s.trail) == len(s.all):
			return Valid
		case s.steps > budget || s.steps%contextEvery == 0 && ctx.Err() != nil:
			return Unknown
		}
		if !s.dead[s.state] {
			c := choice{trail: len(s.trail), options: s.options(), state: s.state}
			if len(c.options) == 0 && c.trail > s.most {
				s.most, s.stuck = c.trail, s.upcoming()
			}
			s.choice = append(s.choice, c)
		}
		if !s.goOn() {
			return Invalid
		}
	}
}

// placeReads places every read that can be, of all processes.
func (s *scheduler) placeReads() {
	for again := true; again; {
		again = false
		for process, sequence := range s.sequences {
			for int(s.next[process]) < len(sequence) {
				i := sequence[s.next[process]]
				if x := s.all[i]; x.write || x.source != s.holds[x.key] || s.waits[i] > 0 {
					break
				}
				s.place(i)
				again = true
			}
		}
	}
}

// options are the processes whose next access is a write that may be placed, the best last.
func (s *scheduler) options() []int32 {
	var options []int32
	for process, sequence := range s.sequences {
		if int(s.next[process]) == len(sequence) {
			continue
		}
		i := sequence[s.next[process]]
		if x := s.all[i]; x.write && s.waits[i] == 0 && s.free(x.key) {
			options = append(options, int32(process))
		}
	}
	ret := func(process int32) int32 { return s.all[s.sequences[process][s.next[process]]].ret }
	slices.SortStableFunc(options, func(a, b int32) int { return cmp.Compare(ret(b), ret(a)) })
	return options
}

// upcoming is the next access of each process that has one.
func (s *scheduler) upcoming() (next []int32) {
	for process, sequence := range s.sequences {
		if n := s.next[process]; int(n) < len(sequence) {
			next = append(next, sequence[n])
		}
	}
	return next
}

// free says whether nobody has yet to read what the key holds.
func (s *scheduler) free(key int32) bool {
	if w := s.holds[key]; w != initial {
		return s.left[w] == 0
	}
	return s.early[key] == 0
}

// goOn places the best write of the latest choice that has one left. False if there is none.
func (s *scheduler) goOn() bool {
	for n := len(s.choice); n > 0; n = len(s.choice) {
		c := &s.choice[n-1]
		s.takeBack(c.trail)
		if k := len(c.options); k > 0 {
			process := c.options[k-1]
			c.options = c.options[:k-1]
			s.place(s.sequences[process][s.next[process]])
			return true
		}
		s.dead[c.state] = true
		s.choice = s.choice[:n-1]
	}
	return false
}

func (s *scheduler) place(i int32) {
	x := s.all[i]
	s.trail = append(s.trail, placed{i, s.holds[x.key]})
	s.next[x.process]++
	s.count(x, -1)
	s.state = s.state.toggle(i)
	if x.write {
		s.hold(x.key, i)
	}
	for _, l := range s.from[i] {
		s.waits[s.links[l].to]--
	}
}

// takeBack shortens the order to n accesses.
func (s *scheduler) takeBack(n int) {
	for k := len(s.trail) - 1; k >= n; k-- {
		t := s.trail[k]
		x := s.all[t.access]
		s.next[x.process]--
		s.count(x, 1)
		s.state = s.state.toggle(t.access)
		s.hold(x.key, t.held)
		for _, l := range s.from[t.access] {
			s.waits[s.links[l].to]++
		}
	}
	s.trail = s.trail[:n]
}

// count keeps the number of reads that are not placed.
func (s *scheduler) count(x access, by int32) {
	switch {
	case x.write:
	case x.source == initial:
		s.early[x.key] += by
	default:
		s.left[x.source] += by
	}
}

// hold has the key hold a write, or initial.
func (s *scheduler) hold(key, write int32) {
	for _, w := range []int32{s.holds[key], write} {
		if w != initial {
			s.state = s.state.toggle(-2 - w)
		}
	}
	s.holds[key] = write
}
