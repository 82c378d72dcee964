package checker

import (
	"rift/harness/history"
)

// null is the value of a register that was never written.
const null = "null"

// Register is a register with read, write and cas. Values are JSON scalars, and the first one is null. A cas carries [old, new].
func Register() Model {
	return Model{
		Name: "register",
		Doc:  "A read gives the value of the latest write or cas; a cas writes only where it finds the value it expects.",
		Init: null, Decode: decodeRegister, Step: stepRegister,
		Describe: func(state any) string { return "the register holds " + state.(string) },
		gears:    []gear{zones}, explain: explainRegister,
	}
}

// swap is the input of a cas.
type swap struct{ old, new string }

func decodeRegister(o history.Operation) (Call, error) {
	switch o.F {
	case "read":
		return Call{F: o.F, Out: text(o.Output), Pure: true}, nil
	case "write":
		return Call{F: o.F, In: text(o.Input), Out: true}, nil
	case "cas":
		was, is, err := pair(o.Input)
		return Call{F: o.F, In: swap{was, is}, Out: o.Type == history.OK, Pure: o.Type == history.Fail}, err
	}
	return Call{}, unknownFunction(o.F, "read", "write", "cas")
}

func stepRegister(state any, c Call) (any, bool) {
	switch c.F {
	case "read":
		return state, state == c.Out
	case "write":
		return c.In, true
	default:
		in := c.In.(swap)
		if c.Pure {
			return state, state != in.old
		}
		return in.new, state == in.old
	}
}
