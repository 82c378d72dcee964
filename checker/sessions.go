package checker

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"rift/harness/history"
)

// Sessions checks the session guarantees of Terry et al. ("Session guarantees for weakly consistent replicated data", PDIS 1994), with a process as
// the session. They speak of the order of writes, which is known without any assumption on the store if each key is written by one process
// only, each value once: that is what it asks of a history. With n operations by p processes it takes O(n·p), since each process takes in what
// another one did at most once.
type Sessions struct {
	// Only names the guarantees that are asked for; empty: all.
	Only []string
}

// The session guarantees, which are also the kinds of their anomalies.
const (
	ReadYourWrites    = "read-your-writes"
	MonotonicReads    = "monotonic-reads"
	MonotonicWrites   = "monotonic-writes"
	WritesFollowReads = "writes-follow-reads"
)

var sessionPromises = []promise{
	{ReadYourWrites, "Read your writes: a process's read shows its own earlier writes, or newer ones."},
	{MonotonicReads, "Monotonic reads: a process's read shows what its earlier reads showed, or newer writes."},
	{MonotonicWrites, "Monotonic writes: who has seen a process's write sees that process's earlier writes as well."},
	{WritesFollowReads, "Writes follow reads: who has seen a process's write sees what that process had read before it."},
}

// need is why a session's reads of a key must show at least some version.
type need struct {
	version int32 // of the key, from 1
	why     int32 // the session's own access from which it follows
	because int32 // what the other process had done before the write that was seen; for the last two guarantees
}

// sessions is the walk through all processes.
type sessions struct {
	*accesses
	only    []string
	version []int32        // write -> its version of its key, from 1
	place   []int32        // access -> its place in its process's sequence
	put     map[string]int // guarantee -> reads that it said something about
	b       *breaches
}

// session is what one process needs to see, by guarantee and key.
type session struct {
	needs  map[string]map[int32]need
	merged map[int32]int32 // other process -> how many of its accesses were taken in
}

// Check implements Checker.
func (c Sessions) Check(_ context.Context, h history.History) Result {
	r := Result{Checker: "sessions", Method: "versions of keys that have one writer each"}
	s := &sessions{only: c.Only, put: make(map[string]int), b: newBreaches(append(slices.Clone(sessionPromises), soundReads...)...)}
	var err error
	if s.accesses, err = readAccesses(h, s.b); err == nil {
		err = s.number()
	}
	if err != nil {
		return r.unreadable(err)
	}
	for _, sequence := range s.sequences {
		s.walk(sequence)
	}
	r.Counts = map[string]int{CountOperations: s.total, CountKeys: len(s.keys), "processes": len(s.sequences)}
	r.Table = &Table{Columns: []string{"guarantee", "reads put to the test", "broken"}}
	var untested []string
	for _, p := range sessionPromises {
		if !s.asked(p.kind) {
			continue
		}
		r.Table.Rows = append(r.Table.Rows, []string{p.kind, strconv.Itoa(s.put[p.kind]), strconv.Itoa(s.b.count[p.kind])})
		if s.put[p.kind] == 0 {
			untested = append(untested, p.kind)
		}
	}
	switch {
	case s.b.settle(&r):
	case len(untested) > 0:
		r.Summary = fmt.Sprintf("No read put %s to the test.", strings.Join(untested, " or "))
	default:
		r.Verdict = Valid
		r.Summary = fmt.Sprintf("Every session guarantee held in all of %s by %d processes.", count(s.reads, "read"), len(s.sequences))
	}
	return r
}

func (s *sessions) asked(guarantee string) bool {
	return len(s.only) == 0 || slices.Contains(s.only, guarantee)
}

// number gives each write its version, and each access its place.
func (s *sessions) number() error {
	s.version, s.place = make([]int32, len(s.all)), make([]int32, len(s.all))
	last := make(map[int32]int32) // key -> its last write
	for i, x := range s.all {
		if !x.write {
			continue
		}
		w, written := last[x.key]
		if written && s.all[w].process != x.process {
			return fmt.Errorf("%s and %s: two processes given, one writer for each key allowed, so that the order of its versions is known",
				s.name(w), s.name(int32(i)))
		}
		s.version[i] = 1
		if written {
			s.version[i] = s.version[w] + 1
		}
		last[x.key] = int32(i)
	}
	for _, sequence := range s.sequences {
		for k, i := range sequence {
			s.place[i] = int32(k)
		}
	}
	return nil
}

// walk goes through one process's session.
func (s *sessions) walk(sequence []int32) {
	own := session{needs: make(map[string]map[int32]need), merged: make(map[int32]int32)}
	for _, p := range sessionPromises {
		own.needs[p.kind] = make(map[int32]need)
	}
	for _, i := range sequence {
		x := s.all[i]
		if x.write {
			own.raise(ReadYourWrites, x.key, need{version: s.version[i], why: i})
			continue
		}
		shown := int32(0)
		if x.source != initial {
			shown = s.version[x.source]
		}
		for _, p := range sessionPromises {
			if n, ok := own.needs[p.kind][x.key]; ok && s.asked(p.kind) {
				s.put[p.kind]++
				if n.version > shown && s.b.wants(p.kind) {
					s.accuse(p.kind, i, n)
				}
			}
		}
		if x.source != initial {
			own.raise(MonotonicReads, x.key, need{version: shown, why: i})
			s.takeIn(own, i)
		}
	}
}

// raise notes that a guarantee needs at least that version.
func (o session) raise(guarantee string, key int32, n need) {
	if n.version > o.needs[guarantee][key].version {
		o.needs[guarantee][key] = n
	}
}

// takeIn notes what follows from a read of another process's write: what that process had written and read before it.
func (s *sessions) takeIn(own session, read int32) {
	w := s.all[read].source
	other := s.all[w].process
	if other == s.all[read].process {
		return
	}
	for k := own.merged[other]; k < s.place[w]; k++ {
		i := s.sequences[other][k]
		switch x := s.all[i]; {
		case x.write:
			own.raise(MonotonicWrites, x.key, need{s.version[i], read, i})
		case x.source != initial:
			own.raise(WritesFollowReads, x.key, need{s.version[x.source], read, i})
		}
	}
	own.merged[other] = max(own.merged[other], s.place[w])
}

// accuse tells of a read that showed less than it had to.
func (s *sessions) accuse(guarantee string, read int32, n need) {
	x, o := s.all[read], s.operation(s.all[read].span)
	what := fmt.Sprintf("%s answered %s to a read of %s by process %d %s", who(o), s.value(x), s.object(x.key), o.Process, at(o.Completed))
	places := []int32{n.why, read}
	why := s.operation(s.all[n.why].span)
	switch guarantee {
	case ReadYourWrites:
		what += fmt.Sprintf(", although %s had acknowledged that process's own write of %s %s.", who(why), s.value(s.all[n.why]), at(why.Completed))
	case MonotonicReads:
		what += fmt.Sprintf(", although %s had answered the newer %s to that process %s.", who(why), s.value(s.all[n.why]), at(why.Completed))
	default:
		seen := s.all[n.why].source
		what += fmt.Sprintf(", although that process had seen %s, before which came that one's %s.", s.name(seen), s.what(n.because))
		places = []int32{n.because, seen, n.why, read}
	}
	steps := make([]string, len(places))
	for k, i := range places {
		steps[k] = s.tell(i, "")
	}
	s.b.put(guarantee, s.operations(places...), steps, what)
}
