package workloads

import (
	"fmt"
	"slices"

	"rift/checker"
	"rift/harness/gen"
	"rift/harness/history"
)

// sessions has each process write keys of its own, and read those of all: so the order of each key's versions is known.
var sessions = Workload{
	Name:  "sessions",
	Doc:   "each process writes its own registers and reads everybody's; read-your-writes, monotonic reads and writes, writes-follow-reads",
	Needs: []string{"read", "write"},
	Main: func(p Params) gen.Generator {
		return ownKeys{seed: p.Seed, lives: make([]int, p.Concurrency)}
	},
	Final: readKeys,
	Checkers: func() []checker.Named {
		return []checker.Named{{Name: "sessions", Checker: checker.Sessions{}}}
	},
}

// keysPerProcess is two, so that a process's writes to one can be missed by who has seen the other.
const keysPerProcess = 2

// ownKeys gives each worker writes to keys of its own, and reads of any worker's. When its process is retired, a worker gets new keys, since the
// write of which nobody knows may still come.
type ownKeys struct {
	seed  int64
	i     int
	lives []int // worker -> how many of its processes were retired
}

func (o ownKeys) Next(c gen.Context) (gen.Step, gen.Generator) {
	draw := gen.Draw(o.seed, o.i)
	worker := c.Worker
	op := gen.Op{F: "write", Value: number(o.i)}
	if draw%3 > 0 {
		worker = gen.Below(draw>>8, len(o.lives))
		op = gen.Op{F: "read"}
	}
	op.Key = fmt.Sprintf("s%d.%d.%d", worker, o.lives[worker], gen.Below(draw>>32, keysPerProcess))
	o.i++
	return gen.Step{Status: gen.Ready, Op: op}, o
}

func (o ownKeys) Observe(worker int, ended history.Type) gen.Generator {
	if ended == history.Info {
		o.lives = slices.Clone(o.lives)
		o.lives[worker]++
	}
	return o
}
