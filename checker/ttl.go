package checker

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"rift/harness/history"
)

// TTL checks keys that live for a limited time: "put-ttl" of [value, time to live], each value put to a key once, and "read". A key that was put may
// not be gone before its time to live has passed since the put's invocation, unless something else was put that may be; once gone, its value never comes
// back; and a read that says that nothing has been broken for so long (its input, a duration) sees nothing that should be gone by then, with Bound to
// spare. What is read was put, and was not certainly replaced. It takes O(n) times the puts of a key.
type TTL struct {
	Bound time.Duration // how much longer than asked for a key may live while nothing is broken
}

// The anomalies of keys that expire.
const (
	expiredEarly = "expired-early"
	cameBack     = "came-back"
	neverExpired = "never-expired"
	replacedRead = "replaced"
)

func (c TTL) promises() []promise {
	return append([]promise{
		{expiredEarly, "A key does not go before its time to live has passed."},
		{cameBack, "A key that has expired stays away until somebody puts it again."},
		{neverExpired, fmt.Sprintf("While nothing is broken, a key goes at most %s after its time to live.", lasting(c.Bound))},
		{replacedRead, "A read does not answer a value that was certainly replaced before it began."},
	}, soundReads...)
}

// Check implements Checker.
func (c TTL) Check(_ context.Context, h history.History) Result {
	r := Result{Checker: "ttl", Method: "each read against the puts that may explain it"}
	v := view{h}
	all, err := v.spans()
	if err != nil {
		return r.unreadable(err)
	}
	b := newBreaches(c.promises()...)
	total := ttlCounts{}
	objects := v.objects(all)
	for _, o := range objects {
		k, err := readLives(v, o)
		if err != nil {
			return r.unreadable(err)
		}
		total.add(k.judge(b, c.Bound))
	}
	r.Counts = map[string]int{
		CountOperations: len(all), CountKeys: len(objects),
		"acknowledged": total.acked, "reads_alive": total.alive, "reads_gone": total.gone, "reads_settled": total.settled,
	}
	switch {
	case b.settle(&r):
	case total.alive == 0 || total.gone == 0 || total.settled == 0:
		r.Summary = fmt.Sprintf("Keys were read %s while they had to be there, %s when they had gone, and %s at the end: all three are needed to prove anything.",
			count(total.alive, "time"), count(total.gone, "time"), count(total.settled, "time"))
	default:
		r.Verdict = Valid
		r.Summary = fmt.Sprintf("No key of %s went early, and none stayed: %s found one that had to be there, %s one that had gone.",
			count(total.acked, "put"), count(total.alive, "read"), thousands(total.gone))
	}
	return r
}

// ttlCounts are what keys were put to the test by.
type ttlCounts struct {
	acked   int // puts
	alive   int // reads of a key that had to be there
	gone    int // reads of a key that had been put and was gone
	settled int // reads at the end
}

func (t *ttlCounts) add(o ttlCounts) {
	t.acked += o.acked
	t.alive += o.alive
	t.gone += o.gone
	t.settled += o.settled
}

// life is one put.
type life struct {
	span
	value string
	ttl   time.Duration
}

// glance is one read that answered.
type glance struct {
	span
	value   string
	settled time.Duration // for how long nothing had been broken; 0: nobody says
}

// lives is what happened to one key.
type lives struct {
	view
	key   string
	puts  []life // by their invocations; those that failed are in failed
	reads []glance
	fails map[string]span
}

// readLives reads a key's operations.
func readLives(v view, o object) (lives, error) {
	k := lives{view: v, key: o.key, fails: make(map[string]span)}
	seen := make(map[string]bool)
	for _, s := range o.spans {
		e := &v.h[s.call]
		switch e.F {
		case "read":
			if v.outcome(s) != history.OK {
				continue
			}
			g := glance{span: s, value: text(v.h[s.ret].Value)}
			if said := text(e.Value); said != null {
				var d history.Duration
				if err := json.Unmarshal(e.Value, &d); err != nil {
					return k, bad(v.operation(s), fmt.Errorf("value: %s given, a duration or null allowed", said))
				}
				g.settled = time.Duration(d)
			}
			k.reads = append(k.reads, g)
		case "put-ttl":
			var pair [2]json.RawMessage
			var ttl history.Duration
			if json.Unmarshal(e.Value, &pair) != nil || json.Unmarshal(pair[1], &ttl) != nil || ttl <= 0 {
				return k, bad(v.operation(s), fmt.Errorf("value: %s given, [value, duration] wanted", text(e.Value)))
			}
			p := life{span: s, value: text(pair[0]), ttl: time.Duration(ttl)}
			if seen[p.value] || p.value == null {
				return k, bad(v.operation(s), fmt.Errorf("value: %s given, one that is not null and that nobody else puts to key %s allowed", p.value, o.key))
			}
			seen[p.value] = true
			if v.outcome(s) == history.Fail {
				k.fails[p.value] = s
			} else {
				if v.outcome(s) == history.Info {
					p.ret = never // it may take effect at any time
				}
				k.puts = append(k.puts, p)
			}
		default:
			return k, unknownFunction(e.F, "read", "put-ttl")
		}
	}
	return k, nil
}

