package checker

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"rift/harness/history"
)

// Bank checks that money is only moved, as in Jepsen's bank test: "transfer" takes {"from", "to", "amount"}, and "balances" or "read" answers an object
// of all accounts, whose balances must have the same total in every answer. An account that an answer leaves out holds nothing. That it
// finds a wrong total proves that reads are no snapshots or that transfers are not atomic; that it finds none proves neither. It takes O(n) for
// n balances.
type Bank struct {
	Total     int
	Overdraft bool // accounts may go below zero
}

const (
	wrongTotal = "wrong-total"
	overdrawn  = "negative-balance"
)

// transfer is the value of a transfer.
type transfer struct {
	From   json.RawMessage `json:"from"`
	To     json.RawMessage `json:"to"`
	Amount *int            `json:"amount"`
}

// Check implements Checker.
func (c Bank) Check(_ context.Context, h history.History) Result {
	r := Result{Checker: "bank", Method: "the total of every answer"}
	v := view{h}
	all, err := v.spans()
	if err != nil {
		return r.unreadable(err)
	}
	b := newBreaches(
		promise{wrongTotal, "A transfer moves money and makes none, and all balances are read at one moment: their total never changes."},
		promise{overdrawn, "No account goes below zero."},
	)
	r.Counts = map[string]int{CountOperations: len(all)}
	var last *history.Operation // the last answer with the right total
	for _, s := range all {
		o := v.operation(s)
		switch o.F {
		case "transfer":
			err = readTransfer(o)
			if o.Type == history.OK {
				r.Counts["transfers"]++
			}
		case "balances", "read":
			if o.Type == history.OK {
				last, err = c.judge(o, last, b)
				r.Counts["reads"]++
			}
		default:
			err = unknownFunction(o.F, "transfer", "balances", "read")
		}
		if err != nil {
			return r.unreadable(bad(o, err))
		}
	}
	switch {
	case b.settle(&r):
	case r.Counts["transfers"] == 0:
		r.Summary = "No transfer was acknowledged, so nothing was put to the test."
	case r.Counts["reads"] == 0:
		r.Summary = "The balances were never read, so nobody knows what they are."
	default:
		r.Verdict = Valid
		r.Summary = fmt.Sprintf("The balances were read %s, and their total was always %d, over %s.",
			times(r.Counts["reads"]), c.Total, count(r.Counts["transfers"], "transfer"))
	}
	return r
}

func readTransfer(o history.Operation) error {
	var t transfer
	if err := json.Unmarshal(o.Input, &t); err != nil || t.From == nil || t.To == nil || t.Amount == nil {
		return fmt.Errorf(`value: %.80s given, {"from", "to", "amount"} allowed`, o.Input)
	}
	return nil
}

// times is how often: "once", "3 times".
func times(n int) string {
	if n == 1 {
		return "once"
	}
	return thousands(n) + " times"
}

// judge adds up one answer. It gives the last one that was right, which is shown beside the next that is not.
func (c Bank) judge(o history.Operation, last *history.Operation, b *breaches) (*history.Operation, error) {
	var balances map[string]int
	if err := json.Unmarshal(o.Output, &balances); err != nil {
		return last, fmt.Errorf("value: %.80s given, an object of whole numbers allowed", o.Output)
	}
	total := 0
	var below []string
	for _, account := range slices.Sorted(maps.Keys(balances)) {
		total += balances[account]
		if balances[account] < 0 {
			below = append(below, fmt.Sprintf("%s holds %d", account, balances[account]))
		}
	}
	if len(below) > 0 && !c.Overdraft {
		b.add(overdrawn, []history.Operation{o}, "%s answered, %s, that %s.", who(o), at(o.Completed), strings.Join(below, ", "))
	}
	if total == c.Total {
		return &o, nil
	}
	shown, before := []history.Operation{o}, ""
	if last != nil {
		shown = []history.Operation{*last, o}
		before = fmt.Sprintf(" The last answer before it with the right total was %s's %s.", who(*last), at(last.Completed))
	}
	b.add(wrongTotal, shown, "%s answered balances %s that add up to %d, where it is always %d: %s.%s",
		who(o), at(o.Completed), total, c.Total, o.Output, before)
	return last, nil
}
