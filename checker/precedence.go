package checker

import (
	"slices"
	"sort"
)

// precedence is what must come before what among accesses: each process's accesses in its order, a write before the reads that saw it, and
// the links that were derived from these. It is kept as vector clocks (Fidge 1988, Mattern 1989): since each process's accesses
// are a chain, what precedes an access is told by one number for each process.
type precedence struct {
	*accesses
	place   []int32    // access -> its place in its process's sequence, from 1
	readers [][]int32  // write -> the reads that saw it
	writers [][]writer // key -> who wrote to it
	links   []link
	linked  map[[2]int32]bool // the ends of the links
	from    map[int32][]int32 // access -> the links from it, by their places
	clocks  []int32           // access and process -> how many of the process's accesses precede it or are it
}

// writer is a process's writes to one key, in its order.
type writer struct {
	process int32
	writes  []int32
}

// link is a derived edge: with the write w whose value the read saw, either from another write to the key that precedes the read, to w;
// or from the read to a write that w precedes.
type link struct {
	from, to int32
	read     int32
	round    int // in which it was derived, from 1
}

// maxClocks bounds the vector clocks: half a gigabyte.
const maxClocks = 1 << 27

// newPrecedence gives the order without derived links. False if its clocks would not fit into maxClocks.
func newPrecedence(a *accesses) (*precedence, bool) {
	size := len(a.all) * len(a.sequences)
	if size > maxClocks {
		return nil, false
	}
	p := &precedence{
		accesses: a, place: make([]int32, len(a.all)), readers: make([][]int32, len(a.all)), writers: make([][]writer, len(a.keys)),
		linked: make(map[[2]int32]bool), from: make(map[int32][]int32), clocks: make([]int32, size),
	}
	for process, sequence := range a.sequences {
		for k, i := range sequence {
			x := a.all[i]
			p.place[i] = int32(k + 1)
			if !x.write {
				continue
			}
			of := &p.writers[x.key]
			if n := len(*of); n == 0 || (*of)[n-1].process != int32(process) {
				*of = append(*of, writer{process: int32(process)})
			}
			last := &(*of)[len(*of)-1]
			last.writes = append(last.writes, i)
		}
	}
	for i, x := range a.all {
		if !x.write && x.source != initial {
			p.readers[x.source] = append(p.readers[x.source], int32(i))
		}
	}
	return p, true
}

// clock is the access's vector clock.
func (p *precedence) clock(i int32) []int32 {
	n := len(p.sequences)
	return p.clocks[int(i)*n : (int(i)+1)*n]
}

// precedes says whether a comes before b, or is it.
func (p *precedence) precedes(a, b int32) bool {
	return p.clock(b)[p.all[a].process] >= p.place[a]
}

// after visits what an access directly precedes by the links of rounds before the given one. The visit ends when f gives false.
func (p *precedence) after(i int32, round int, f func(next int32) bool) {
	x := p.all[i]
	if s := p.sequences[x.process]; int(p.place[i]) < len(s) && !f(s[p.place[i]]) {
		return
	}
	for _, r := range p.readers[i] {
		if !f(r) {
			return
		}
	}
	for _, l := range p.from[i] {
		if p.links[l].round < round && !f(p.links[l].to) {
			return
		}
	}
}

// noRound is later than every round.
const noRound = 1 << 30

// settle works out the clocks in an order that respects all links, and gives the accesses that are on a cycle or behind one: none
// if the order is sound. It takes O(processes) for each access and link.
func (p *precedence) settle() (stuck []int32) {
	waits := make([]int32, len(p.all)) // for how many direct predecessors
	for i := range p.all {
		p.after(int32(i), noRound, func(next int32) bool { waits[next]++; return true })
	}
	clear(p.clocks)
	var ready []int32
	for i, n := range waits {
		if n == 0 {
			ready = append(ready, int32(i))
		}
	}
	settled := 0
	for ; len(ready) > 0; settled++ {
		i := ready[len(ready)-1]
		ready = ready[:len(ready)-1]
		own := p.clock(i)
		own[p.all[i].process] = p.place[i]
		p.after(i, noRound, func(next int32) bool {
			merged := p.clock(next)
			for k, n := range own {
				merged[k] = max(merged[k], n)
			}
			if waits[next]--; waits[next] == 0 {
				ready = append(ready, next)
			}
			return true
		})
	}
	if settled == len(p.all) {
		return nil
	}
	for i, n := range waits {
		if n > 0 {
			stuck = append(stuck, int32(i))
		}
	}
	return stuck
}

// link adds a derived link, unless it says nothing new.
func (p *precedence) link(l link) {
	if ends := [2]int32{l.from, l.to}; l.from != l.to && !p.linked[ends] && !p.precedes(l.from, l.to) {
		p.linked[ends] = true
		p.from[l.from] = append(p.from[l.from], int32(len(p.links)))
		p.links = append(p.links, l)
	}
}

// rivals visits, for each process that wrote to the read's key, the last of its writes that precedes the read, if that is not the one that was read. Its
// earlier ones precede that one.
func (p *precedence) rivals(read int32, f func(write int32)) {
	x := p.all[read]
	clock := p.clock(read)
	for _, w := range p.writers[x.key] {
		seen := clock[w.process]
		n := sort.Search(len(w.writes), func(k int) bool { return p.place[w.writes[k]] > seen })
		if n > 0 && w.writes[n-1] != x.source {
			f(w.writes[n-1])
		}
	}
}

// successors visits, for each process that wrote to the read's key, the first of its writes that the write which was read precedes.
func (p *precedence) successors(read int32, f func(write int32)) {
	x := p.all[read]
	for _, w := range p.writers[x.key] {
		n := 0
		if x.source != initial {
			n = sort.Search(len(w.writes), func(k int) bool { return w.writes[k] != x.source && p.precedes(x.source, w.writes[k]) })
		}
		if n < len(w.writes) {
			f(w.writes[n])
		}
	}
}

// path is the shortest way from a to b along direct predecessors, within a set if one is given, with both its ends; nil if there is none. If a is b,
// it is a cycle.
func (p *precedence) path(a, b int32, round int, within map[int32]bool) []int32 {
	came := make(map[int32]int32)
	for queue := []int32{a}; len(queue) > 0; queue = queue[1:] {
		i, found := queue[0], false
		p.after(i, round, func(next int32) bool {
			if _, known := came[next]; !known && (within == nil || within[next]) {
				came[next] = i
				queue = append(queue, next)
			}
			found = next == b
			return !found
		})
		if found {
			way := []int32{b}
			for at := came[b]; at != a; at = came[at] {
				way = append(way, at)
			}
			way = append(way, a)
			slices.Reverse(way)
			return way
		}
	}
	return nil
}
