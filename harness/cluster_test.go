package harness

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"

	"rift/nemesis"
)

// stubbornHosts are nodes of which some never run for long.
type stubbornHosts struct {
	Hosts
	up, refuses map[string]bool
}

func (h stubbornHosts) Kill(context.Context, string) error { return nil }

func (h stubbornHosts) Start(_ context.Context, node string) error {
	h.up[node] = !h.refuses[node]
	return nil
}

func (h stubbornHosts) Host(node string) (nemesis.Host, bool) {
	return nemesis.Host{Node: node, PID: os.Getpid()}, h.up[node]
}

// formingSystem takes down of which nodes it was to form a cluster.
type formingSystem struct {
	System
	formed *[]string
}

func (formingSystem) PeerPort() uint16 { return echoPort }

func (s formingSystem) Form(_ context.Context, all []Node) error {
	*s.formed = nil
	for _, n := range all {
		*s.formed = append(*s.formed, n.Name)
	}
	return nil
}

func TestRecoverDoesWithoutADamagedNode(t *testing.T) {
	var formed []string
	hosts := stubbornHosts{up: map[string]bool{"n3": true}, refuses: map[string]bool{"n2": true}}
	c := &Cluster{hosts: hosts, system: formingSystem{formed: &formed}, nodes: []Node{{Name: "n1"}, {Name: "n2"}, {Name: "n3"}}}
	if _, err := c.Recover(t.Context()); !errors.Is(err, nemesis.ErrEndedAtOnce) {
		t.Errorf("a node that does not start, though nobody damaged its data: %v", err)
	}
	if err := c.board.Damage("n2", 1, 3); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time it is known
		if started, err := c.Recover(t.Context()); err != nil || len(started) > 0 {
			t.Errorf("recover: started %v, error %v", started, err)
		}
		if want := []string{"n1", "n3"}; !slices.Equal(formed, want) || !hosts.up["n1"] {
			t.Errorf("formed of %v, want %v", formed, want)
		}
		if c.board.Kept("n2") == "" || c.board.Kept("n1") != "" {
			t.Errorf("the board holds %v", c.board.Taken())
		}
	}
}
