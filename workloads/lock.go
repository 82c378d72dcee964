package workloads

import (
	"fmt"

	"rift/checker"
	"rift/harness/gen"
)

const (
	opsPerLock     = 20 // of each worker: a lock whose holder is gone for good is soon left
	workersPerLock = 5
)

// lock acquires and releases locks: one holder at a time, and fencing tokens that grow.
var lock = Workload{
	Name:  "lock",
	Doc:   "acquires and releases locks: one holder at a time, and fencing tokens that grow",
	Needs: []string{"acquire", "release"},
	Main: func(p Params) gen.Generator {
		return gen.PerKey(max(1, p.Concurrency/workersPerLock), func(i int) gen.Generator {
			key := fmt.Sprintf("m%d", i)
			return gen.EachWorker(p.Concurrency, gen.Limit(opsPerLock, gen.Func(func(j int) gen.Op {
				return gen.Op{F: [...]string{"acquire", "release"}[j%2], Key: key}
			})))
		})
	},
	Checkers: func() []checker.Named {
		return []checker.Named{{Name: "mutual-exclusion", Checker: checker.MutualExclusion{Fenced: true}}}
	},
}
