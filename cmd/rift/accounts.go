package main

import (
	"slices"
	"strings"

	"rift/harness/system"
)

// account is what a checker, or one method of it, rests on: a row of docs/checkers.md. Files are named from the repository's root.
type account struct {
	code    string // the Go type with the method Check
	name    string // in results
	promise string
	cost    string // of time; n: operations, p: processes
	source  string
	rejects string // a history that it finds invalid; of one that is never invalid, unknown
	accepts string // a near miss that it finds valid
}

// accounts have at least one row for each checker; a test holds them against the sources.
var accounts = []account{
	{
		code: "checker.Linearizable", name: "linearizable: zones", promise: "linearizability of registers whose values are written once",
		cost: "O(n log n) for each key", source: "Gibbons & Korach, Testing Shared Memories, 1997",
		rejects: "checker/testdata/register/invalid-stale-read", accepts: "checker/testdata/register/valid-near-stale-read",
	},
	{
		code: "checker.Linearizable", name: "linearizable: zones on chains", promise: "the same with cas: what a cas found names the write before it",
		cost: "O(n log n) for each key, where the values force enough; else the search goes on from what is known", source: "after Gibbons & Korach, 1997",
		rejects: "checker/testdata/register/invalid-two-cas", accepts: "checker/testdata/register/valid-near-two-cas",
	},
	{
		code: "checker.Linearizable", name: "linearizable: search", promise: "linearizability of any model",
		cost: "exponential in what is open at once, within a step budget", source: "Wing & Gong, 1993; Lowe, Testing for Linearizability, 2017; a second opinion by porcupine",
		rejects: "checker/testdata/models/queue/invalid-order", accepts: "checker/testdata/models/queue/valid-near-order",
	},
	{
		code: "txn.Checker", name: "list-append", promise: "isolation of transactions on lists, from read-uncommitted to strict-serializable",
		cost: "O(n) for dependencies and components; cycles within a step budget", source: "Kingsbury & Alvaro, Elle, VLDB 2020; Adya, Weak Consistency, 1999",
		rejects: "checker/txn/testdata/list-append/G-single.rejected.jsonl", accepts: "checker/txn/testdata/list-append/G-single.accepted.jsonl",
	},
	{
		code: "txn.Checker", name: "rw-register", promise: "isolation of transactions on registers",
		cost: "the same", source: "the same; Cerone & Gotsman, Analysing Snapshot Isolation, 2016",
		rejects: "checker/txn/testdata/rw-register/lost-update.rejected.jsonl", accepts: "checker/txn/testdata/rw-register/lost-update.accepted.jsonl",
	},
	{
		code: "checker.Set", name: "set", promise: "acknowledged elements stay, on every node, and nothing else is listed",
		cost: "O(n) for n elements listed", source: "Jepsen's set checker",
		rejects: "checker/testdata/set/invalid-lost", accepts: "checker/testdata/set/valid-near-lost",
	},
	{
		code: "checker.SetFull", name: "set-full", promise: "every element is in every list from its acknowledgement on",
		cost: "O(n) for n elements listed", source: "Jepsen's set-full checker",
		rejects: "checker/testdata/set-full/invalid-stale", accepts: "checker/testdata/set-full/valid-near-stale",
	},
	{
		code: "checker.Sequential", name: "sequential", promise: "sequential consistency of registers",
		cost: "O(n·p) a round where cycles decide; NP-complete, so within a step budget", source: "Lamport, 1979; Gibbons & Korach, 1997",
		rejects: "checker/testdata/sequential/invalid-store-buffers", accepts: "checker/testdata/sequential/valid-near-store-buffers",
	},
	{
		code: "checker.Causal", name: "causal", promise: "causal consistency of registers, with convergence",
		cost: "O(n·p)", source: "Bouajjani, Enea, Guerraoui & Hamza, On Verifying Causal Consistency, POPL 2017",
		rejects: "checker/testdata/causal/invalid-missed", accepts: "checker/testdata/causal/valid-near-missed",
	},
	{
		code: "checker.Sessions", name: "sessions", promise: "read your writes, monotonic reads and writes, writes follow reads",
		cost: "O(n·p)", source: "Terry et al., Session Guarantees for Weakly Consistent Replicated Data, PDIS 1994",
		rejects: "checker/testdata/sessions/invalid-read-your-writes", accepts: "checker/testdata/sessions/valid-near-read-your-writes",
	},
	{
		code: "checker.Prefix", name: "prefix", promise: "consistent prefix of a growing set",
		cost: "O(n log n) for n elements listed", source: "Terry, Replicated Data Consistency Explained Through Baseball, CACM 2013",
		rejects: "checker/testdata/prefix/invalid-gap", accepts: "checker/testdata/prefix/valid-near-gap",
	},
	{
		code: "checker.StaleBound", name: "stale-bound", promise: "reads are never older than they may be",
		cost: "O(n log n)", source: "Golab, Li & Shah, Analyzing Consistency Properties for Fun and Profit, PODC 2011",
		rejects: "checker/testdata/stale-bound/invalid-too-stale", accepts: "checker/testdata/stale-bound/valid-near-too-stale",
	},
	{
		code: "checker.TTL", name: "ttl", promise: "keys that live for a limited time go neither early nor much too late, and do not come back",
		cost: "O(n) for each put of the same key", source: "the node's own promise, docs/node.md",
		rejects: "checker/testdata/ttl/invalid-expired-early", accepts: "checker/testdata/ttl/valid-near-expired-early",
	},
	{
		code: "checker.Bank", name: "bank", promise: "the total of all accounts never changes",
		cost: "O(n) for n balances", source: "Jepsen's bank test",
		rejects: "checker/testdata/bank/invalid-total", accepts: "checker/testdata/bank/valid-near-total",
	},
	{
		code: "checker.CounterBounds", name: "counter-bounds", promise: "a counter shows what it can hold",
		cost: "O(n log n)", source: "Jepsen's counter checker",
		rejects: "checker/testdata/counter-bounds/invalid-too-high", accepts: "checker/testdata/counter-bounds/valid-near-too-high",
	},
	{
		code: "checker.TotalQueue", name: "total-queue", promise: "nothing in a queue is lost, duplicated or made up, and nothing overtakes",
		cost: "O(n log n)", source: "Henzinger, Sezgin & Vafeiadis, Aspect-Oriented Linearizability Proofs, CONCUR 2013",
		rejects: "checker/testdata/total-queue/invalid-reordered", accepts: "checker/testdata/total-queue/valid-near-reordered",
	},
	{
		code: "checker.MutualExclusion", name: "mutual-exclusion", promise: "one holder of a lock at a time, and fences that grow",
		cost: "O(n log n)", source: "Kleppmann, How to Do Distributed Locking, 2016",
		rejects: "checker/testdata/mutual-exclusion/invalid-two-holders", accepts: "checker/testdata/mutual-exclusion/valid-near-two-holders",
	},
	{
		code: "checker.UniqueIDs", name: "unique-ids", promise: "no identifier is given twice",
		cost: "O(n)", source: "Maelstrom's unique-ids",
		rejects: "checker/testdata/unique-ids/invalid-duplicate", accepts: "checker/testdata/unique-ids/valid-near-duplicate",
	},
	{
		code: "checker.Durability", name: "durability", promise: "every acknowledged write is there at the end",
		cost: "O(n log n)", source: "Rift's own",
		rejects: "checker/testdata/durability/invalid-lost-write", accepts: "checker/testdata/durability/valid-near-lost-write",
	},
	{
		code: "checker.Convergence", name: "convergence", promise: "after healing all replicas hold the same",
		cost: "O(n)", source: "Rift's own",
		rejects: "checker/convergence_test.go", accepts: "checker/convergence_test.go",
	},
	{
		code: "checker.Invariants", name: "invariants", promise: "inside a cluster of Raft nodes: one leader and one vote a term, what was committed stays, the same state at the same index",
		cost: "O(n) for n transitions", source: "Ongaro & Ousterhout, In Search of an Understandable Consensus Algorithm, 2014, figure 3",
		rejects: "checker/invariants_test.go", accepts: "checker/invariants_test.go",
	},
	{
		code: "checker.Availability", name: "availability", promise: "how long nobody was served, and how long recovery took; a bound if one is given",
		cost: "O(n log n + n·f) for f faults", source: "Rift's own",
		rejects: "checker/convergence_test.go", accepts: "checker/convergence_test.go",
	},
	{
		code: "checker.Liveness", name: "liveness", promise: "a majority left in peace serves its clients while the others are gone for good",
		cost: "O(n log n)", source: "Rift's own, after TigerBeetle's liveness mode",
		rejects: "checker/testdata/liveness/invalid-nothing", accepts: "checker/testdata/liveness/valid-near-nothing",
	},
	{
		code: "checker.NodeLogs", name: "node-logs", promise: "no panic, no data race, no fatal line",
		cost: "O(bytes)", source: "Rift's own",
		rejects: "checker/nodelogs_test.go", accepts: "checker/nodelogs_test.go",
	},
	{
		code: "checker.Stats", name: "stats", promise: "every function succeeded at least once; else unknown",
		cost: "O(n)", source: "Jepsen's stats checker",
		rejects: "checker/testdata/stats/unknown-never-succeeded", accepts: "checker/testdata/stats/valid-near-never",
	},
	{
		code: "checker.Evidence", name: "evidence", promise: "the faults bit, were healed, and there was load meanwhile, or after one that hit every node; else unknown",
		cost: "O(n log n)", source: "Rift's own",
		rejects: "checker/evidence_test.go", accepts: "checker/evidence_test.go",
	},
}

