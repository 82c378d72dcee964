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
			Name: "forget-vote", Doc: "a node restarts without the term and vote that it had persisted",
			Workload: "set", Nemesis: []string{"kill:majority+all+minority", "partition"}, Checker: "set",
		},
		{
			Name: "split-clock-lease", Doc: "the leader serves reads on a lease kept by the wall clock",
			Workload: "register", Nemesis: []string{"clock:leader", "partition:isolate-leader"}, Checker: "linearizable",
		},
		{
			Name: "snapshot-drop", Doc: "a restored snapshot misses the newest keys",
			Workload: "set", Nemesis: []string{"kill:minority+one+leader"}, Checker: "set",
			Options: map[string]string{"snapshot-threshold": "200", "trailing-logs": "100"},
		},
	}
}
