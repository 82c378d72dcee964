package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
)

// searchOptions are the flags of a search over seeds.
type searchOptions struct {
	seeds     string
	jobs      int
	keepGoing bool
	keep      bool
	giveUp    time.Duration
	worker    bool
}

// mostJobs bounds how many worlds go on side by side; each takes some hundred megabytes.
const mostJobs = 64

func (o *searchOptions) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.seeds, "seeds", "", "search these seeds, as in 1..1000, for one that fails; without --nemesis and --plan each has faults of its own (--swarm)")
	f.IntVar(&o.jobs, "jobs", 1, "worlds that go on side by side in a search, each in a process of its own")
	f.BoolVar(&o.keepGoing, "keep-going", false, "do not end a search at the first seed that fails, and group the failures by what broke")
	f.BoolVar(&o.keep, "keep", false, "keep the folders of all runs of a search, not only of those that fail")
	f.DurationVar(&o.giveUp, "give-up", 5*time.Minute, "wall time after which a run of a search is given up as hung")
	f.BoolVar(&o.worker, "worker", false, "make the runs of the seeds that come on standard input")
	_ = f.MarkHidden("worker") // it is there
}

// seedRange is the seeds of a search, both ends included.
type seedRange struct{ first, last int64 }

// parseSeeds reads seeds of the form 7 or 1..100.
func parseSeeds(s string) (r seedRange, err error) {
	from, to, ok := strings.Cut(s, "..")
	if !ok {
		to = from
	}
	r.first, err = strconv.ParseInt(from, 10, 64)
	if err == nil {
		r.last, err = strconv.ParseInt(to, 10, 64)
	}
	if err != nil || r.last < r.first {
		return r, usagef("--seeds: %q given, a seed or a range such as 1..1000 allowed", s)
	}
	return r, nil
}

func (o searchOptions) check() error {
	switch {
	case o.jobs < 1 || o.jobs > mostJobs:
		return usagef("--jobs: %d given, 1 to %d allowed", o.jobs, mostJobs)
	case o.giveUp <= 0:
		return usagef("--give-up: %s given, more than 0 allowed", o.giveUp)
	}
	return nil
}

// search makes the runs of many seeds, and tells what broke.
func (a *app) search(ctx context.Context, o simOptions) error {
	seeds, err := parseSeeds(o.search.seeds)
	if err != nil {
		return err
	}
	if _, err := o.test.lookUp(); err != nil { // before any worker says it
		return err
	}
	progress := newSearchProgress(a.err, seeds.last-seeds.first+1)
	found := newTally()
	err = eachSeed(ctx, a.args, o.search, seeds, func(r seedResult) (goOn bool) {
		found.add(r)
		progress.show(found)
		return !r.failed() || o.search.keepGoing
	})
	progress.end()
	if err != nil {
		return err
	}
	found.wall = time.Since(found.began)
	if err := found.write(a.out); err != nil {
		return err
	}
	switch {
	case len(found.groups) > 0:
		a.exit = exitInvalid
	case found.valid == 0 || ctx.Err() != nil:
		a.exit = exitUnknown
	}
	return nil
}

// eachSeed has workers make the runs of seeds, and hands on each result as it comes, until no seed is left, or it is not to go on; what is under way then is
// waited for and handed on too. A worker that broke down or hung is replaced.
func eachSeed(ctx context.Context, args []string, o searchOptions, seeds seedRange, take func(seedResult) (goOn bool)) error {
	q := &seedQueue{next: seeds.first, last: seeds.last, take: take}
	failed := make([]error, o.jobs)
	var working sync.WaitGroup
	for i := range failed {
		working.Go(func() { failed[i] = q.workThrough(ctx, args, o.giveUp) })
	}
	working.Wait()
	return errors.Join(failed...)
}

// seedQueue gives seeds to several workers, and takes their results.
type seedQueue struct {
	mu         sync.Mutex
	next, last int64
	enough     bool
	take       func(seedResult) (goOn bool)
}

func (q *seedQueue) pull() (seed int64, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.enough || q.next > q.last {
		return 0, false
	}
	q.next++
	return q.next - 1, true
}

func (q *seedQueue) put(r seedResult) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.take(r) {
		q.enough = true
	}
}

// workThrough has one worker at a time make the runs of seeds, until there are no more or the context ends.
func (q *seedQueue) workThrough(ctx context.Context, args []string, giveUp time.Duration) (err error) {
	var w *worker
	defer func() {
		if w != nil {
			w.close()
		}
	}()
	for ctx.Err() == nil {
		seed, ok := q.pull()
		if !ok {
			break
		}
		if w == nil {
			if w, err = startWorker(ctx, args); err != nil {
				return err
			}
		}
		r, alive := w.ask(seed, giveUp)
		if !alive {
			w = nil
			if ctx.Err() != nil { // it ended because it was asked to
				break
			}
		}
		q.put(r)
	}
	return nil
}

// searchProgress shows how a search goes on: one line that changes on a terminal, a line now and then elsewhere.
type searchProgress struct {
	w     io.Writer
	live  bool
	total int64
	began time.Time
	last  time.Time
}

func newSearchProgress(w io.Writer, total int64) *searchProgress {
	now := time.Now()
	return &searchProgress{w: w, live: terminal(w), total: total, began: now, last: now}
}

func (p *searchProgress) show(t *tally) {
	now := time.Now()
	switch {
	case p.live:
		fmt.Fprintf(p.w, "\r\x1b[K%s", fit(t.line(p.total, now.Sub(p.began)), columns(p.w)))
	case now.Sub(p.last) >= plainEvery:
		p.last = now
		fmt.Fprintln(p.w, t.line(p.total, now.Sub(p.began)))
	}
}

// end leaves the line that was drawn.
func (p *searchProgress) end() {
	if p.live {
		fmt.Fprintln(p.w)
	}
}
