package node

// noFsync leaves it to the kernel when the log, the term and the vote reach the disk. Nothing is lost when the process
// dies, but when the power fails, the last seconds are, of all nodes at once, and a node may be back in a term where it
// has voted.
var noFsync = Bug{
	Name:        "no-fsync",
	Description: "writes are acknowledged before the log is durable",
	plant:       func(n *Node) { n.seams.unsynced = true },
}
