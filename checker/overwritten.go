package checker

import (
	"fmt"
	"slices"

	"rift/harness/history"
)

// The kinds of a register's anomalies, by what went wrong.
const (
	staleRead    = "stale-read"    // an older value was read after a newer one was acknowledged or read
	lostWrite    = "lost-write"    // an acknowledged write is gone: nobody ever saw it
	dirtyRead    = "dirty-read"    // a value was read whose write failed, or was never acknowledged and is gone
	phantomValue = "phantom-value" // a value was read that nobody ever wrote
	futureRead   = "future-read"   // a value was read before anybody had asked to write it
	casViolation = "cas-violation" // a cas succeeded where its comparison cannot have matched
)

// seen is the value that an operation on a register shows to have been there; false if it shows none.
func seen(o history.Operation) (string, bool) {
	switch {
	case o.Type != history.OK:
		return "", false
	case o.F == "read":
		return text(o.Output), true
	case o.F == "cas":
		was, _, err := pair(o.Input)
		return was, err == nil
	}
	return "", false
}

// written is the value that an operation on a register leaves there if it takes effect.
func written(o history.Operation) (string, bool) {
	switch o.F {
	case "write":
		return text(o.Input), true
	case "cas":
		_, is, err := pair(o.Input)
		return is, err == nil
	}
	return "", false
}

// after is the value that an operation that answered shows to be there after it.
func after(o history.Operation) (string, bool) {
	if o.Type != history.OK {
		return "", false
	}
	if v, ok := written(o); ok {
		return v, true
	}
	return seen(o)
}

// answered says what x did with the value v that it saw.
func (c cause) answered(x history.Operation, v string) string {
	if x.F == "cas" {
		return fmt.Sprintf("%s let a cas from %s succeed on %s", who(x), v, c.object())
	}
	return fmt.Sprintf("%s answered %s to a read on %s", who(x), v, c.object())
}

// explainRegister looks for the fewest operations that show why the culprit's answer is wrong.
func explainRegister(c cause) (Anomaly, bool) {
	x := c.operation(c.culprit)
	v, ok := seen(x)
	if !ok {
		return refused(c, x)
	}
	before, later := c.operations()
	writers, failed := writersOf(v, before)
	if len(writers) == 0 && v != null {
		return unwritten(c, x, v, failed, later), true
	}
	if a, ok := twoSwaps(c, x, v, writers, before); ok {
		return a, true
	}
	return overwritten(c, x, v, writers, before, later)
}

// refused is a cas that was told that its comparison did not match, while it matched all the time.
func refused(c cause, x history.Operation) (Anomaly, bool) {
	v, _, err := pair(x.Input)
	if err != nil || len(c.states) != 1 || c.states[0] != v {
		return Anomaly{}, false
	}
	return anomalyOf(casViolation, []history.Operation{x},
		"%s refused a cas from %s on %s (%s), although in every order that explains the other answers the register holds %s all the while.",
		who(x), v, c.object(), x.Error, v), true
}

// writersOf finds the operations that may have written v, and those that certainly did not although they were asked to.
func writersOf(v string, ops []history.Operation) (writers, failed []history.Operation) {
	for _, o := range ops {
		switch w, ok := written(o); {
		case !ok || w != v:
		case o.Type == history.Fail:
			failed = append(failed, o)
		default:
			writers = append(writers, o)
		}
	}
	return writers, failed
}

// unwritten is a value that was seen although nobody can have written it.
func unwritten(c cause, x history.Operation, v string, failed, later []history.Operation) Anomaly {
	what := c.answered(x, v)
	if w, _ := writersOf(v, later); len(w) > 0 {
		return anomalyOf(futureRead, []history.Operation{x, w[0]},
			"%s %s before anybody had asked to write %s.", what, lasting(w[0].Invoked-x.Completed), v)
	}
	if len(failed) > 0 {
		return anomalyOf(dirtyRead, []history.Operation{failed[0], x},
			"%s, although the only %s of %s certainly did not take effect: it failed with %q.", what, failed[0].F, v, failed[0].Error)
	}
	return anomalyOf(phantomValue, []history.Operation{x}, "%s, a value that nobody ever wrote.", what)
}

// twoSwaps finds another cas that succeeded from the same value, which was there only once.
func twoSwaps(c cause, x history.Operation, v string, writers, before []history.Operation) (Anomaly, bool) {
	if x.F != "cas" || len(writers) > 1 || v == null && len(writers) > 0 {
		return Anomaly{}, false
	}
	for _, y := range before {
		if was, ok := seen(y); ok && y.F == "cas" && was == v && y.Index != x.Index {
			if is, _ := written(y); is == v {
				continue
			}
			ops := append(slices.Clone(writers), y, x)
			return anomalyOf(casViolation, ops,
				"Two cas from %s both succeeded on %s, at %s and at %s, although %s was there only once.", v, c.object(), who(y), who(x), v), true
		}
	}
	return Anomaly{}, false
}

