package workloads

import (
	"rift/checker"
	"rift/harness/gen"
)

// setFull adds elements and lists them all the time, and so tells of each element how long it took to be there for good.
var setFull = Workload{
	Name:  "set-full",
	Doc:   "adds elements to sets and lists them all the time: each is there from its acknowledgement on",
	Needs: []string{"add", "list"},
	Main:  func(p Params) gen.Generator { return growingSets(p, "s") },
	Final: func(_ Params, keys []string, workers int) gen.Generator {
		lists := make([]gen.Op, len(keys))
		for i, key := range keys {
			lists[i] = gen.Op{F: "list", Key: key}
		}
		return gen.EachWorker(workers, gen.UntilOK(finalAttempts, lists...))
	},
	Checkers: func() []checker.Named {
		return []checker.Named{{Name: "set-full", Checker: checker.SetFull{}}}
	},
}
