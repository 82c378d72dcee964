package workloads

import (
	"encoding/json"
	"fmt"
	"strings"

	"rift/checker"
	"rift/harness/gen"
)

const (
	accounts   = 8
	amountMost = 5
)

// bank moves money between a few accounts and reads all of them: their total never changes. The accounts begin with nothing and may go
// below, so the total is 0 and nothing has to be set up.
var bank = Workload{
	Name:  "bank",
	Doc:   "transfers between accounts, and reads of all balances, whose total never changes",
	Needs: []string{"transfer", "balances"},
	Main: func(p Params) gen.Generator {
		return gen.Mix(p.Seed, gen.Weighted{Weight: 1, Generator: gen.Func(func(i int) gen.Op { return transfer(p.Seed, i) })},
			gen.Weighted{Weight: 1, Generator: gen.Func(func(int) gen.Op { return balances() })})
	},
	Final: func(_ Params, _ []string, workers int) gen.Generator {
		return gen.EachWorker(workers, gen.UntilOK(finalAttempts, balances()))
	},
	Checkers: func() []checker.Named {
		return []checker.Named{{Name: "bank", Checker: checker.Bank{Overdraft: true}}}
	},
}

// transfer is the i-th transfer, between two different accounts.
func transfer(seed int64, i int) gen.Op {
	draw := gen.Draw(seed, i)
	from := gen.Below(draw, accounts)
	to := (from + 1 + gen.Below(draw>>16, accounts-1)) % accounts
	amount := 1 + gen.Below(draw>>32, amountMost)
	return gen.Op{F: "transfer", Value: json.RawMessage(fmt.Sprintf(`{"from":"a%d","to":"a%d","amount":%d}`, from, to, amount))}
}

func balances() gen.Op {
	names := make([]string, accounts)
	for i := range names {
		names[i] = fmt.Sprintf(`"a%d"`, i)
	}
	return gen.Op{F: "balances", Value: json.RawMessage("[" + strings.Join(names, ",") + "]")}
}
