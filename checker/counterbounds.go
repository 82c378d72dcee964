package checker

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sort"

	"rift/harness/history"
)

// CounterBounds checks that a counter never shows more or less than it can hold: a read is at least the sum of what was
// acknowledged before it began, and at most that of what was asked for before it ended, with the two changed about for negative amounts. Amounts are taken
// by "add" or "increment" (null: 1), whose answer, if it is another number, is the new sum and is judged like a read. It is Jepsen's counter
// checker, by key and for amounts of either sign, in O(n log n); the model Counter asks for linearizability, which costs more.
type CounterBounds struct{}

const (
	tooLow  = "too-low"
	tooHigh = "too-high"
)

// amount is what an operation adds, at the time from which that counts.
type amount struct {
	at  int32
	sum int // with all amounts before it
}

type amounts []amount

// counted is what happened to one counter.
type counted struct {
	view
	reads                []told
	ackedUp, askedUp     amounts // by their acknowledgement, by their invocation
	ackedDown, askedDown amounts
}

// told is an answer that shows the sum.
type told struct {
	span
	sum int
}

// Check implements Checker.
func (CounterBounds) Check(_ context.Context, h history.History) Result {
	r := Result{Checker: "counter-bounds", Method: "each read against what was acknowledged before it and asked for until its end"}
	v := view{h}
	all, err := v.spans()
	if err != nil {
		return r.unreadable(err)
	}
	b := newBreaches(
		promise{tooLow, "A counter shows at least everything whose addition was acknowledged before the read began."},
		promise{tooHigh, "A counter shows at most everything whose addition was asked for before the read ended."},
	)
	keys := v.objects(all)
	reads, widest, exact := 0, 0, 0
	for _, o := range keys {
		c := counted{view: v}
		if err := c.take(o.spans); err != nil {
			return r.unreadable(err)
		}
		reads += len(c.reads)
		for _, t := range c.reads {
			low, high := c.judge(o.key, t, b)
			widest = max(widest, high-low)
			if low == high {
				exact++
			}
		}
	}
	r.Counts = map[string]int{CountOperations: len(all), CountKeys: len(keys), "reads": reads, "exact": exact, "widest_bounds": widest}
	switch {
	case b.settle(&r):
	case reads == 0:
		r.Summary = "No counter was ever read, so nothing was put to the test."
	default:
		r.Verdict = Valid
		r.Summary = fmt.Sprintf("Each of %s on %s showed no less than was acknowledged and no more than was asked for; %s of them could show only one number.",
			count(reads, "read"), count(len(keys), "counter"), thousands(exact))
	}
	return r
}

// take sorts a counter's operations out.
func (c *counted) take(spans []span) error {
	for _, s := range spans {
		o := c.operation(s)
		var err error
		switch o.F {
		case "read":
			err = c.tell(s, o)
		case "add", "increment":
			err = c.add(s, o)
		default:
			err = unknownFunction(o.F, "read", "add", "increment")
		}
		if err != nil {
			return bad(o, err)
		}
	}
	for _, a := range []amounts{c.ackedUp, c.askedUp, c.ackedDown, c.askedDown} {
		slices.SortFunc(a, func(a, b amount) int { return cmp.Compare(a.at, b.at) })
		for i := 1; i < len(a); i++ {
			a[i].sum += a[i-1].sum
		}
	}
	return nil
}

func (c *counted) tell(s span, o history.Operation) error {
	if o.Type != history.OK {
		return nil
	}
	sum, err := whole(o.Output, 0)
	c.reads = append(c.reads, told{s, sum})
	return err
}

func (c *counted) add(s span, o history.Operation) error {
	if o.Type == history.Fail {
		return nil
	}
	n, err := whole(o.Input, 1)
	if err != nil {
		return err
	}
	acked, asked := &c.ackedUp, &c.askedUp
	if n < 0 {
		acked, asked = &c.ackedDown, &c.askedDown
	}
	*asked = append(*asked, amount{s.call, n})
	if o.Type != history.OK {
		return nil
	}
	*acked = append(*acked, amount{s.ret, n})
	if text(o.Output) != null && text(o.Output) != text(o.Input) {
		return c.tell(s, o)
	}
	return nil
}

// before is the sum of the amounts that count before a place.
func (a amounts) before(place int32) int {
	n := sort.Search(len(a), func(i int) bool { return a[i].at >= place })
	if n == 0 {
		return 0
	}
	return a[n-1].sum
}

// judge holds one answer against its bounds.
func (c *counted) judge(key string, t told, b *breaches) (low, high int) {
	low = c.ackedUp.before(t.call) + c.askedDown.before(t.ret)
	high = c.askedUp.before(t.ret) + c.ackedDown.before(t.call)
	o := c.operation(t.span)
	name := "the counter"
	if key != "" {
		name = "counter " + key
	}
	switch {
	case t.sum < low:
		b.add(tooLow, []history.Operation{o}, "%s showed %d for %s %s, although it held at least %d since %s: %d too few.",
			who(o), t.sum, name, at(o.Completed), low, at(o.Invoked)[len("at "):], low-t.sum)
	case t.sum > high:
		b.add(tooHigh, []history.Operation{o}, "%s showed %d for %s %s, although it can have held at most %d by then: %d too many.",
			who(o), t.sum, name, at(o.Completed), high, t.sum-high)
	}
	return low, high
}
