package checker

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"rift/harness/history"
)

// TotalQueue checks what goes into queues against what comes out, by key: nothing is lost, duplicated or made up, and, if it is first in,
// first out, nothing overtakes. "enqueue" takes a value, each once; "dequeue" answers one, or null from an empty queue; "drain" takes out everything there is
// and answers an array. These are the patterns of Henzinger, Sezgin & Vafeiadis, "Aspect-oriented linearizability proofs", CONCUR
// 2013, in O(n log n): a queue with such an anomaly is not linearizable, but one without may still not be, which the model Queue tells.
type TotalQueue struct {
	FIFO        bool
	AtLeastOnce bool // a value may come out again
}

const (
	queueLost       = "lost"
	queueDuplicated = "duplicated"
	queueReordered  = "reordered"
	queueUnexpected = "unexpected"
	queueNotEmpty   = "not-empty"
)

var queuePromises = []promise{
	{queueLost, "What was put into the queue comes out, at the latest when the queue is found empty."},
	{queueUnexpected, "Only what was put into the queue comes out."},
	{queueDuplicated, "What was taken out of the queue does not come out again."},
	{queueReordered, "First in, first out: what was put in before something else was asked to be comes out no later."},
	{queueNotEmpty, "A queue is found empty only when nothing is in it."},
}

// queued is one value of a queue.
type queued struct {
	value string
	in    span // its enqueue; in.call is never if there is none
	out   span // its first removal; out.call is never if there is none
	ok    bool // the enqueue was acknowledged
}

// queueHistory is what happened to one queue.
type queueHistory struct {
	view
	items   map[string]*queued
	order   []*queued // by their enqueues
	failed  map[string]span
	empty   []span  // removals that found nothing
	pending []int32 // invocations of removals of which nobody knows what they took
	drained bool    // one of these was a drain
	removed int
}

// Check implements Checker.
func (c TotalQueue) Check(_ context.Context, h history.History) Result {
	r := Result{Checker: "total-queue", Method: "what went in against what came out"}
	v := view{h}
	all, err := v.spans()
	if err != nil {
		return r.unreadable(err)
	}
	b := newBreaches(queuePromises...)
	queues := v.objects(all)
	put, removed, open := 0, 0, 0
	for _, o := range queues {
		q := &queueHistory{view: v, items: make(map[string]*queued), failed: make(map[string]span)}
		for _, s := range o.spans {
			if err := q.put(s); err != nil {
				return r.unreadable(err)
			}
		}
		for _, s := range o.spans {
			if err := q.take(s, c, b); err != nil {
				return r.unreadable(err)
			}
		}
		put, removed, open = put+len(q.order), removed+q.removed, open+q.lost(b)
		q.notEmpty(b)
		if c.FIFO {
			q.reordered(b)
		}
	}
	r.Counts = map[string]int{CountOperations: len(all), CountKeys: len(queues), "enqueued": put, "dequeued": removed, "open": open}
	switch {
	case b.settle(&r):
	case removed == 0:
		r.Summary = "Nothing ever came out of a queue, so nothing was put to the test."
	default:
		r.Verdict = Valid
		r.Summary = fmt.Sprintf("%s went into %s and %s came out; nothing was lost or made up%s.",
			count(put, "value"), count(len(queues), "queue"), thousands(removed), c.alsoKept())
		if open > 0 {
			r.Summary += fmt.Sprintf(" What became of %s more is not known.", thousands(open))
		}
	}
	return r
}

// alsoKept names the promises that not all queues make.
func (c TotalQueue) alsoKept() (s string) {
	if !c.AtLeastOnce {
		s += ", or came out twice"
	}
	if c.FIFO {
		s += ", or was overtaken"
	}
	return s
}

// put takes an enqueue in.
func (q *queueHistory) put(s span) error {
	o := q.operation(s)
	if o.F != "enqueue" {
		return nil
	}
	value := text(o.Input)
	if o.Type == history.Fail {
		q.failed[value] = s
		return nil
	}
	if q.items[value] != nil || value == null {
		return bad(o, fmt.Errorf("value: %s given, one that is not null and that nobody else enqueues allowed", value))
	}
	item := &queued{value: value, in: s, out: span{never, never}, ok: o.Type == history.OK}
	q.items[value] = item
	q.order = append(q.order, item)
	return nil
}

// take takes a removal in.
func (q *queueHistory) take(s span, c TotalQueue, b *breaches) error {
	o := q.operation(s)
	var values []json.RawMessage
	switch {
	case o.F == "enqueue":
		return nil
	case o.F != "dequeue" && o.F != "drain":
		return bad(o, unknownFunction(o.F, "enqueue", "dequeue", "drain"))
	case o.Type == history.Fail:
		return nil
	case o.Type == history.Info:
		q.pending = append(q.pending, s.call)
		q.drained = q.drained || o.F == "drain"
		return nil
	case o.F == "drain":
		if err := json.Unmarshal(o.Output, &values); err != nil {
			return bad(o, fmt.Errorf("value: %.60s given, an array allowed", o.Output))
		}
		q.empty = append(q.empty, s)
	case text(o.Output) == null:
		q.empty = append(q.empty, s)
	default:
		values = []json.RawMessage{o.Output}
	}
	for _, v := range values {
		q.remove(text(v), o, s, c, b)
	}
	return nil
}

