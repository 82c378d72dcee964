package checker

import (
	"fmt"

	"rift/harness/history"
)

// Counter is a number with "add", which takes a whole number of either sign (null: 1), and "read". An add may answer the new sum.
func Counter(first int) Model {
	return Model{
		Name: "counter",
		Doc:  "A read gives the sum of everything that was added.",
		Init: first, Decode: decodeCounter, Step: stepCounter,
		Describe: func(state any) string { return fmt.Sprintf("the counter is %d", state) },
	}
}

// sum is what an add takes, and whether it told the new sum.
type sum struct {
	n    int
	told bool
}

func decodeCounter(o history.Operation) (Call, error) {
	switch o.F {
	case "add":
		n, err := whole(o.Input, 1)
		c := Call{F: o.F, In: n, Out: sum{}}
		if err == nil && o.Type == history.OK && text(o.Output) != null && text(o.Output) != text(o.Input) {
			n, err = whole(o.Output, 0)
			c.Out = sum{n, true}
		}
		return c, err
	case "read":
		n, err := whole(o.Output, 0)
		return Call{F: o.F, Out: n, Pure: true}, err
	}
	return Call{}, unknownFunction(o.F, "add", "read")
}

func stepCounter(state any, c Call) (any, bool) {
	n := state.(int)
	if c.F == "read" {
		return n, n == c.Out
	}
	n += c.In.(int)
	return n, c.Pending || !c.Out.(sum).told || c.Out.(sum).n == n
}
