package harness

import (
	"slices"
	"testing"

	"rift/harness/history"
)

func TestNodesKeepTheirNamesUnderOtherIdentities(t *testing.T) {
	c := &Cluster{nodes: []Node{{Name: "n1"}, {Name: "n2"}}, spares: []Node{{Name: "n3"}}}
	for _, want := range []struct{ node, identity string }{{"n2", "n2-2"}, {"n2", "n2-3"}, {"n3", "n3"}, {"n3", "n3-2"}} {
		got := c.NewIdentity(want.node)
		if got != want.identity {
			t.Fatalf("%s gets the identity %s, want %s", want.node, got, want.identity)
		}
		c.enlist(want.node, got)
		if c.identity(want.node) != got || c.owner(got) != want.node {
			t.Errorf("%s is %s, and %s is of %s", want.node, c.identity(want.node), got, c.owner(got))
		}
	}
	v := c.byNode(history.View{Node: "n1", Leader: "n2-3", Voters: []string{"n1", "n2-2", "n3-2"}})
	if v.Leader != "n2" || !slices.Equal(v.Voters, []string{"n1", "n2", "n3"}) {
		t.Errorf("the view is %+v", v)
	}
}

func TestASpareIsANodeOnlyWhileItIsAMember(t *testing.T) {
	c := &Cluster{nodes: []Node{{Name: "n1"}}, spares: []Node{{Name: "n2"}}}
	check := func(spares, nodes []string) {
		t.Helper()
		if !slices.Equal(c.Spares(), spares) || !slices.Equal(c.Nodes(), nodes) {
			t.Errorf("spares %v, nodes %v; want %v and %v", c.Spares(), c.Nodes(), spares, nodes)
		}
	}
	check([]string{"n2"}, []string{"n1"})
	c.enlist("n2", "n2")
	check(nil, []string{"n1", "n2"})
	c.Retire("n2")
	check([]string{"n2"}, []string{"n1"})
}
