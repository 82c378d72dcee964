package workloads

import (
	"encoding/json"
	"fmt"
	"strconv"

	"rift/checker"
	"rift/harness/gen"
)

// The shape of the register workload. A key is worked on by a few workers at once, which is what makes a history hard to
// satisfy, and for a limited number of operations, which keeps it cheap to check.
const (
	workersPerKey  = 5
	opsPerKeyLeast = 80
	opsPerKeyMost  = 320
	recentWrites   = 4 // a cas expects one of the last few values that were written
)

// register reads, writes and compares-and-swaps many independent registers. Every value is written at most once, so
// that a read tells which write it saw.
var register = Workload{
	Name:  "register",
	Doc:   "reads, writes and compare-and-swaps over many independent registers, each value written once",
	Needs: []string{"read", "write", "cas"},
	Main: func(p Params) gen.Generator {
		groups := max(1, p.Concurrency/workersPerKey)
		return gen.PerKey(groups, func(i int) gen.Generator { return registerKey(p.Seed, i) })
	},
	Final: readKeys,
	Checkers: func() []checker.Named {
		return []checker.Named{{Name: "linearizable", Checker: checker.Linearizable{Model: checker.Register()}}}
	},
}

// readKeys reads each key once.
func readKeys(_ Params, keys []string, _ int) gen.Generator {
	reads := make([]gen.Op, len(keys))
	for i, key := range keys {
		reads[i] = gen.Op{F: "read", Key: key}
	}
	return gen.UntilOK(finalAttempts, reads...)
}

// registerKey is the operations on the i-th register: half reads, a quarter writes, a quarter cas.
func registerKey(seed int64, i int) gen.Generator {
	key := fmt.Sprintf("r%d", i)
	seed = int64(gen.Draw(seed, i))
	length := opsPerKeyLeast + gen.Below(gen.Draw(seed, 0), opsPerKeyMost-opsPerKeyLeast)
	return gen.Limit(length, gen.Func(func(j int) gen.Op {
		op := gen.Op{F: registerFunction(seed, j), Key: key}
		switch op.F {
		case "write":
			op.Value = number(j)
		case "cas":
			op.Value = json.RawMessage(fmt.Sprintf("[%s,%d]", recentValue(seed, j), j+1))
		}
		return op
	}))
}

func registerFunction(seed int64, j int) string {
	switch x := gen.Below(gen.Draw(seed, 2*j+1), 4); x {
	case 0:
		return "write"
	case 1:
		return "cas"
	}
	return "read"
}

// number is the value that the j-th operation writes: 1, 2, 3, ...
func number(j int) json.RawMessage { return strconv.AppendInt(nil, int64(j+1), 10) }

// recentValue is one of the values that the last few writing operations before the j-th were to leave; null before the first.
func recentValue(seed int64, j int) json.RawMessage {
	skip := gen.Below(gen.Draw(seed, 2*j+2), recentWrites)
	value := json.RawMessage("null")
	for k := j - 1; k >= 0; k-- {
		if registerFunction(seed, k) == "read" {
			continue
		}
		value = number(k)
		if skip == 0 {
			break
		}
		skip--
	}
	return value
}
