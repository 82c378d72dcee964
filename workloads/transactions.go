package workloads

import (
	"encoding/json"
	"fmt"
	"strings"

	"rift/checker"
	"rift/checker/txn"
	"rift/harness/gen"
)

// The shape of the workloads of transactions. A few objects at once are fought over by all clients, and soon replaced by others, so that lists stay short.
const (
	objectsPerGroup = 10
	txnsPerGroup    = 200
	opsPerTxnMost   = 5
)

// listAppend appends to lists and reads them, 1 to 5 of these in a transaction. A read of a list shows the order of everything that was appended
// before, so that more can be proven than with any other data: it is Elle's main workload.
var listAppend = Workload{
	Name:     "list-append",
	Doc:      "transactions that append unique values to lists and read lists; strict serializability",
	Needs:    []string{"txn"},
	Main:     func(p Params) gen.Generator { return groupsOfTxns(p.Seed, "append") },
	Final:    readGroups,
	Checkers: func() []checker.Named { return transactions(txn.Checker{Kind: txn.ListAppend}) },
}

// rwRegister is list-append with registers, which every database has, but of which a read shows only the last write.
var rwRegister = Workload{
	Name:     "rw-register",
	Doc:      "transactions that write unique values to registers and read registers; strict serializability",
	Needs:    []string{"txn"},
	Main:     func(p Params) gen.Generator { return groupsOfTxns(p.Seed, "w") },
	Final:    readGroups,
	Checkers: func() []checker.Named { return transactions(txn.Checker{Kind: txn.Register}) },
}

func transactions(c txn.Checker) []checker.Named {
	return []checker.Named{{Name: c.Kind.String(), Checker: c}}
}

// groupsOfTxns is transactions over one group of objects after the other. An operation's key is its group, whose objects no
// other group's transactions touch.
func groupsOfTxns(seed int64, write string) gen.Generator {
	return gen.PerKey(1, func(i int) gen.Generator {
		group, seed := fmt.Sprintf("g%d", i), int64(gen.Draw(seed, i))
		return gen.Limit(txnsPerGroup, gen.Func(func(j int) gen.Op {
			ops := make([]string, 1+gen.Below(gen.Draw(seed, 2*j), opsPerTxnMost))
			for k := range ops {
				draw := gen.Draw(seed, 2*(j*opsPerTxnMost+k)+1)
				object := fmt.Sprintf("%s.%d", group, gen.Below(draw>>1, objectsPerGroup))
				ops[k] = read(object)
				if draw&1 == 1 {
					ops[k] = fmt.Sprintf(`["%s","%s",%d]`, write, object, j*opsPerTxnMost+k+1)
				}
			}
			return micro(group, ops...)
		}))
	})
}

// readGroups reads all objects of each group in one transaction.
func readGroups(_ Params, groups []string, _ int) gen.Generator {
	reads := make([]gen.Op, len(groups))
	for i, group := range groups {
		ops := make([]string, objectsPerGroup)
		for k := range ops {
			ops[k] = read(fmt.Sprintf("%s.%d", group, k))
		}
		reads[i] = micro(group, ops...)
	}
	return gen.UntilOK(finalAttempts, reads...)
}

// micro is a transaction of micro-operations.
func micro(group string, ops ...string) gen.Op {
	return gen.Op{F: "txn", Key: group, Value: json.RawMessage("[" + strings.Join(ops, ",") + "]")}
}

func read(object string) string { return fmt.Sprintf(`["r","%s",null]`, object) }
