package workloads

import (
	"encoding/json"
	"fmt"
	"strconv"

	"rift/checker"
	"rift/harness/gen"
)

const (
	opsPerCounter     = 200
	workersPerCounter = 5
)

// counter adds to counters and reads them: they show what was acknowledged, and no more than was asked for.
var counter = Workload{
	Name:  "counter",
	Doc:   "adds positive and negative amounts to counters, and reads them",
	Needs: []string{"increment", "read"},
	Main: func(p Params) gen.Generator {
		return gen.PerKey(max(1, p.Concurrency/workersPerCounter), func(i int) gen.Generator {
			key, seed := fmt.Sprintf("c%d", i), int64(gen.Draw(p.Seed, i))
			return gen.Limit(opsPerCounter, gen.Func(func(j int) gen.Op {
				draw := gen.Draw(seed, j)
				amount := 1 + gen.Below(draw>>2, 9)
				switch draw % 4 {
				case 0:
					amount = -amount
				case 1, 2:
					return gen.Op{F: "read", Key: key}
				}
				return gen.Op{F: "increment", Key: key, Value: json.RawMessage(strconv.Itoa(amount))}
			}))
		})
	},
	Final: readKeys,
	Checkers: func() []checker.Named {
		return []checker.Named{{Name: "counter-bounds", Checker: checker.CounterBounds{}}}
	},
}
