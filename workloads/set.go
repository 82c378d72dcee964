package workloads

import (
	"encoding/json"
	"strconv"

	"rift/checker"
	"rift/harness/gen"
)

// set adds elements, each once, and reads the whole set at the end on every node: what was acknowledged must be there,
// on all of them, and nothing that was never added.
var set = Workload{
	Name:  "set",
	Doc:   "adds unique elements, and reads the whole set at the end on every node",
	Needs: []string{"add", "list"},
	Main: func(Params) gen.Generator {
		return gen.Func(func(i int) gen.Op {
			return gen.Op{F: "add", Value: json.RawMessage(strconv.Itoa(i))}
		})
	},
	Final: func(_ Params, _ []string, workers int) gen.Generator {
		return gen.EachWorker(workers, gen.UntilOK(finalAttempts, gen.Op{F: "list"}))
	},
	Checkers: func() []checker.Named {
		return []checker.Named{{Name: "set", Checker: checker.Set{}}}
	},
}

// finalAttempts bounds how often a final read is tried: the cluster has just recovered and may elect once more.
const finalAttempts = 10
