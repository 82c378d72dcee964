package node

// lostAck answers unconditional puts and deletes as soon as the leader has taken them into its own log. If it is
// killed or cut off before a majority has them, they are gone; and until the majority has them, other
// clients read the old value.
var lostAck = Bug{
	Name:        "lost-ack",
	Description: "the leader acknowledges a write when it is in its own log, before a quorum has it",
	plant:       func(n *Node) { n.seams.logged = n.acknowledgeEarly },
}

func (n *Node) acknowledgeEarly(batch []*proposal) (settled func()) {
	guess := n.machine.state().transition()
	for _, p := range batch {
		results := make([]result, len(p.commands))
		conditional := false
		for i := range p.commands {
			conditional = conditional || p.commands[i].condition != always || p.commands[i].op == opTxn
			results[i] = guess.apply(&p.commands[i])
		}
		if !conditional {
			p.finish(results, nil)
		}
	}
	return func() {}
}