// remove takes one value out.
func (q *queueHistory) remove(value string, o history.Operation, s span, c TotalQueue, b *breaches) {
	q.removed++
	item := q.items[value]
	failed, refused := q.failed[value]
	switch {
	case item == nil && refused:
		b.add(queueUnexpected, []history.Operation{q.operation(failed), o}, "%s gave out %s from %s %s, although its enqueue certainly failed.", who(o), value, queueOf(o), at(o.Completed))
	case item == nil:
		b.add(queueUnexpected, []history.Operation{o}, "%s gave out %s from %s %s, although nobody ever put it in.", who(o), value, queueOf(o), at(o.Completed))
	case item.in.call > s.ret:
		b.add(queueUnexpected, []history.Operation{o, q.operation(item.in)}, "%s gave out %s from %s %s, before anybody had asked to put it in.", who(o), value, queueOf(o), at(o.Completed))
	case item.out.call == never:
		item.out = s
	case !c.AtLeastOnce:
		first := q.operation(item.out)
		b.add(queueDuplicated, []history.Operation{q.operation(item.in), first, o}, "%s gave out %s from %s %s, although %s had given it out before, %s.",
			who(o), value, queueOf(o), at(o.Completed), who(first), at(first.Completed))
	}
}

// queueOf is the queue in words.
func queueOf(o history.Operation) string {
	if o.Key == "" {
		return "the queue"
	}
	return "queue " + o.Key
}

// lost finds what never came out although the queue was found empty after it had certainly been put in. Each removal of which nobody knows
// may have taken one of them. It gives how many values are in doubt.
func (q *queueHistory) lost(b *breaches) (open int) {
	last := span{-1, -1} // the last removal that found nothing
	for _, e := range q.empty {
		if e.call > last.call {
			last = e
		}
	}
	var missing []*queued
	for _, item := range q.order {
		switch {
		case item.out.call != never || !item.ok:
		case item.in.ret < last.call:
			missing = append(missing, item)
		default:
			open++
		}
	}
	excused := 0
	for _, p := range q.pending {
		if p < last.ret {
			excused++
		}
	}
	if len(missing) <= excused || q.drained {
		return open + len(missing)
	}
	b.merge(queueLost, len(missing)-excused, func() Anomaly {
		first, end := q.operation(missing[0].in), q.operation(last)
		doubt := ""
		if excused > 0 {
			doubt = fmt.Sprintf(" Only %s of which nobody knows the outcome can have taken any of them.", count(excused, "removal"))
		}
		a := anomalyOf(queueLost, []history.Operation{first, end}, "%s lost from %s: %s. %s was acknowledged by %s %s and never came out, and %s found it empty %s.%s",
			lostOf(len(missing), excused), queueOf(first), named(missing), missing[0].value, who(first), at(first.Completed), who(end), at(end.Completed), doubt)
		a.Key, a.Node = first.Key, end.Node
		return a
	})
	return open
}

// lostOf is how many of the missing values are lost, some being excused.
func lostOf(missing, excused int) string {
	if excused == 0 {
		return was(missing, "value")
	}
	return fmt.Sprintf("At least %d of %s were", missing-excused, count(missing, "value"))
}

// named lists the first of the values.
func named(items []*queued) string {
	list := ""
	for i, item := range items[:min(len(items), maxNamed)] {
		if i > 0 {
			list += ", "
		}
		list += item.value
	}
	if more := len(items) - maxNamed; more > 0 {
		list += fmt.Sprintf(" and %s more", thousands(more))
	}
	return list
}

// notEmpty finds removals that found nothing while some value was in the queue all the time. Values are looked at by when they
// had certainly been put in, empty answers by when they began: of the values before one, the one that came out last tells.
func (q *queueHistory) notEmpty(b *breaches) {
	in := slices.DeleteFunc(slices.Clone(q.order), func(i *queued) bool { return !i.ok || i.out.call == never })
	slices.SortFunc(in, func(a, b *queued) int { return cmp.Compare(a.in.ret, b.in.ret) })
	slices.SortFunc(q.empty, func(a, b span) int { return cmp.Compare(a.call, b.call) })
	var latest *queued
	n := 0
	for _, e := range q.empty {
		for ; n < len(in) && in[n].in.ret < e.call; n++ {
			if latest == nil || in[n].out.call > latest.out.call {
				latest = in[n]
			}
		}
		if latest != nil && latest.out.call > e.ret {
			put, found, got := q.operation(latest.in), q.operation(e), q.operation(latest.out)
			b.add(queueNotEmpty, []history.Operation{put, got, found}, "%s found %s empty %s, although %s had been in it since %s and was taken out only later, %s.",
				who(found), queueOf(found), at(found.Completed), latest.value, at(put.Completed)[len("at "):], at(got.Completed))
		}
	}
}

// reordered finds values that were overtaken: put in before another was asked to be, and asked for only after the other had come out. Values are
// looked at by when they were asked for; of those that had come out by then, the one put in last tells.
func (q *queueHistory) reordered(b *breaches) {
	asked := slices.DeleteFunc(slices.Clone(q.order), func(i *queued) bool { return i.out.call == never })
	came := slices.Clone(asked)
	slices.SortFunc(asked, func(a, b *queued) int { return cmp.Compare(a.out.call, b.out.call) })
	slices.SortFunc(came, func(a, b *queued) int { return cmp.Compare(a.out.ret, b.out.ret) })
	var latest *queued
	n := 0
	for _, item := range asked {
		for ; n < len(came) && came[n].out.ret < item.out.call; n++ {
			if latest == nil || came[n].in.call > latest.in.call {
				latest = came[n]
			}
		}
		if !item.ok || latest == nil || latest.in.call < item.in.ret {
			continue
		}
		put, got, late := q.operation(item.in), q.operation(latest.out), q.operation(item.out)
		b.add(queueReordered, []history.Operation{put, q.operation(latest.in), got, late},
			"%s had been put into %s by %s, before anybody asked to put in %s; but %s came out first, %s, and %s only %s later.",
			item.value, queueOf(put), at(put.Completed)[len("at "):], latest.value, latest.value, at(got.Completed), item.value, lasting(late.Completed-got.Completed))
	}
}
