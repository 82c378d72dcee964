package checker

import (
	"fmt"
	"slices"
	"strings"
)

// maxTried is how many links of a tangle are tried for the shortest cycle through each; maxProof how many sentences prove one.
const (
	maxTried = 64
	maxProof = 40
)

// cycle adds the shortest cycle that it finds among the accesses that are stuck, with a proof of each link on it.
func (b *breaches) cycle(p *precedence, stuck []int32, kind string) {
	if !b.wants(kind) {
		return
	}
	core := p.core(stuck)
	var best []int32
	tried := 0
	for _, l := range p.links { // every cycle has a link
		if !core[l.from] || !core[l.to] || best != nil && tried >= maxTried {
			continue
		}
		tried++
		if back := p.path(l.to, l.from, noRound, core); back != nil && (best == nil || len(back) < len(best)) {
			best = back
		}
	}
	best = p.shorten(append(best, best[0]))
	proof := &proof{precedence: p, told: make(map[link]bool), shown: make(map[int32]bool)}
	proof.tellWay(best)
	wrong := best[0]
	for _, i := range best {
		if !p.all[i].write {
			wrong = i
		}
	}
	places := make([]int32, 0, len(proof.shown))
	for i := range proof.shown {
		if i != wrong {
			places = append(places, i)
		}
	}
	slices.Sort(places)
	ops := p.operations(append(places, wrong)...)
	b.put(kind, ops, proof.steps, p.circular(best))
}

// core is what is on cycles or between them: of the accesses that are stuck those that have something stuck behind them, and so on.
func (p *precedence) core(stuck []int32) map[int32]bool {
	core := make(map[int32]bool, len(stuck))
	for _, i := range stuck {
		core[i] = true
	}
	behind, before := make(map[int32]int, len(stuck)), make(map[int32][]int32, len(stuck))
	var ends []int32
	for _, i := range stuck {
		p.after(i, noRound, func(next int32) bool {
			if core[next] {
				behind[i]++
				before[next] = append(before[next], i)
			}
			return true
		})
		if behind[i] == 0 {
			ends = append(ends, i)
		}
	}
	for len(ends) > 0 {
		end := ends[len(ends)-1]
		ends = ends[:len(ends)-1]
		delete(core, end)
		for _, i := range before[end] {
			if behind[i]--; behind[i] == 0 {
				ends = append(ends, i)
			}
		}
	}
	return core
}

// circular says of a cycle that it is one.
func (p *precedence) circular(way []int32) string {
	last := len(way) - 2
	s := fmt.Sprintf("What was read contradicts itself: %s has to come before %s", p.name(way[0]), p.name(way[1]))
	for k := 1; k < last; k++ {
		s += fmt.Sprintf(", that before %s", p.name(way[k+1]))
	}
	return fmt.Sprintf("%s, and that before %s.", s, p.name(way[0]))
}

// shorten leaves out of a way what only lies between two accesses of the same process.
func (p *precedence) shorten(way []int32) []int32 {
	short := way[:1:1]
	for k := 1; k < len(way); k++ {
		last := k == len(way)-1
		if last || !p.inOrder(short[len(short)-1], way[k]) || !p.inOrder(way[k], way[k+1]) {
			short = append(short, way[k])
		}
	}
	return short
}

// inOrder says whether a stands before b in one process.
func (p *precedence) inOrder(a, b int32) bool {
	return p.all[a].process == p.all[b].process && p.place[a] < p.place[b]
}

// narrate tells a way without links in sentences.
func (p *precedence) narrate(way []int32) []string {
	steps := []string{p.tell(way[0], "")}
	for k := 1; k < len(way); k++ {
		lead := "Process %d went on: "
		if a, b := p.all[way[k-1]], p.all[way[k]]; !b.write && b.source == way[k-1] && a.process != b.process {
			lead = "Process %d saw that: "
		}
		steps = append(steps, p.tell(way[k], fmt.Sprintf(lead, p.h[p.all[way[k]].call].Process)))
	}
	return steps
}

// proof tells why each step of a way holds, those first on which others rest.
type proof struct {
	*precedence
	told  map[link]bool
	shown map[int32]bool // accesses that were mentioned
	steps []string
}

func (p *proof) tellWay(way []int32) {
	p.shown[way[0]] = true
	for k := 1; k < len(way); k++ {
		p.tellStep(way[k-1], way[k])
	}
}

func (p *proof) tellStep(a, b int32) {
	p.shown[b] = true
	switch x := p.all[b]; {
	case len(p.steps) >= maxProof:
	case p.inOrder(a, b):
		p.say("process %d made its %s before its %s.", p.h[x.call].Process, p.what(a), p.what(b))
	case !x.write && x.source == a:
		p.say("%s comes before %s, which saw it.", p.name(a), p.name(b))
	default:
		for _, k := range p.from[a] {
			if l := p.links[k]; l.to == b {
				p.tellLink(l)
				return
			}
		}
	}
}

// tellLink proves a link: first the way that it rests on, then what follows from the read.
func (p *proof) tellLink(l link) {
	if p.told[l] {
		return
	}
	p.told[l] = true
	if l.read == l.from { // it saw a write that another one follows
		if source := p.all[l.read].source; source != initial {
			p.tellWay(p.shorten(p.path(source, l.to, l.round, nil)))
			p.say("so %s comes before %s, which overwrote what it saw.", p.name(l.read), p.name(l.to))
			return
		}
		p.say("%s saw the initial value, so it comes before %s.", p.name(l.read), p.name(l.to))
		return
	}
	p.tellWay(p.shorten(p.path(l.from, l.read, l.round, nil)))
	p.say("but that read saw the write of %s, so %s comes before %s.", p.value(p.all[l.to]), p.name(l.from), p.name(l.to))
}

// say adds a sentence, once.
func (p *proof) say(format string, args ...any) {
	s := capital(fmt.Sprintf(format, args...))
	if !slices.Contains(p.steps, s) {
		p.steps = append(p.steps, s)
	}
}

// capital begins a sentence.
func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
