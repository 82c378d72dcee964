package workloads

import (
	"fmt"

	"rift/checker"
	"rift/harness/gen"
)

// The shape of the workloads of sets that are listed all the time: several small ones, one after the other.
const (
	workersPerSet = 10
	opsPerSet     = 200
)

// prefix adds elements and lists them, on all nodes: however stale a list is, it shows the first so many of one order.
var prefix = Workload{
	Name:  "prefix",
	Doc:   "adds elements to sets and lists them on all nodes; consistent prefix",
	Needs: []string{"add", "list"},
	Main:  func(p Params) gen.Generator { return growingSets(p, "p") },
	Checkers: func() []checker.Named {
		return []checker.Named{{Name: "prefix", Checker: checker.Prefix{}}}
	},
}

// growingSets is adds and lists, half and half.
func growingSets(p Params, prefix string) gen.Generator {
	return gen.PerKey(max(1, p.Concurrency/workersPerSet), func(i int) gen.Generator {
		key, seed := fmt.Sprintf("%s%d", prefix, i), int64(gen.Draw(p.Seed, i))
		return gen.Limit(opsPerSet, gen.Func(func(j int) gen.Op {
			if gen.Draw(seed, j)&1 == 1 {
				return gen.Op{F: "add", Key: key, Value: number(j)}
			}
			return gen.Op{F: "list", Key: key}
		}))
	})
}
