package nemesis

import (
	"strings"
	"testing"

	"rift/harness/history"
)

func TestFreezeStopsAndThaws(t *testing.T) {
	c := newGroupCluster(t, 3)
	check(t, freezeKind.Able(c))
	f := makeFault(t, freezeKind, history.PlannedFault{Target: Majority})
	e := inject(t, f, c)
	if !e.Proven || len(e.Nodes) != 2 || e.Measures["threads"] < 4 || e.Applied <= 0 {
		t.Fatalf("inject: %+v, want 2 nodes with 2 processes each", e)
	}
	for _, node := range c.Nodes() {
		if frozen, err := c.group(node).Frozen(); err != nil || frozen == c.board.Free(node) {
			t.Errorf("%s: frozen %t, error %v, free on the board %t", node, frozen, err, c.board.Free(node))
		}
	}
	if healed := heal(t, f, c); !healed.Proven || len(healed.Nodes) != 2 {
		t.Errorf("heal: %+v", healed)
	}
	for _, node := range c.Nodes() {
		if frozen, err := c.group(node).Frozen(); err != nil || frozen {
			t.Errorf("%s: frozen %t after the heal, error %v", node, frozen, err)
		}
	}
	if again := heal(t, f, c); !again.Skipped || c.board.Taken() != nil {
		t.Errorf("heal again: %+v, board %v", again, c.board.Taken())
	}
}

func TestFreezeOutlivesItsNodeAndItsGroup(t *testing.T) {
	c := newGroupCluster(t, 1)
	f := makeFault(t, freezeKind, history.PlannedFault{Target: All})
	inject(t, f, c)
	if _, err := c.group("n1").Clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	check(t, c.Kill(t.Context(), "n1"))
	check(t, c.group("n1").Remove(t.Context()))
	if e := heal(t, f, c); !e.Proven || c.board.Taken() != nil {
		t.Errorf("heal: %+v, board %v", e, c.board.Taken())
	}
}

func TestFaultsInGroupsSayThatThereAreNone(t *testing.T) {
	c := newProcessCluster(t, 1)
	for _, k := range []Kind{freezeKind, cpuKind, memoryKind} {
		if err := k.Able(c); err == nil || !strings.Contains(err.Error(), "n1 is in no control group of its own") {
			t.Errorf("%s: %v", k.Name, err)
		}
	}
	f := makeFault(t, freezeKind, history.PlannedFault{Target: All})
	if e, err := f.Inject(t.Context(), c, random()); err == nil {
		t.Errorf("a node without a group was frozen: %+v", e)
	}
	if _, err := f.Heal(t.Context(), c); err != nil || c.board.Taken() != nil {
		t.Errorf("heal: %v, board %v", err, c.board.Taken())
	}
}
