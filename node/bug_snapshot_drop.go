package node

import (
	"cmp"
	"slices"
)

// snapshotDrop loses the end of each snapshot that is restored, when the node starts or when the leader
// sends it one: the keys that were written last, a twentieth of all, but at least five.
var snapshotDrop = Bug{
	Name:        "snapshot-drop",
	Description: "a restored snapshot misses the keys that were written last",
	plant:       func(n *Node) { n.machine.restoring.distort = dropNewest },
}

func dropNewest(items []keyed) []keyed {
	slices.SortFunc(items, func(a, b keyed) int { return cmp.Compare(a.revision, b.revision) })
	return items[:max(0, len(items)-max(5, len(items)/20))]
}
