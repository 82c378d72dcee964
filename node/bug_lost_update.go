package node

// lostUpdate computes appends and adds on the leader, from what has been applied there, and then writes
// the results. Two clients that append at the same time both find the old array, and the later write
// wipes out the earlier one.
var lostUpdate = Bug{
	Name:        "lost-update",
	Description: "append and add are computed outside the state machine and then written blindly",
	plant:       func(n *Node) { n.seams.decide = n.updateOutside },
}

func (n *Node) updateOutside(commands []command) []result {
	s := n.machine.state()
	for i := range commands {
		if x := commands[i].txn; x != nil {
			commands[i].txn = &transaction{x.compare, s.blindly(x.then), s.blindly(x.otherwise)}
		}
	}
	return nil
}

// blindly turns appends and adds into puts of what they would make of this state.
func (s *state) blindly(steps []command) []command {
	d := (&transaction{then: steps}).evaluate(s.get, s.revision)
	blind := make([]command, len(steps))
	for i, c := range steps {
		if (c.op == opAppend || c.op == opAdd) && i < len(d.steps) { // what is refused stays, and is refused again
			c.op, c.value = opPut, d.steps[i].Value
		}
		blind[i] = c
	}
	return blind
}
