package checker

import (
	"fmt"

	"rift/harness/history"
)

// Semaphore has permits to give: "acquire" takes some (null: one), "release" gives some back.
func Semaphore(permits int) Model {
	return Model{
		Name: "semaphore",
		Doc:  fmt.Sprintf("Never more than %d permits are held at once, and none is released that is not held.", permits),
		Init: permits, Decode: decodeSemaphore,
		Step: func(state any, c Call) (any, bool) {
			left := state.(int)
			if c.F == "acquire" {
				return left - c.In.(int), left >= c.In.(int)
			}
			return left + c.In.(int), left+c.In.(int) <= permits
		},
		Describe: func(state any) string { return fmt.Sprintf("%d of %d permits are left", state, permits) },
	}
}

func decodeSemaphore(o history.Operation) (Call, error) {
	if o.F != "acquire" && o.F != "release" {
		return Call{}, unknownFunction(o.F, "acquire", "release")
	}
	n, err := whole(o.Input, 1)
	if err == nil && n < 1 {
		err = fmt.Errorf("value: %s given, a number above 0 allowed", o.Input)
	}
	return Call{F: o.F, In: n}, err
}
