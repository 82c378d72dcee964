package checker

import (
	"slices"

	"rift/harness/history"
)

// GrowingSet is a set with "add" and "list", judged for linearizability. The checker Set asks for less, in linear time.
func GrowingSet() Model {
	return Model{
		Name: "set",
		Doc:  "A list answers exactly the elements that were added.",
		Init: items(""), Decode: decodeSet, Step: stepSet,
		Describe: func(state any) string { return state.(items).describe("set") },
	}
}

func decodeSet(o history.Operation) (Call, error) {
	switch o.F {
	case "add":
		return Call{F: o.F, In: text(o.Input)}, nil
	case "list":
		if o.Type != history.OK {
			return Call{F: o.F, Pure: true}, nil
		}
		all, err := sortedItems(o.Output)
		return Call{F: o.F, Out: all, Pure: true}, err
	}
	return Call{}, unknownFunction(o.F, "add", "list")
}

func stepSet(state any, c Call) (any, bool) {
	s := state.(items)
	if c.F == "list" {
		return s, c.Out == s
	}
	all := s.split()
	at, found := slices.BinarySearch(all, c.In.(string))
	if found {
		return s, true
	}
	return join(slices.Insert(all, at, c.In.(string))), true
}
