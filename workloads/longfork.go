package workloads

import (
	"fmt"

	"rift/checker"
	"rift/checker/txn"
	"rift/harness/gen"
)

// longFork writes each of a few registers once, while others read all of them: of two reads, one must see all that the other one sees. If one sees the first
// write without the second, and another the second without the first, two orders of the writes are known to be about: a long fork, which parallel
// snapshot isolation allows and snapshot isolation does not. To checker/txn it is a G-nonadjacent cycle.
var longFork = Workload{
	Name:  "long-fork",
	Doc:   "single writes, and reads of all registers of a small group; snapshot isolation",
	Needs: []string{"txn"},
	Main: func(p Params) gen.Generator {
		groups := max(1, p.Concurrency/workersPerFork)
		return gen.PerKey(groups, func(i int) gen.Generator { return fork(fmt.Sprintf("f%d", i)) })
	},
	Checkers: func() []checker.Named {
		return transactions(txn.Checker{Kind: txn.Register, Expect: txn.SnapshotIsolation})
	},
}

const (
	workersPerFork = 5
	registersFork  = 3
	readsPerWrite  = 4
)

// fork is one group: a write, some reads of all, the next write, ...
func fork(group string) gen.Generator {
	registers := make([]string, registersFork)
	reads := make([]string, registersFork)
	for k := range registers {
		registers[k] = fmt.Sprintf("%s.%d", group, k)
		reads[k] = read(registers[k])
	}
	return gen.Limit(registersFork*(1+readsPerWrite), gen.Func(func(j int) gen.Op {
		if j%(1+readsPerWrite) > 0 {
			return micro(group, reads...)
		}
		return micro(group, fmt.Sprintf(`["w","%s",1]`, registers[j/(1+readsPerWrite)%registersFork]))
	}))
}
