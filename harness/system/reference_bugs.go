package system

import "rift/harness"

// Bugs are the reference node's bugs on purpose, with the test that is expected to find each.
func (Reference) Bugs() []harness.Bug {
	return []harness.Bug{
		{
			Name: "stale-read", Doc: "reads are answered from the node's own state without asking anybody",
			Workload: "register", Nemesis: []string{"partition", "pause"}, Checker: "linearizable",
		},
		{
			Name: "dirty-read", Doc: "the leader serves a write before it has committed",
			Workload: "register", Nemesis: []string{"partition:isolate-leader+one-way", "kill:leader"}, Checker: "linearizable",
		},
		{
			Name: "lost-ack", Doc: "a write is acknowledged before a quorum has it",
			Workload: "set", Nemesis: []string{"partition:isolate-leader", "kill:leader"}, Checker: "set",
		},
		{
			Name: "cas-race", Doc: "compare-and-swap compares outside the state machine",
			Workload: "register", Nemesis: []string{"kill", "partition"}, Checker: "linearizable",
		},
		{
			// All nodes but one that is paused start anew, and with them the terms. The one that wakes has the last term
			// of the old count in its log, which is higher; with two others down, nobody but it can be elected, and it
			// overwrites what was acknowledged meanwhile.
			Name: "forget-vote", Doc: "a node restarts without the term and vote that it had persisted",
			Workload: "set", Checker: "set", Plan: `
at 1s every 10s pause one for 5s
at 1500ms every 10s kill all for 300ms
at 6s every 10s kill minority for 1500ms
`,
		},
		{
			// Two nodes are down while the other three acknowledge. One of the three loses its disk, and when it comes back, so do the
			// two, while the rest is down: together they are a majority that knows nothing of what was acknowledged.
			Name: "join-without-catchup", Doc: "a node that joins, also one that lost its data, votes before it has caught up",
			Workload: "set", Checker: "set", Plan: `
at 1s every 14s kill minority for 5s
at 4500ms every 14s membership wipe for 2500ms
lane rest at 5s every 14s kill all for 5s
`,
			Options: map[string]string{"snapshot-threshold": "100000"},
		},
		{
			// The lease of a leader whose clock is set back lasts on while the others elect another.
			Name: "split-clock-lease", Doc: "the leader serves reads on a lease kept by the wall clock",
			Workload: "register", Checker: "linearizable", Plan: `
at 1s every 10s clock leader skew=bump offset=-1m for 7s
at 2s every 10s partition isolate-leader for 5s
`,
		},
		{
			Name: "snapshot-drop", Doc: "a restored snapshot misses the newest keys",
			Workload: "set", Nemesis: []string{"kill:minority+one+leader"}, Checker: "set",
			Options: map[string]string{"snapshot-threshold": "200", "trailing-logs": "100"},
		},
		{
			// Transactions fail often where each reads first and then writes on condition that nothing has changed.
			Name: "dirty-abort", Doc: "a transaction that fails leaves its earlier writes",
			Workload: "list-append", Nemesis: []string{"kill", "partition"}, Checker: "list-append",
			Options: map[string]string{"transactions": "optimistic"},
		},
		{
			Name: "fractured-read", Doc: "a transaction that only reads takes each key from another moment",
			Workload: "bank", Nemesis: []string{"kill", "partition"}, Checker: "bank",
		},
		{
			Name: "lost-update", Doc: "append and add are computed outside the state machine and then written blindly",
			Workload: "counter", Nemesis: []string{"kill", "partition"}, Checker: "counter-bounds",
		},
		{
			Name: "write-skew", Doc: "transactions are checked for conflicts between writes only",
			Workload: "write-skew", Nemesis: []string{"kill", "partition"}, Checker: "rw-register",
		},
	}
}
