package workloads

import (
	"fmt"

	"rift/checker"
	"rift/checker/txn"
	"rift/harness/gen"
)

// writeSkew has two transactions at once read the same two registers, and each write one of them: if both find both unwritten, no order of the
// two explains it. That is write skew, which snapshot isolation allows and serializability does not; to checker/txn it is a
// G2-item cycle. Each pair of registers is used once.
var writeSkew = Workload{
	Name:  "write-skew",
	Doc:   "pairs of transactions that read the same two registers and write one each; serializability",
	Needs: []string{"txn"},
	Main: func(p Params) gen.Generator {
		return gen.PerKey(max(1, p.Concurrency/2), func(i int) gen.Generator {
			pair := fmt.Sprintf("p%d", i)
			a, b := pair+".a", pair+".b"
			return gen.Limit(3, gen.Func(func(j int) gen.Op {
				switch j {
				case 0:
					return micro(pair, read(a), read(b), fmt.Sprintf(`["w","%s",1]`, a))
				case 1:
					return micro(pair, read(a), read(b), fmt.Sprintf(`["w","%s",2]`, b))
				}
				return micro(pair, read(a), read(b))
			}))
		})
	},
	Checkers: func() []checker.Named {
		return transactions(txn.Checker{Kind: txn.Register, Expect: txn.Serializable})
	},
}
