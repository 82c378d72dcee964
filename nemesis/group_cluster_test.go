package nemesis

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"rift/nemesis/cgroup"
)

// newGroupCluster is a process cluster whose nodes have control groups.
func newGroupCluster(t *testing.T, n int) *processCluster {
	t.Helper()
	above := fmt.Sprintf("/nemesis-test-%d", os.Getpid())
	c := &processCluster{t: t, leader: "n2", program: "parent", nodes: make(map[string]*idleNode), groups: above}
	for i := range n {
		c.nodes[fmt.Sprintf("n%d", i+1)] = nil
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		for _, node := range c.Nodes() {
			g := c.group(node)
			if _, err := g.Clear(ctx); err != nil {
				t.Error(err)
			}
			_ = c.Kill(ctx, node) // reaps it
			check(t, g.Remove(ctx))
		}
		g, err := cgroup.Open(above)
		check(t, err)
		check(t, g.Remove(ctx))
	})
	for _, node := range c.Nodes() {
		if err := c.group(node).Make(); err != nil {
			if os.Getenv("RIFT_REQUIRE_DOCKER") == "1" {
				t.Fatal(err)
			}
			t.Skip("NOT TESTED with control groups: ", err)
		}
		check(t, c.Start(t.Context(), node))
	}
	return c
}

func (c *processCluster) group(node string) cgroup.Group {
	g, err := cgroup.Open(c.groups + "/" + node)
	check(c.t, err)
	return g
}

// join moves a node's processes into its control group.
func (c *processCluster) join(node string) error {
	h, _ := c.Host(node)
	pids, err := family(h.PID)
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if err := c.group(node).Join(pid); err != nil {
			return err
		}
	}
	return nil
}
