package checker

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"rift/harness/history"
)

// lists compares the last list of each key on each node in the final phase, and counts those compared.
func (c Convergence) lists(h history.History, b *breaches) (compared int, err error) {
	at := slices.IndexFunc(c.Phases, func(p history.Phase) bool { return p.Name == "final" })
	if at < 0 {
		return 0, nil
	}
	v := view{h}
	all, err := v.spans()
	if err != nil {
		return 0, err
	}
	type place struct{ key, node string }
	last := make(map[place]history.Operation)
	unsure := make(map[string]bool) // elements of which nobody knows whether they were added
	keys := make(map[string][]string)
	for _, s := range all {
		o := v.operation(s)
		switch {
		case o.F == "add" && o.Type == history.Info:
			unsure[o.Key+"\n"+text(o.Input)] = true
		case o.F == "list" && o.Type == history.OK && o.Invoked >= c.Phases[at].Start:
			if _, known := last[place{o.Key, o.Node}]; !known {
				keys[o.Key] = append(keys[o.Key], o.Node)
			}
			last[place{o.Key, o.Node}] = o
		}
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		first := last[place{key, keys[key][0]}]
		for _, node := range keys[key][1:] {
			compared++
			if err := sameLists(first, last[place{key, node}], unsure, b); err != nil {
				return compared, err
			}
		}
	}
	return compared, nil
}

// sameLists compares two nodes' lists.
func sameLists(one, two history.Operation, unsure map[string]bool, b *breaches) error {
	only := make(map[string]int) // element -> 1 if only the first has it, 2 if only the second
	for side, o := range []history.Operation{one, two} {
		var elements []json.RawMessage
		if err := json.Unmarshal(o.Output, &elements); err != nil {
			return bad(o, fmt.Errorf("value: %.60s given, an array allowed", o.Output))
		}
		for _, e := range elements {
			if name := text(e); !unsure[o.Key+"\n"+name] {
				only[name] |= side + 1
			}
		}
	}
	maps.DeleteFunc(only, func(_ string, sides int) bool { return sides == 3 })
	if len(only) == 0 {
		return nil
	}
	e := slices.Sorted(maps.Keys(only))[0]
	has, lacks := one, two
	if only[e] == 2 {
		has, lacks = two, one
	}
	b.add(divergedLists, []history.Operation{has, lacks}, "At the end %s and %s differ in %s: %s has %s, and %s does not.",
		who(one), who(two), count(len(only), "element"), who(has), e, who(lacks))
	return nil
}
