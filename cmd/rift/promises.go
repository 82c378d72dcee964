package main

import (
	"slices"

	"rift/checker"
	"rift/checker/txn"
)

// Descriptions of functions and values that several promises share.
const (
	registerCalls = "`read` → value or `null`; `write` value; `cas` `[old, new]`"
	accessCalls   = "`read` → value or `null`; `write` value, each written to a key once"
	setCalls      = "`add` element; `list` or `read` → array of elements"
	lockCalls     = "`acquire`; `release`; the value names the client, `null`: the process"
	fenceCalls    = "`acquire` → the fence, a number above 0; `release`; the value names the client, `null`: the process"
	queueCalls    = "`enqueue` value; `dequeue` → value"
)

// Functions as Jepsen's workloads call them.
var (
	setWords  = map[string]string{"read": "list"}
	bankWords = map[string]string{"read": "balances"}
)

// promises are all that a history can be judged by, but for workloads; see promisesAndWorkloads.
var promises = []promise{
	linearizable("register", registerCalls, checker.Register()),
	linearizable("cas-register", registerCalls, checker.Register()),
	linearizable("versioned-register",
		"values are `[version, value]`: `read` → both; `write` and `cas` take version `null` → the version made, or `null`", checker.VersionedRegister()),
	{
		name: "multi-register", doc: checker.MultiRegister(nil).Doc,
		calls:    "`txn` `[[\"read\", key, null], [\"write\", key, value]]` → the same with what was read; `r` and `w` do as well",
		settings: []setting{{anyName, "null", "the first value of the register KEY, as JSON"}},
		judges:   model(func(s *settings) checker.Model { return checker.MultiRegister(s.values()) }),
	},
	linearizable("mutex", "`acquire`; `release`", checker.Mutex()),
	linearizable("owned-mutex", lockCalls, checker.OwnedMutex()),
	{
		name: "reentrant-mutex", doc: "An owned mutex that its holder may acquire several times, and must release as often.", calls: lockCalls,
		settings: []setting{{"n", "2", "how many times, 1 or more"}},
		judges:   model(func(s *settings) checker.Model { return checker.ReentrantMutex(s.whole("n", 1)) }),
	},
	{
		name: "semaphore", doc: "Never more permits are held at once than there are, and none is released that is not held.",
		calls:    "`acquire` and `release` take how many, `null`: one",
		settings: []setting{{"n", "2", "how many permits there are, 1 or more"}},
		judges:   model(func(s *settings) checker.Model { return checker.Semaphore(s.whole("n", 1)) }),
	},
	linearizable("fenced-lock", fenceCalls, checker.FencedLock()),
	linearizable("queue", queueCalls+", or `null`: empty", checker.Queue()),
	linearizable("unordered-queue", queueCalls+"; one that finds nothing fails", checker.UnorderedQueue()),
	linearizable("stack", "`push` value; `pop` → value, or `null`: empty", checker.Stack()),
	{
		name: "counter", doc: checker.Counter(0).Doc, calls: "`add` a number of either sign, `null`: 1 → the new sum, or the number again; `read` → the sum",
		settings: []setting{{"n", "0", "the first value, 0 or more"}},
		judges:   model(func(s *settings) checker.Model { return checker.Counter(s.whole("n", 0)) }),
	},
	{name: "linearizable-set", doc: checker.GrowingSet().Doc, calls: setCalls, also: setWords, judges: linearizably(checker.GrowingSet())},
	{
		name: "set", doc: "Of a set that only grows nothing is lost, and nothing is listed that was not added.", calls: setCalls, also: setWords,
		judges: alone("set", func(*settings) checker.Checker { return checker.Set{} }),
	},
	{
		name: "set-full", doc: "Every element is in every list from its acknowledgement on.", calls: setCalls, also: setWords,
		settings: []setting{{"eventual", "false", "true: a list may miss an element for a while"}},
		judges:   alone("set-full", func(s *settings) checker.Checker { return checker.SetFull{Eventual: s.yes("eventual")} }),
	},
	{
		name: "prefix", doc: "Whoever lists a set sees the first so many elements of one order.", calls: setCalls, also: setWords,
		settings: []setting{{"sessions", "false", "true: only what the same process had added before may not be missing"}},
		judges:   alone("prefix", func(s *settings) checker.Checker { return checker.Prefix{Sessions: s.yes("sessions")} }),
	},
	transactions(txn.ListAppend, "`txn` `[[\"append\", key, value], [\"r\", key, null]]` → the same with the lists that were read"),
	transactions(txn.Register, "`txn` `[[\"w\", key, value], [\"r\", key, null]]` → the same with the values that were read",
		setting{"keys", "none", "what is certain of each single key: none, sequential or linearizable"}),
	{
		name: "bank", doc: "Money is only moved: all balances have the same total in every answer.", also: bankWords,
		calls:    "`transfer` `{\"from\", \"to\", \"amount\"}`; `balances` or `read` → object of all accounts",
		settings: []setting{{"total", "0", "what all accounts hold together"}, {"overdraft", "false", "true: accounts may go below zero"}},
		judges: alone("bank", func(s *settings) checker.Checker {
			return checker.Bank{Total: s.whole("total", 0), Overdraft: s.yes("overdraft")}
		}),
	},
	{
		name: "sequential", doc: "One order of all operations explains every answer, and has each process's in that process's order.", calls: accessCalls,
		judges: alone("sequential", func(*settings) checker.Checker { return checker.Sequential{} }),
	},
	{
		name: "causal", doc: "Who has seen an effect sees everything that led to it.", calls: accessCalls,
		settings: []setting{{"convergent", "true", "false: processes may disagree on the order of conflicting writes"}},
		judges:   alone("causal", func(s *settings) checker.Checker { return checker.Causal{Convergent: s.yes("convergent")} }),
	},
	{
		name: "sessions", doc: "Read your writes, monotonic reads, monotonic writes, and writes that follow reads.", calls: accessCalls + ", and each key by one process",
		settings: []setting{{"only", "all", "or one guarantee: read-your-writes, monotonic-reads, monotonic-writes, writes-follow-reads"}},
		judges:   alone("sessions", sessions),
	},
	{
		name: "stale-bound", doc: "No read is older than it may be.", calls: accessCalls, timed: true,
		settings: []setting{{"bound", "0s", "how old a read may be"}},
		judges:   alone("stale-bound", func(s *settings) checker.Checker { return checker.StaleBound{Bound: s.duration("bound")} }),
	},
	{
		name: "durability", doc: "Every acknowledged write is there at the end.", calls: accessCalls + "; or `add` element, `list` → array of elements",
		judges: alone("durability", func(*settings) checker.Checker { return checker.Durability{} }),
	},
	{
		name: "counter-bounds", doc: "A counter never shows more or less than it can hold.", calls: "`add` or `increment` a number, `null`: 1; `read` → the sum",
		judges: alone("counter-bounds", func(*settings) checker.Checker { return checker.CounterBounds{} }),
	},
	{
		name: "total-queue", doc: "Nothing that is put into a queue is lost, duplicated or made up.", calls: queueCalls + ", or `null`: empty; `drain` → array of values",
		settings: []setting{{"fifo", "false", "true: nothing overtakes"}, {"at-least-once", "false", "true: a value may come out again"}},
		judges: alone("total-queue", func(s *settings) checker.Checker {
			return checker.TotalQueue{FIFO: s.yes("fifo"), AtLeastOnce: s.yes("at-least-once")}
		}),
	},
	{
		name: "mutual-exclusion", doc: "No two clients certainly hold a lock at once, and fences grow.", calls: lockCalls + "; a fenced `acquire` → the fence",
		settings: []setting{{"fenced", "false", "true: acquires answer fences"}, {"leased", "false", "true: locks expire, so only fences count"}},
		judges: alone("mutual-exclusion", func(s *settings) checker.Checker {
			return checker.MutualExclusion{Fenced: s.yes("fenced"), Leased: s.yes("leased")}
		}),
	},
	{
		name: "unique-ids", doc: "No identifier is given twice.", calls: "`generate` → identifier",
		judges: alone("unique-ids", func(*settings) checker.Checker { return checker.UniqueIDs{} }),
	},
}

