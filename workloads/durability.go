package workloads

import (
	"fmt"

	"rift/checker"
	"rift/harness/gen"
)

// writesPerKey keeps the number of reads at the end, one a key, well below that of writes.
const writesPerKey = 20

// durability writes and does not look until the end: then what was acknowledged is there, or something newer. Each key has one writer at a time, so
// that it is certain which of its writes is the last one.
var durability = Workload{
	Name:  "durability",
	Doc:   "writes registers, and reads each at the end: no acknowledged write is lost",
	Needs: []string{"read", "write"},
	Main: func(p Params) gen.Generator {
		return gen.PerKey(p.Concurrency, func(i int) gen.Generator {
			key := fmt.Sprintf("d%d", i)
			return gen.Limit(writesPerKey, gen.Func(func(j int) gen.Op { return gen.Op{F: "write", Key: key, Value: number(j)} }))
		})
	},
	Final: readKeys,
	Checkers: func() []checker.Named {
		return []checker.Named{{Name: "durability", Checker: checker.Durability{}}}
	},
}
