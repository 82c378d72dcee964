package checker

import (
	"fmt"

	"rift/harness/history"
)

// FencedLock is an owned lock whose "acquire" answers a fence, a whole number that grows with every acquisition. The
// holder is the operation's value, or else its process.
func FencedLock() Model {
	return Model{
		Name: "fenced-lock",
		Doc:  "The lock is acquired only while it is free, with a fence above all earlier ones, and released only by its holder.",
		Init: fenced{}, Decode: decodeFenced, Step: stepFenced,
		Describe: func(state any) string {
			s := state.(fenced)
			return fmt.Sprintf("%s, the last fence is %d", describeLock(s.lock), s.fence)
		},
	}
}

type fenced struct {
	lock
	fence int
}

func decodeFenced(o history.Operation) (Call, error) {
	switch o.F {
	case "release":
		return Call{F: o.F, In: holder(o)}, nil
	case "acquire":
		c := Call{F: o.F, In: holder(o)}
		if o.Type != history.OK {
			return c, nil
		}
		fence, err := whole(o.Output, 0)
		if err == nil && fence < 1 {
			err = fmt.Errorf("value: %s given, a fence above 0 allowed", text(o.Output))
		}
		c.Out = fence
		return c, err
	}
	return Call{}, unknownFunction(o.F, "acquire", "release")
}

func stepFenced(state any, c Call) (any, bool) {
	s, who := state.(fenced), c.In.(string)
	if c.F == "release" {
		return fenced{lock{}, s.fence}, s.depth == 1 && s.holder == who
	}
	fence, told := c.Out.(int)
	if !told {
		fence = s.fence + 1 // the least that it can have been
	}
	return fenced{lock{who, 1}, fence}, s.depth == 0 && fence > s.fence
}