// modelProofs are a history that each model rejects, and a near miss that it accepts.
var modelProofs = map[string][2]string{
	"register":           {"checker/testdata/register/invalid-stale-read", "checker/testdata/register/valid-near-stale-read"},
	"versioned-register": {"checker/testdata/models/versioned-register/invalid-version-went-back", "checker/testdata/models/versioned-register/valid-near-version-went-back"},
	"multi-register":     {"checker/testdata/models/multi-register/invalid-fractured-read", "checker/testdata/models/multi-register/valid-transaction"},
	"set":                {"checker/testdata/models/set/invalid-lost", "checker/testdata/models/set/valid-near-lost"},
	"counter":            {"checker/testdata/models/counter/invalid-counted-twice", "checker/testdata/models/counter/valid-near-counted-twice"},
	"queue":              {"checker/testdata/models/queue/invalid-order", "checker/testdata/models/queue/valid-near-order"},
	"unordered-queue":    {"checker/testdata/models/unordered-queue/invalid-twice", "checker/testdata/models/unordered-queue/valid-near-twice"},
	"stack":              {"checker/testdata/models/stack/invalid-order", "checker/testdata/models/stack/valid-near-order"},
	"mutex":              {"checker/testdata/models/mutex/invalid-two-holders", "checker/testdata/models/mutex/valid-near-two-holders"},
	"owned-mutex":        {"checker/testdata/models/owned-mutex/invalid-stolen", "checker/testdata/models/owned-mutex/valid-near-stolen"},
	"reentrant-mutex":    {"checker/testdata/models/reentrant-mutex/invalid-too-deep", "checker/testdata/models/reentrant-mutex/valid-twice"},
	"fenced-lock":        {"checker/testdata/models/fenced-lock/invalid-fence-reused", "checker/testdata/models/fenced-lock/valid-fences-grow"},
	"semaphore":          {"checker/testdata/models/semaphore/invalid-three-holders", "checker/testdata/models/semaphore/valid-near-three-holders"},
}

// bugs are those of the systems that the checker is expected to find.
func (a account) bugs() string {
	var names []string
	for _, make := range system.All {
		for _, b := range make("").Bugs() {
			if checker, _, _ := strings.Cut(a.name, ":"); b.Checker == checker && !slices.Contains(names, "`"+b.Name+"`") {
				names = append(names, "`"+b.Name+"`")
			}
		}
	}
	return strings.Join(names, ", ")
}
