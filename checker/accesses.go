package checker

import (
	"fmt"

	"rift/harness/history"
)

// access is a read that answered, or a write that may have taken effect, of one of many registers.
type access struct {
	span
	process int32 // numbered from 0, in the order of their first accesses
	key     int32
	source  int32 // of a read: the place of the write that it saw, or initial; of a write: its own place
	write   bool
}

// initial is the source of a read that saw the register as it was before any write.
const initial int32 = -1

// accesses is a history of "read" and "write" on registers in which each value is written to a key once, so that a read tells which
// write it saw. Left out are what failed, reads without an answer, and writes without an answer that nobody saw:
// they may never have happened. The accesses are in the order of their invocations.
type accesses struct {
	view
	all       []access
	keys      []string
	sequences [][]int32 // process -> its accesses, in its order
	total     int       // operations of the history
	reads     int
}

// The promises that every register keeps, whatever else it promises.
var soundReads = []promise{
	{phantomValue, "A read answers a value that was written, or the initial one."},
	{futureRead, "A read answers nothing that is yet to be written."},
	{dirtyRead, "A write that failed has no effect, so nobody reads its value."},
}

// keyValue is a value of a key, both numbered or spelled.
type keyValue struct {
	key   int32
	value string
}

// readAccesses takes the history in. Reads of values that cannot have been there are added to b and left out.
func readAccesses(h history.History, b *breaches) (*accesses, error) {
	v := view{h}
	spans, err := v.spans()
	if err != nil {
		return nil, err
	}
	a := &accesses{view: v, total: len(spans), all: make([]access, 0, len(spans))}
	keys, processes := make(map[string]int32), make(map[int]int32)
	writes, failed := make(map[keyValue]int32), make(map[keyValue]span) // writes by their place in a.all
	for _, s := range spans {
		e := &v.h[s.call]
		switch {
		case e.F != "read" && e.F != "write":
			return nil, unknownFunction(e.F, "read", "write")
		case e.F == "read" && v.outcome(s) != history.OK:
			continue
		}
		key := numbered(keys, e.Key)
		if int(key) == len(a.keys) {
			a.keys = append(a.keys, e.Key)
		}
		x := access{span: s, key: key, write: e.F == "write", source: int32(len(a.all))}
		if x.write {
			w := keyValue{key, text(e.Value)}
			if v.outcome(s) == history.Fail {
				failed[w] = s
				continue
			}
			if _, twice := writes[w]; twice || w.value == null {
				return nil, fmt.Errorf("operation %d, write by process %d: value: %s given, one that is not null and that nobody else writes to key %s allowed",
					s.call, e.Process, w.value, e.Key)
			}
			writes[w] = x.source
		}
		x.process = numbered(processes, e.Process)
		a.all = append(a.all, x)
	}
	a.match(writes, failed, b)
	a.drop(len(processes))
	return a, nil
}

// numbered gives names numbers from 0 in the order in which they come.
func numbered[K comparable](numbers map[K]int32, name K) int32 {
	n, known := numbers[name]
	if !known {
		n = int32(len(numbers))
		numbers[name] = n
	}
	return n
}

// impossible marks a read that is left out.
const impossible int32 = -2

// match finds the write that each read saw.
func (a *accesses) match(writes map[keyValue]int32, failed map[keyValue]span, b *breaches) {
	for i := range a.all {
		x := &a.all[i]
		if x.write {
			continue
		}
		v := keyValue{x.key, text(a.h[x.ret].Value)}
		if v.value == null {
			x.source = initial
			continue
		}
		w, ok := writes[v]
		switch f, refused := failed[v]; {
		case ok && a.all[w].call < x.ret:
			x.source = w
			continue
		case ok:
			o, later := a.operation(x.span), a.operation(a.all[w].span)
			b.add(futureRead, []history.Operation{later, o}, "%s answered %s to a read of %s that was over %s before anybody had asked to write %s.",
				who(o), v.value, a.object(x.key), lasting(later.Invoked-o.Completed), v.value)
		case refused:
			o, write := a.operation(x.span), a.operation(f)
			b.add(dirtyRead, []history.Operation{write, o}, "%s answered %s to a read of %s, although the only write of %s certainly did not take effect: it failed with %q.",
				who(o), v.value, a.object(x.key), v.value, write.Error)
		default:
			o := a.operation(x.span)
			b.add(phantomValue, []history.Operation{o}, "%s answered %s to a read of %s, a value that nobody ever wrote.", who(o), v.value, a.object(x.key))
		}
		x.source = impossible
	}
}

// drop leaves out impossible reads and unseen writes of which nobody knows, and gives each process its accesses.
func (a *accesses) drop(processes int) {
	seen := make([]bool, len(a.all))
	for _, x := range a.all {
		if !x.write && x.source >= 0 {
			seen[x.source] = true
		}
	}
	moved := make([]int32, len(a.all))
	kept := a.all[:0]
	for i, x := range a.all {
		if x.source != impossible && (!x.write || seen[i] || a.outcome(x.span) != history.Info) {
			moved[i] = int32(len(kept))
			kept = append(kept, x)
		}
	}
	a.all, a.sequences = kept, make([][]int32, processes)
	for i := range a.all {
		x := &a.all[i]
		if x.source >= 0 {
			x.source = moved[x.source]
		}
		if !x.write {
			a.reads++
		}
		a.sequences[x.process] = append(a.sequences[x.process], int32(i))
	}
}

// object is a key in words.
func (a *accesses) object(key int32) string {
	if a.keys[key] == "" {
		return "the register"
	}
	return "key " + a.keys[key]
}

// value is what the access wrote or read.
func (a *accesses) value(x access) string {
	if x.write {
		return text(a.h[x.call].Value)
	}
	return text(a.h[x.ret].Value)
}

// operations spells accesses out.
func (a *accesses) operations(places ...int32) []history.Operation {
	ops := make([]history.Operation, len(places))
	for i, p := range places {
		ops[i] = a.operation(a.all[p].span)
	}
	return ops
}

// name is an access in a few words: "process 3's write of 7 to key x".
func (a *accesses) name(i int32) string {
	return fmt.Sprintf("process %d's %s", a.h[a.all[i].call].Process, a.what(i))
}

func (a *accesses) what(i int32) string {
	x := a.all[i]
	if x.write {
		return fmt.Sprintf("write of %s to %s", a.value(x), a.object(x.key))
	}
	return fmt.Sprintf("read of %s from %s", a.value(x), a.object(x.key))
}

// tell is an access in a sentence.
func (a *accesses) tell(i int32, lead string) string {
	x := a.all[i]
	return capital(fmt.Sprintf("%son %s, %s.", lead, a.object(x.key), tell(a.operation(x.span))))
}
