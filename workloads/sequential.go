package workloads

import (
	"fmt"

	"rift/checker"
	"rift/harness/gen"
)

// The shape of the workloads of plain reads and writes over several keys: a few keys at once, which all clients read and write.
const (
	keysAtOnce = 5
	opsPerKeys = 500 // on those keys, before the next ones
)

// sequential reads and writes several registers: one order of all operations, that of real time or not, must explain what was read.
var sequential = Workload{
	Name:  "sequential",
	Doc:   "reads and writes over several registers, each value written once; sequential consistency",
	Needs: []string{"read", "write"},
	Main:  func(p Params) gen.Generator { return readsAndWrites(p.Seed, "q") },
	Final: readKeys,
	Checkers: func() []checker.Named {
		return []checker.Named{{Name: "sequential", Checker: checker.Sequential{}}}
	},
}

// readsAndWrites is reads and writes, half and half, of a few keys after the other.
func readsAndWrites(seed int64, prefix string) gen.Generator {
	return gen.Func(func(i int) gen.Op {
		draw := gen.Draw(seed, i)
		op := gen.Op{F: "read", Key: fmt.Sprintf("%s%d", prefix, i/opsPerKeys*keysAtOnce+gen.Below(draw>>1, keysAtOnce))}
		if draw&1 == 1 {
			op.F, op.Value = "write", number(i)
		}
		return op
	})
}