// alone is one checker, made as it was told.
func alone(name string, c func(s *settings) checker.Checker) func(*settings) []checker.Named {
	return func(s *settings) []checker.Named { return []checker.Named{{Name: name, Checker: c(s)}} }
}

// model is a model judged for linearizability, made as it was told.
func model(m func(s *settings) checker.Model) func(*settings) []checker.Named {
	return alone("linearizable", func(s *settings) checker.Checker { return checker.Linearizable{Model: m(s)} })
}

func linearizably(m checker.Model) func(*settings) []checker.Named {
	return model(func(*settings) checker.Model { return m })
}

func linearizable(name, calls string, m checker.Model) promise {
	return promise{name: name, doc: m.Doc, calls: calls, judges: linearizably(m)}
}

func transactions(kind txn.Kind, calls string, more ...setting) promise {
	return promise{
		name: kind.String(), calls: calls,
		doc:      "Transactions keep the isolation that is expected; every cycle that breaks it is proven edge by edge.",
		settings: append([]setting{{consistencyModel, string(txn.StrictSerial), "what the database promises"}}, more...),
		judges: alone(kind.String(), func(s *settings) checker.Checker {
			c := txn.Checker{Kind: kind, Expect: txn.Model(s.oneOf(consistencyModel, consistencyModels()))}
			if kind == txn.Register {
				c.Keys = keyAssumption(s)
			}
			return c
		}),
	}
}

func consistencyModels() []string {
	var names []string
	for _, m := range txn.Models() {
		names = append(names, string(m))
	}
	return names
}

func keyAssumption(s *settings) txn.KeyAssumption {
	names := []string{txn.NoAssumption: "none", txn.SequentialKeys: "sequential", txn.LinearizableKeys: "linearizable"}
	return txn.KeyAssumption(max(0, slices.Index(names, s.oneOf("keys", names))))
}

func sessions(s *settings) checker.Checker {
	guarantees := []string{"all", checker.ReadYourWrites, checker.MonotonicReads, checker.MonotonicWrites, checker.WritesFollowReads}
	if only := s.oneOf("only", guarantees); only != "all" {
		return checker.Sessions{Only: []string{only}}
	}
	return checker.Sessions{}
}
