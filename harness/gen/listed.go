package gen

import (
	"slices"
	"time"

	"rift/harness/history"
)

// Listed gives each worker the operations that are listed for it, in their order and not before their times.
func Listed(ops []history.TimedOp) Generator {
	g := listed{}
	for _, op := range ops {
		for len(g.left) <= op.Client {
			g.left = append(g.left, nil)
		}
		g.left[op.Client] = append(g.left[op.Client], op)
	}
	return g
}

// listed has for each worker what is left to do.
type listed struct{ left [][]history.TimedOp }

func (g listed) Next(c Context) (Step, Generator) {
	if c.Worker >= len(g.left) || len(g.left[c.Worker]) == 0 {
		return Step{}, g
	}
	op := g.left[c.Worker][0]
	left := slices.Clone(g.left)
	left[c.Worker] = left[c.Worker][1:]
	return Step{Status: Ready, Op: Op{F: op.F, Key: op.Key, Value: op.Value}, At: time.Duration(op.At)}, listed{left}
}