// judge holds every read against the puts.
func (k lives) judge(b *breaches, bound time.Duration) (n ttlCounts) {
	for _, p := range k.puts {
		if p.ret != never {
			n.acked++
		}
	}
	byCall, nulls := newLatest(k.reads), newLatest(k.reads)
	for _, i := range byCall.order { // the reads, by their invocations
		r := k.reads[i]
		gone := nulls.before(r.call, func(g glance) bool { return g.value == null })
		if r.settled > 0 {
			n.settled++
		}
		if r.value == null {
			n.count(k.absent(b, r))
			continue
		}
		if k.present(b, r, gone, bound) {
			n.alive++
		}
	}
	return n
}

// count counts a read that found nothing.
func (t *ttlCounts) count(gone bool) {
	if gone {
		t.gone++
	}
}

// latest walks through reads by their invocations, and knows of those that have ended which began last.
type latest struct {
	reads []glance
	order []int // by invocation
	ended []int // by completion
	next  int
	best  int // -1: none
}

func newLatest(reads []glance) *latest {
	l := &latest{reads: reads, best: -1}
	for i := range reads {
		l.order, l.ended = append(l.order, i), append(l.ended, i)
	}
	slices.SortFunc(l.ended, func(a, b int) int { return cmp.Compare(reads[a].ret, reads[b].ret) })
	return l
}

// before returns the read that began last of those that suit and ended before a place, which grows from call to call; -1 if there is none.
func (l *latest) before(place int32, suits func(g glance) bool) int {
	for ; l.next < len(l.ended) && l.reads[l.ended[l.next]].ret < place; l.next++ {
		if i := l.ended[l.next]; suits(l.reads[i]) && (l.best < 0 || l.reads[i].call > l.reads[l.best].call) {
			l.best = i
		}
	}
	return l.best
}

// replacing is the acknowledged put that began last of those that were over before a read began; -1 if there is none. What had ended before it
// began is certainly replaced.
func (k lives) replacing(r glance) int {
	best := -1
	for i, p := range k.puts {
		if p.ret < r.call {
			best = i // they are in the order of their invocations
		}
	}
	return best
}

// absent judges a read that found nothing. It says whether something must have expired.
func (k lives) absent(b *breaches, r glance) (gone bool) {
	last := k.replacing(r)
	if last < 0 {
		return false
	}
	for _, p := range k.puts {
		if p.call < r.ret && p.ret >= k.puts[last].call && k.h[p.call].Time+p.ttl <= k.h[r.ret].Time {
			return true
		}
	}
	p := k.puts[last]
	b.add(expiredEarly, []history.Operation{k.operation(p.span), k.operation(r.span)},
		"%s found nothing in a read of %s that was over %s, although %s had been put there for %s, %s before.",
		who(k.operation(r.span)), k.called(), at(k.h[r.ret].Time), p.value, lasting(p.ttl), lasting(k.h[r.ret].Time-k.h[p.call].Time))
	return false
}

// present judges a read that found a value; null is a read before it that found nothing, or -1. It says whether the value had to be there.
func (k lives) present(b *breaches, r glance, null int, bound time.Duration) (due bool) {
	i := slices.IndexFunc(k.puts, func(p life) bool { return p.value == r.value })
	o := k.operation(r.span)
	if i < 0 {
		if f, ok := k.fails[r.value]; ok {
			b.add(dirtyRead, []history.Operation{k.operation(f), o}, "%s answered %s to a read of %s, although its only put failed with %q.", who(o), r.value, k.called(), k.operation(f).Error)
		} else {
			b.add(phantomValue, []history.Operation{o}, "%s answered %s to a read of %s, which nobody has put there.", who(o), r.value, k.called())
		}
		return false
	}
	p := k.puts[i]
	put := k.operation(p.span)
	switch last := k.replacing(r); {
	case p.call > r.ret:
		b.add(futureRead, []history.Operation{put, o}, "%s answered %s to a read of %s that was over before anybody had asked to put it.", who(o), r.value, k.called())
	case last >= 0 && p.ret < k.puts[last].call:
		b.add(replacedRead, []history.Operation{put, k.operation(k.puts[last].span), o}, "%s answered %s to a read of %s that began %s, although %s had been put there after that.",
			who(o), r.value, k.called(), at(o.Invoked), k.puts[last].value)
	case null >= 0 && p.ret < k.reads[null].call:
		b.add(cameBack, []history.Operation{put, k.operation(k.reads[null].span), o}, "%s answered %s to a read of %s that began %s, although it was gone already in a read that was over %s.",
			who(o), r.value, k.called(), at(o.Invoked), at(k.h[k.reads[null].ret].Time))
	case r.settled > 0 && r.settled >= p.ttl+bound:
		b.add(neverExpired, []history.Operation{put, o}, "%s answered %s to a read of %s when nothing had been broken for %s, although it was put for %s and may live %s longer.",
			who(o), r.value, k.called(), lasting(r.settled), lasting(p.ttl), lasting(bound))
	}
	return p.ret < r.call && k.h[r.ret].Time < k.h[p.call].Time+p.ttl
}

func (k lives) called() string { return "key " + k.key }
