package gen

import (
	"math"
	"time"

	"rift/harness/history"
)

// Func is an endless stream: its i-th operation is f(i). f must be pure.
func Func(f func(i int) Op) Generator { return function{f, 0} }

type function struct {
	f func(i int) Op
	i int
}

func (g function) Next(Context) (Step, Generator) {
	return Step{Status: Ready, Op: g.f(g.i)}, function{g.f, g.i + 1}
}

// Limit ends a stream after n operations.
func Limit(n int, g Generator) Generator { return limit{n, g} }

type limit struct {
	left int
	g    Generator
}

func (l limit) Next(c Context) (Step, Generator) {
	if l.left <= 0 {
		return Step{}, l
	}
	s, rest := l.g.Next(c)
	left := l.left
	if s.Status == Ready {
		left--
	}
	return s, limit{left, rest}
}

func (l limit) Observe(worker int, ended history.Type) Generator {
	return limit{l.left, Observe(l.g, worker, ended)}
}

// Until ends a stream at a time of the phase. An operation that would start later is not given.
func Until(end time.Duration, g Generator) Generator { return until{end, g} }

type until struct {
	end time.Duration
	g   Generator
}

func (u until) Next(c Context) (Step, Generator) {
	if c.Time >= u.end {
		return Step{}, u
	}
	s, rest := u.g.Next(c)
	if s.Status == Ready && s.At >= u.end {
		return Step{}, until{0, rest}
	}
	return s, until{u.end, rest}
}

// Rest is what a stream that Until has ended goes on with; any other stream is its own rest.
func Rest(g Generator) Generator {
	if u, ok := g.(until); ok {
		return u.g
	}
	return g
}

func (u until) Observe(worker int, ended history.Type) Generator {
	return until{u.end, Observe(u.g, worker, ended)}
}

// After gives nothing before a time of the phase.
func After(start time.Duration, g Generator) Generator { return after{start, g} }

type after struct {
	start time.Duration
	g     Generator
}

func (a after) Next(c Context) (Step, Generator) {
	s, rest := a.g.Next(c)
	s.At = max(s.At, a.start)
	return s, after{a.start, rest}
}

func (a after) Observe(worker int, ended history.Type) Generator {
	return after{a.start, Observe(a.g, worker, ended)}
}

// Mix gives each operation from one of several streams, drawn with the streams' weights. The streams must give an
// operation whenever they are asked; when the drawn one is done, so is the mix.
func Mix(seed int64, parts ...Weighted) Generator {
	total := 0
	for _, p := range parts {
		total += p.Weight
	}
	return mix{seed, 0, total, parts}
}

// Weighted is a stream and how often it is drawn, in proportion to the other weights.
type Weighted struct {
	Weight int
	Generator
}

type mix struct {
	seed  int64
	i     int
	total int
	parts []Weighted
}

func (m mix) Next(c Context) (Step, Generator) {
	x := Below(Draw(m.seed, m.i), m.total)
	k := 0
	for x >= m.parts[k].Weight {
		x -= m.parts[k].Weight
		k++
	}
	s, rest := m.parts[k].Next(c)
	parts := append([]Weighted(nil), m.parts...)
	parts[k].Generator = rest
	return s, mix{m.seed, m.i + 1, m.total, parts}
}

// Stagger gives a stream's operations times of their own: a Poisson process of rate operations a second over all
// workers. The times are absolute, so a system that answers slowly meets the same load as one that answers fast.
func Stagger(seed int64, rate float64, g Generator) Generator {
	return stagger{seed: seed, rate: rate, g: g}
}

type stagger struct {
	seed int64
	rate float64
	i    int
	at   time.Duration
	g    Generator
}

func (t stagger) Next(c Context) (Step, Generator) {
	s, rest := t.g.Next(c)
	t.g = rest
	if s.Status != Ready {
		return s, t
	}
	uniform := (float64(Draw(t.seed, t.i)>>11) + 0.5) / (1 << 53)
	t.at += time.Duration(-math.Log(uniform) / t.rate * float64(time.Second))
	t.i++
	s.At = max(s.At, t.at)
	return s, t
}

func (t stagger) Observe(worker int, ended history.Type) Generator {
	t.g = Observe(t.g, worker, ended)
	return t
}

// Phases gives one stream after the other. The next begins when the earlier one is done for every worker and no
// operation is open.
func Phases(phases ...Generator) Generator { return sequence{phases} }

type sequence struct{ phases []Generator }

func (q sequence) Next(c Context) (Step, Generator) {
	if len(q.phases) == 0 {
		return Step{}, q
	}
	s, rest := q.phases[0].Next(c)
	if s.Status != Done {
		return s, q.with(rest)
	}
	if len(q.phases) == 1 {
		return s, q.with(rest)
	}
	if c.Busy > 0 || !doneForAll(rest, c) {
		return Step{Status: Wait}, q.with(rest)
	}
	return sequence{q.phases[1:]}.Next(c)
}

// doneForAll asks on behalf of every worker, which is free of effects.
func doneForAll(g Generator, c Context) bool {
	for c.Worker = range c.Workers {
		if s, _ := g.Next(c); s.Status != Done {
			return false
		}
	}
	return true
}

func (q sequence) with(first Generator) sequence {
	return sequence{append([]Generator{first}, q.phases[1:]...)}
}

func (q sequence) Observe(worker int, ended history.Type) Generator {
	if len(q.phases) == 0 {
		return q
	}
	return q.with(Observe(q.phases[0], worker, ended))
}
