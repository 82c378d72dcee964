package node

// joinWithoutCatchup trusts every node that joins. A new one votes as soon as it is added, and so counts for a quorum that it
// cannot help; and a voter that comes back without its data is taken for the one that it was. It has forgotten
// what it acknowledged: together with nodes that never had it, it elects a leader that lacks what clients were promised.
var joinWithoutCatchup = Bug{
	Name:        "join-without-catchup",
	Description: "a node that joins votes at once, with an empty log, also one that has lost the log it had",
	plant: func(n *Node) {
		n.seams.vouched = func() bool { return true }
	},
}
