package workloads

import (
	"rift/checker"
	"rift/harness/gen"
)

// causal does what sequential does, and asks for less: whoever saw something sees everything that led to it, and all replicas
// order conflicting writes alike.
var causal = Workload{
	Name:  "causal",
	Doc:   "reads and writes over several registers, each value written once; causal consistency with convergence",
	Needs: []string{"read", "write"},
	Main:  func(p Params) gen.Generator { return readsAndWrites(p.Seed, "u") },
	Final: readKeys,
	Checkers: func() []checker.Named {
		return []checker.Named{{Name: "causal", Checker: checker.Causal{Convergent: true}}}
	},
}
