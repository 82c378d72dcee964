package node

// dirtyAbort rolls back only half: of a transaction that fails, because a comparison does not hold or
// an operation is refused, the earlier half of the writes stays.
var dirtyAbort = Bug{
	Name:        "dirty-abort",
	Description: "a transaction that fails leaves its earlier writes",
	plant: func(n *Node) {
		n.machine.aborted = func(t *transition, x *transaction, d *draft) {
			if !d.succeeded {
				d = (&transaction{then: x.then}).evaluate(t.get, d.revision)
			}
			t.keep(d.revision, d.writes[:(len(d.writes)+1)/2])
		}
	},
}
