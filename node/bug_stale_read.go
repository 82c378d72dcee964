package node

// staleRead serves every read from the local state machine. Followers lag, and a leader that was
// cut off does not know that it was deposed: both answer with values that were overwritten long ago.
var staleRead = Bug{
	Name:        "stale-read",
	Description: "linearizable reads are served from the local state without asking the leader or a quorum",
	plant:       func(n *Node) { n.seams.trust = func() bool { return true } },
}
