package workloads

import (
	"rift/checker"
	"rift/harness/gen"
)

// uniqueIDs asks for identifiers, of which no two may be the same.
var uniqueIDs = Workload{
	Name:  "unique-ids",
	Doc:   "asks for identifiers, of which no two may be the same",
	Needs: []string{"generate"},
	Main:  func(Params) gen.Generator { return gen.Func(func(int) gen.Op { return gen.Op{F: "generate"} }) },
	Checkers: func() []checker.Named {
		return []checker.Named{{Name: "unique-ids", Checker: checker.UniqueIDs{}}}
	},
}
