package workloads

import (
	"encoding/json"
	"fmt"
	"time"

	"rift/checker"
	"rift/harness/gen"
	"rift/harness/history"
)

const (
	ttlKeys  = 100  // that are put and read at the same time
	ttlTurn  = 2000 // operations before others take their place: a put of which nobody knows proves nothing of its key from then on
	ttlPuts  = 8    // one operation in so many is a put
	ttlBound = 5 * time.Second
)

// lifetimes are how long keys are put for: shorter and longer than most faults.
var lifetimes = []time.Duration{200 * time.Millisecond, time.Second, 3 * time.Second}

// ttl puts keys that live for a limited time, and reads them. At the end it waits until everything must have gone.
var ttl = Workload{
	Name:  "ttl",
	Doc:   "puts keys that live for a limited time, and reads them: none goes early, none stays, none comes back",
	Needs: []string{"put-ttl", "read"},
	Main: func(p Params) gen.Generator {
		return gen.Func(func(i int) gen.Op {
			draw := gen.Draw(p.Seed, i)
			op := gen.Op{F: "read", Key: fmt.Sprintf("t%d", i/ttlTurn*ttlKeys+gen.Below(draw>>8, ttlKeys))}
			if draw%ttlPuts == 0 {
				lifetime := lifetimes[gen.Below(draw>>40, len(lifetimes))]
				op.F, op.Value = "put-ttl", json.RawMessage(fmt.Sprintf("[%s,%q]", number(i), lifetime))
			}
			return op
		})
	},
	Final: func(_ Params, keys []string, _ int) gen.Generator {
		longest := lifetimes[len(lifetimes)-1] + ttlBound
		settled, _ := json.Marshal(history.Duration(longest)) // of a duration, which never fails
		reads := make([]gen.Op, len(keys))
		for i, key := range keys {
			reads[i] = gen.Op{F: "read", Key: key, Value: settled}
		}
		return gen.After(longest, gen.UntilOK(finalAttempts, reads...))
	},
	Checkers: func() []checker.Named {
		return []checker.Named{{Name: "ttl", Checker: checker.TTL{Bound: ttlBound}}}
	},
}