// overwritten finds the operations that show another value, between the last time that v can have been written and x. The one that is told is
// the first write of these to be acknowledged, or else the first read.
func overwritten(c cause, x history.Operation, v string, writers, before, later []history.Operation) (Anomaly, bool) {
	first, known := established(v, writers, before)
	if !known && (v != null || len(writers) > 0) {
		return Anomaly{}, false
	}
	var b *history.Operation
	newer := make(map[string]bool)
	for i := range before {
		o := &before[i]
		u, ok := after(*o)
		if !ok || u == v || o.End >= int(c.culprit.call) || known && o.Index < first.End {
			continue
		}
		newer[u] = true
		if reads := o.F == "read"; b == nil || b.F == "read" && !reads || (b.F == "read") == reads && o.End < b.End {
			b = o
		}
	}
	if b == nil {
		return Anomaly{}, false
	}
	u, _ := after(*b)
	did := fmt.Sprintf("%s was acknowledged by %s", u, who(*b))
	ops := []history.Operation{*b, x}
	if b.F == "read" {
		did = fmt.Sprintf("%s was read at %s", u, who(*b))
		if w, _ := writersOf(u, before); len(w) > 0 {
			ops = append(ops, w[0])
		}
	}
	if known {
		ops = append(ops, first, writers[len(writers)-1])
	}
	all := append(slices.Clone(before), later...)
	a := anomalyOf(blame(*b, x, all), ops,
		"%s; the %s began %s after %s.", c.answered(x, v), x.F, lasting(x.Invoked-b.Completed), did)
	switch a.Kind {
	case lostWrite:
		a.Summary += fmt.Sprintf(" Nobody ever saw %s: the acknowledged write is lost.", u)
	case dirtyRead:
		a.Summary += fmt.Sprintf(" The write of %s was never acknowledged: it was shown before it was safe.", u)
	}
	return a, true
}

// established is the operation by whose completion v had certainly been written for the last time. If there is one writer, it
// is the first to complete of it and of those that saw v; if there are several, the last of them. False if there is none.
func established(v string, writers, before []history.Operation) (first history.Operation, ok bool) {
	if len(writers) == 0 {
		return first, false
	}
	if len(writers) > 1 || v == null {
		for _, w := range writers {
			if w.Pending() {
				return first, false
			}
			if !ok || w.End > first.End {
				first, ok = w, true
			}
		}
		return first, ok
	}
	for _, o := range append(slices.Clone(before), writers[0]) {
		value, shows := after(o)
		was, had := seen(o)
		if (shows && value == v || had && was == v) && (!ok || o.End < first.End) {
			first, ok = o, true
		}
	}
	return first, ok
}

// blame names the anomaly: b showed that there were newer values, and then x saw the older one.
func blame(b, x history.Operation, all []history.Operation) string {
	if b.F == "read" {
		u, _ := after(b)
		if w, _ := writersOf(u, all); !slices.ContainsFunc(w, func(o history.Operation) bool { return o.Type == history.OK }) {
			return dirtyRead
		}
		return staleRead
	}
	v, _ := seen(x)
	stale := 0 // how many others saw the older value although there was a newer one
	for _, o := range all {
		if o.Index == b.Index || o.Index == x.Index {
			continue
		}
		if o.F != "read" && o.Type != history.Fail && o.End > b.Index {
			return staleRead // perhaps it overwrote what b wrote: nobody needs to have lost anything
		}
		if was, ok := seen(o); ok && o.Index > b.End {
			if was != v {
				return staleRead
			}
			stale++
		}
	}
	if x.F == "cas" || stale > 0 {
		return lostWrite
	}
	return staleRead
}

// anomalyOf is an anomaly whose proof is the operations, told in the order of their invocations.
func anomalyOf(kind string, ops []history.Operation, format string, args ...any) Anomaly {
	a := Anomaly{Kind: kind, Summary: fmt.Sprintf(format, args...)}
	slices.SortFunc(ops, func(a, b history.Operation) int { return a.Index - b.Index })
	for _, o := range slices.CompactFunc(ops, func(a, b history.Operation) bool { return a.Index == b.Index }) {
		a.Ops = append(a.Ops, o.Index)
		a.Steps = append(a.Steps, tell(o)+".")
	}
	return a
}
