package workloads

import (
	"time"

	"rift/checker"
	"rift/harness/gen"
)

// staleMost is how old a read may be: long against what replication takes, short against what faults take.
const staleMost = time.Second

// staleBound reads and writes several registers, and tells how old what was read is: never more than a second. A store that lets reads be stale,
// but not too much, can be asked for such reads by the system's options.
var staleBound = Workload{
	Name:  "stale-bound",
	Doc:   "reads and writes over several registers: no read is older than a second",
	Needs: []string{"read", "write"},
	Main:  func(p Params) gen.Generator { return readsAndWrites(p.Seed, "t") },
	Final: readKeys,
	Checkers: func() []checker.Named {
		return []checker.Named{{Name: "stale-bound", Checker: checker.StaleBound{Bound: staleMost}}}
	},
}
