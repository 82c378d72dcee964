package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"rift/checker"
)

// tally is what a search has found so far.
type tally struct {
	began          time.Time
	wall           time.Duration
	seeds          int
	valid, unknown int
	interrupted    int
	operations     int
	virtual        time.Duration
	groups         map[string]*failures // by what broke
	nothing        map[string]*failures // seeds that proved nothing, by the reason
	assertions     map[string]int       // how often each was checked
	situations     map[string]int       // in how many seeds each was met
}

// failures are the seeds that failed in the same way.
type failures struct {
	what  string
	seeds int
	first seedResult // of the lowest seed
}

func newTally() *tally {
	return &tally{
		began: time.Now(), groups: make(map[string]*failures), nothing: make(map[string]*failures),
		assertions: make(map[string]int), situations: make(map[string]int),
	}
}

// add counts a seed's result, in whatever order they come.
func (t *tally) add(r seedResult) {
	t.seeds++
	t.operations += r.Operations
	t.virtual += r.Virtual
	for name, n := range r.Assertions {
		t.assertions[name] += n
	}
	for name := range r.Situations {
		t.situations[name]++
	}
	switch {
	case r.failed():
		join(t.groups, strings.Join(r.Broke, " + "), r)
	case r.Interrupted:
		t.interrupted++
	case r.Verdict == checker.Valid:
		t.valid++
	default:
		t.unknown++
		join(t.nothing, r.Reason, r)
	}
}

func join(groups map[string]*failures, what string, r seedResult) {
	g := groups[what]
	if g == nil {
		g = &failures{what: what, first: r}
		groups[what] = g
	}
	g.seeds++
	if r.Seed < g.first.Seed {
		g.first = r
	}
}

// failed is how many seeds failed.
func (t *tally) failed() (n int) {
	for _, g := range t.groups {
		n += g.seeds
	}
	return n
}

// line is the search so far, in a line.
func (t *tally) line(total int64, took time.Duration) string {
	return fmt.Sprintf("%d of %d seeds (%.0f a minute): %s", t.seeds, total, float64(t.seeds)/took.Minutes(), t.outcomes())
}

func (t *tally) outcomes() string {
	s := fmt.Sprintf("%d valid, %d failed", t.valid, t.failed())
	if t.unknown > 0 {
		s += fmt.Sprintf(", %d proved nothing", t.unknown)
	}
	if t.interrupted > 0 {
		s += fmt.Sprintf(", %d interrupted", t.interrupted)
	}
	return s
}

// write writes what a search has found, and what it has put to the test.
func (t *tally) write(out io.Writer) error {
	fmt.Fprintf(out, "%d seeds in %s (%.1f a minute), %.0f virtual seconds, %d operations: %s\n", t.seeds, t.wall.Round(100*time.Millisecond),
		float64(t.seeds)/t.wall.Minutes(), t.virtual.Seconds(), t.operations, t.outcomes())
	for _, g := range ordered(t.groups) {
		fmt.Fprintf(out, "\n%s\n  seeds   %d, the first is %d\n  reason  %s\n", g.what, g.seeds, g.first.Seed, g.first.Reason)
		if g.first.Dir != "" {
			fmt.Fprintf(out, "  folder  %s\n", g.first.Dir)
		}
		if g.first.Command != "" {
			fmt.Fprintf(out, "  again   %s\n", g.first.Command)
		}
	}
	for _, g := range ordered(t.nothing) {
		fmt.Fprintf(out, "\nproved nothing\n  seeds   %d, the first is %d\n  reason  %s\n", g.seeds, g.first.Seed, g.first.Reason)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	t.writeCounts(w, "\nassertion\tchecked", checker.Assertions(), t.assertions)
	t.writeCounts(w, "\nsituation\tmet in seeds", checker.Situations(), t.situations)
	return w.Flush()
}

// writeCounts writes a table of what there could be, the most frequent first, and at its end what there never was.
func (t *tally) writeCounts(out io.Writer, head string, names []string, counts map[string]int) {
	fmt.Fprintln(out, head)
	slices.SortStableFunc(names, func(a, b string) int { return counts[b] - counts[a] })
	for _, name := range names {
		n := fmt.Sprint(counts[name])
		if counts[name] == 0 {
			n = "never"
		}
		fmt.Fprintf(out, "%s\t%s\n", name, n)
	}
}

// ordered are groups, the largest first.
func ordered(groups map[string]*failures) []*failures {
	return slices.SortedFunc(maps.Values(groups), func(a, b *failures) int {
		return cmp.Or(cmp.Compare(b.seeds, a.seeds), cmp.Compare(a.first.Seed, b.first.Seed))
	})
}
