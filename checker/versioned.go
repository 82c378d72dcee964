package checker

import (
	"encoding/json"
	"fmt"

	"rift/harness/history"
)

// VersionedRegister is a register that counts its updates. Every value is [version, value]: a read answers both, a write and a cas are invoked with
// version null and answer the version that they made, or null if the client was not told.
func VersionedRegister() Model {
	return Model{
		Name: "versioned-register",
		Doc:  "A register whose version grows by one with each write or cas, and is read with the value.",
		Init: versioned{value: null}, Decode: decodeVersioned, Step: stepVersioned,
		Describe: func(state any) string {
			s := state.(versioned)
			return fmt.Sprintf("the register holds %s in version %d", s.value, s.version)
		},
	}
}

type versioned struct {
	version int
	value   string
}

// anyVersion stands for a version that was not told.
const anyVersion = -1

func decodeVersioned(o history.Operation) (Call, error) {
	if o.F != "read" && o.F != "write" && o.F != "cas" {
		return Call{}, unknownFunction(o.F, "read", "write", "cas")
	}
	c := Call{F: o.F, Out: anyVersion, Pure: o.F == "read" || o.Type == history.Fail}
	if o.Type == history.OK {
		version, value, err := versionAndValue(o.Output)
		if err != nil {
			return c, err
		}
		if c.Out = version; o.F == "read" {
			c.In = value
			return c, nil
		}
	}
	if o.F == "read" {
		return c, nil
	}
	_, value, err := versionAndValue(o.Input)
	c.In = value
	if err == nil && o.F == "cas" {
		var was, is string
		was, is, err = pair(json.RawMessage(value))
		c.In = swap{was, is}
	}
	return c, err
}

func versionAndValue(b json.RawMessage) (version int, value string, err error) {
	first, value, err := pair(b)
	if err != nil {
		return 0, "", err
	}
	version, err = whole(json.RawMessage(first), anyVersion)
	return version, value, err
}

func stepVersioned(state any, c Call) (any, bool) {
	s := state.(versioned)
	next := s
	switch c.F {
	case "read":
		return s, s.value == c.In && (c.Out == s.version || c.Out == anyVersion)
	case "write":
		next = versioned{s.version + 1, c.In.(string)}
	default:
		in := c.In.(swap)
		if c.Pure {
			return s, s.value != in.old
		}
		if s.value != in.old {
			return s, false
		}
		next = versioned{s.version + 1, in.new}
	}
	return next, c.Pending || c.Out == next.version || c.Out == anyVersion
}
