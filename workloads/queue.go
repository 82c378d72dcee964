package workloads

import (
	"fmt"

	"rift/checker"
	"rift/harness/gen"
)

const (
	opsPerQueue     = 120
	workersPerQueue = 5
)

// queue puts values into queues and takes them out, first in, first out; at the end every queue is drained.
var queue = Workload{
	Name:  "queue",
	Doc:   "puts unique values into queues and takes them out, first in, first out; drains the queues at the end",
	Needs: []string{"enqueue", "dequeue", "drain"},
	Main: func(p Params) gen.Generator {
		return gen.PerKey(max(1, p.Concurrency/workersPerQueue), func(i int) gen.Generator {
			key, seed := fmt.Sprintf("q%d", i), int64(gen.Draw(p.Seed, i))
			return gen.Limit(opsPerQueue, gen.Func(func(j int) gen.Op {
				if gen.Draw(seed, j)&1 == 1 {
					return gen.Op{F: "enqueue", Key: key, Value: number(j)}
				}
				return gen.Op{F: "dequeue", Key: key}
			}))
		})
	},
	Final: func(_ Params, keys []string, _ int) gen.Generator {
		drains := make([]gen.Op, len(keys))
		for i, key := range keys {
			drains[i] = gen.Op{F: "drain", Key: key}
		}
		return gen.UntilOK(finalAttempts, drains...)
	},
	Checkers: func() []checker.Named {
		return []checker.Named{{Name: "total-queue", Checker: checker.TotalQueue{FIFO: true}}}
	},
}
