package gen

import (
	"slices"

	"rift/harness/history"
)

// Reserve gives the first n workers one stream and the others another.
func Reserve(n int, first, rest Generator) Generator {
	return split{[]Generator{first, rest}, func(c Context) int {
		if c.Worker < n {
			return 0
		}
		return 1
	}, nil}
}

// EachWorker gives every worker a copy of the stream.
func EachWorker(workers int, g Generator) Generator {
	parts := slices.Repeat([]Generator{g}, workers)
	return split{parts, func(c Context) int { return c.Worker }, nil}
}

// PerKey has groups of workers work on keys of their own, one key after the other: keys(i) gives the i-th key's
// stream, which ends when the key has had enough. Group g of n works on the keys g, g+n, g+2n, ... The workers are divided evenly.
func PerKey(groups int, keys func(i int) Generator) Generator {
	parts := make([]Generator, groups)
	for g := range parts {
		parts[g] = rotation{keys, g, groups, keys(g)}
	}
	return split{parts, func(c Context) int { return c.Worker * groups / max(c.Workers, groups) }, nil}
}

// split gives each worker one of several streams, and remembers which worker has an operation of which.
type split struct {
	parts []Generator
	of    func(c Context) int
	asked []int // worker -> the part that gave its last operation
}

func (s split) Next(c Context) (Step, Generator) {
	k := s.of(c)
	step, rest := s.parts[k].Next(c)
	s.parts = slices.Clone(s.parts)
	s.parts[k] = rest
	if c.Worker >= len(s.asked) {
		s.asked = append(slices.Clone(s.asked), make([]int, c.Worker+1-len(s.asked))...)
	}
	if s.asked[c.Worker] != k {
		s.asked = slices.Clone(s.asked)
		s.asked[c.Worker] = k
	}
	return step, s
}

func (s split) Observe(worker int, ended history.Type) Generator {
	k := s.asked[worker]
	next := Observe(s.parts[k], worker, ended)
	s.parts = slices.Clone(s.parts)
	s.parts[k] = next
	return s
}

// rotation goes from key to key.
type rotation struct {
	keys  func(i int) Generator
	i     int
	step  int
	inner Generator
}

func (r rotation) Next(c Context) (Step, Generator) {
	s, rest := r.inner.Next(c)
	if s.Status != Done {
		r.inner = rest
		return s, r
	}
	r.i += r.step
	r.inner = r.keys(r.i)
	s, r.inner = r.inner.Next(c)
	return s, r
}

// UntilOK gives each operation once, and again, up to attempts times in all, if it did not end ok.
func UntilOK(attempts int, ops ...Op) Generator {
	return retry{ops: ops, attempts: attempts}
}

type retry struct {
	ops      []Op
	attempts int
	next     int
	again    []attempt // failed ones, to be given again
	open     []held
}

type attempt struct{ op, tries int }

type held struct {
	worker int
	attempt
}

func (r retry) Next(c Context) (Step, Generator) {
	var a attempt
	switch {
	case len(r.again) > 0:
		a = r.again[0]
		r.again = r.again[1:]
	case r.next < len(r.ops):
		a = attempt{op: r.next}
		r.next++
	case len(r.open) > 0:
		return Step{Status: Wait}, r
	default:
		return Step{}, r
	}
	a.tries++
	r.open = append(slices.Clone(r.open), held{c.Worker, a})
	return Step{Status: Ready, Op: r.ops[a.op]}, r
}

func (r retry) Observe(worker int, ended history.Type) Generator {
	i := slices.IndexFunc(r.open, func(h held) bool { return h.worker == worker })
	if i < 0 {
		return r
	}
	a := r.open[i].attempt
	r.open = slices.Delete(slices.Clone(r.open), i, i+1)
	if ended != history.OK && a.tries < r.attempts {
		r.again = append(slices.Clone(r.again), a)
	}
	return r
}
