package node

// casRace compares first, on the leader, and then writes without a condition. Two clients whose
// comparisons both come before either's write is applied both succeed.
var casRace = Bug{
	Name:        "cas-race",
	Description: "compare-and-swap compares outside the state machine and then writes unconditionally",
	plant:       func(n *Node) { n.seams.decide = n.decideOutside },
}

func (n *Node) decideOutside(commands []command) []result {
	s := n.machine.state()
	for i := range commands {
		c := &commands[i]
		if c.condition == always {
			continue
		}
		old, exists := s.get(c.key)
		if !c.holds(old, exists) {
			return []result{{existed: exists, value: old.value, revision: old.revision, cluster: s.revision}}
		}
		c.condition = always
	}
	return nil
}
