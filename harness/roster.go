package harness

import (
	"fmt"
	"slices"

	"rift/harness/history"
)

// node looks a node up by its name, spares included.
func (c *Cluster) node(name string) (Node, bool) {
	for _, n := range slices.Concat(c.nodes, c.spares) {
		if n.Name == name {
			return n, true
		}
	}
	return Node{}, false
}

// members are the nodes that belong to the system: all that did from the start, also one that a fault has removed for a while, and the spares
// that were enlisted.
func (c *Cluster) members() []Node {
	list := slices.Clone(c.nodes)
	for _, n := range c.spares {
		if c.isEnlisted(n.Name) {
			list = append(list, n)
		}
	}
	return list
}

// running are the members whose process runs.
func (c *Cluster) running() []Node {
	return slices.DeleteFunc(c.members(), func(n Node) bool {
		_, up := c.Host(n.Name)
		return !up
	})
}

func (c *Cluster) isEnlisted(spare string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.enlisted[spare]
}

// Spares lists the spare nodes that are no members.
func (c *Cluster) Spares() []string {
	var names []string
	for _, n := range c.spares {
		if !c.isEnlisted(n.Name) {
			names = append(names, n.Name)
		}
	}
	return names
}

// enlist notes under which identity a node is started.
func (c *Cluster) enlist(node, identity string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.enlisted == nil {
		c.enlisted, c.identities, c.owners = make(map[string]bool), make(map[string]string), make(map[string]string)
	}
	c.enlisted[node], c.identities[node], c.owners[identity] = true, identity, node
}

// Retire makes a spare one again.
func (c *Cluster) Retire(node string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.enlisted, node)
}

// NewIdentity is the node's name for one that never ran, and then n3-2, n3-3 and so on.
func (c *Cluster) NewIdentity(node string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	ran := slices.ContainsFunc(c.nodes, func(n Node) bool { return n.Name == node })
	for identity, life := node, 2; ; identity, life = fmt.Sprintf("%s-%d", node, life), life+1 {
		if _, used := c.owners[identity]; !used && !(ran && identity == node) {
			return identity
		}
	}
}

// identity is the name under which the system knows a node.
func (c *Cluster) identity(node string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if identity, ok := c.identities[node]; ok {
		return identity
	}
	return node
}

// owner is the node that has, or had, an identity.
func (c *Cluster) owner(identity string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if node, ok := c.owners[identity]; ok {
		return node
	}
	return identity
}

// byNode puts nodes' names in a view in the place of their identities.
func (c *Cluster) byNode(v history.View) history.View {
	v.Leader = c.owner(v.Leader)
	voters := make([]string, len(v.Voters))
	for i, identity := range v.Voters {
		voters[i] = c.owner(identity)
	}
	if v.Voters != nil {
		v.Voters = voters
	}
	return v
}
