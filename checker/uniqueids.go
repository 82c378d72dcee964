package checker

import (
	"context"
	"fmt"

	"rift/harness/history"
)

// UniqueIDs checks that "generate" never answers the same identifier twice: Maelstrom's unique-ids, in O(n).
type UniqueIDs struct{}

const duplicateID = "duplicate-id"

// Check implements Checker.
func (UniqueIDs) Check(_ context.Context, h history.History) Result {
	r := Result{Checker: "unique-ids", Method: "every answer against every other"}
	v := view{h}
	all, err := v.spans()
	if err != nil {
		return r.unreadable(err)
	}
	b := newBreaches(promise{duplicateID, "An identifier is given out once."})
	first := make(map[string]span, len(all))
	for _, s := range all {
		o := v.operation(s)
		switch {
		case o.F != "generate":
			return r.unreadable(unknownFunction(o.F, "generate"))
		case o.Type != history.OK:
			continue
		}
		id := text(o.Output)
		earlier, known := first[id]
		if !known {
			first[id] = s
			continue
		}
		e := v.operation(earlier)
		b.add(duplicateID, []history.Operation{e, o}, "%s gave out %s, which %s had given out as well, %s.", who(o), id, who(e), at(e.Completed))
	}
	r.Counts = map[string]int{CountOperations: len(all), "identifiers": len(first)}
	switch {
	case b.settle(&r):
	case len(first) < 2:
		r.Summary = "Fewer than two identifiers were given out, so nothing was put to the test."
	default:
		r.Verdict = Valid
		r.Summary = fmt.Sprintf("%s were given out, and no two are the same.", count(len(first), "identifier"))
	}
	return r
}
