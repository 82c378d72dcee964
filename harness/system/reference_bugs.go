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
		{
			// The leader falls silent for less than an election takes, or dies, with forwarded requests under way.
			Name: "double-apply", Doc: "a follower sends a forwarded request again when its answer was lost",
			Workload: "list-append", Checker: "list-append", Plan: `
at 1s every 5s pause leader for 400ms
at 3s every 5s kill leader for 2s
`,
		},
		{
			// The leader sleeps for longer than an election takes. When it wakes, it answers what has come in meanwhile.
			Name: "zombie-leader", Doc: "a leader that wakes from a pause serves reads on what it knew before",
			Workload: "register", Checker: "linearizable", Plan: `
at 1s every 6s pause leader for 3s
`,
		},
		{
			// Whoever leads is set a minute ahead, and takes the minute for passed.
			Name: "clock-ttl", Doc: "keys expire by the leader's wall clock",
			Workload: "ttl", Checker: "ttl", Plan: `
at 1s every 6s clock leader skew=bump offset=1m for 3s
`,
		},
		{
			Name: "no-fsync", Doc: "writes are acknowledged before the log is durable",
			Workload: "set", Checker: "set", Plan: `
at 2s every 10s power minority loss=all for 3s
at 7s every 10s power all loss=all for 1s
`,
		},
		{
			// What could not be synced is in the files until the power fails. A healthy node has ended by then, and the second
			// failure finds it up again.
			Name: "fsync-eio-continue", Doc: "a failed fsync is taken for done",
			Workload: "set", Checker: "set", Plan: `
at 2s every 14s disk-error all op=fsync share=1 for 4s
at 4s every 14s power all loss=all for 1s
at 8s every 14s power one loss=all for 2s
at 11s every 14s disk-error one op=write nth=2 for 3s
`,
		},
		{
			// What found no space is in memory until all nodes are killed. Healthy ones have ended by themselves before.
			Name: "ignore-enospc", Doc: "a log write that finds the disk full is taken for done",
			Workload: "set", Checker: "set", Plan: `
at 1s every 12s disk-slow minority mode=fsync delay=20ms for 3s
at 5s every 12s disk-full all for 4s
at 7s every 12s kill all for 3s
lane late at 11s every 12s kill one for 1s
`,
		},
		{
			// Logs are long enough for a healthy node to fall back on an older snapshot, or on nothing else.
			Name: "torn-snapshot", Doc: "a snapshot is restored whatever its checksum says",
			Workload: "set", Checker: "set", Plan: `
at 5s every 4s truncate one path=state.bin bytes=4096 for 1s
at 7s every 4s bit-flip one path=state.bin for 1s
`,
			Options: map[string]string{"snapshot-threshold": "100", "trailing-logs": "1000000"},
		},
	}
}
