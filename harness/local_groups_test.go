package harness

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"rift/nemesis"
	"rift/nemesis/cgroup"
)

// freezing has the harness that a test crashes freeze its first node before.
const freezing = "RIFT_TEST_FREEZING"

// freezeNode freezes a node, and leaves it so; where nothing can be frozen the test skips.
func freezeNode(t *testing.T, h nemesis.Host) {
	t.Helper()
	g, err := cgroup.Open(h.Cgroup)
	if err == nil {
		err = g.Able(cgroup.Freezer)
	}
	if err != nil {
		if os.Getenv(requireAll) == "1" {
			t.Fatal(err)
		}
		t.Skip("NOT TESTED with control groups: ", err)
	}
	if err := g.Freeze(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		frozen, err := g.Frozen()
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("%s is not frozen after 20 s, error %v", h.Node, err)
		}
		if frozen {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func TestLocalNodesAreInGroupsOfTheirOwn(t *testing.T) {
	tag := newLocalTag(t)
	l, nodes := startEchoes(t, tag, t.TempDir(), 2)
	for _, n := range nodes {
		h, _ := l.Host(n.Name)
		g, err := cgroup.Open(h.Cgroup)
		if err != nil {
			t.Fatal(err)
		}
		pids, err := g.Processes()
		if err != nil || !slices.Equal(pids, []int{h.PID}) || !strings.HasSuffix(h.Cgroup, tag+"/"+n.Name) {
			t.Errorf("%s is process %d in group %s, which holds %v, error %v", n.Name, h.PID, h.Cgroup, pids, err)
		}
	}
	before, _ := l.Host("n1")
	freezeNode(t, before)
	if err := l.Kill(t.Context(), "n1"); err != nil {
		t.Fatal(err)
	}
	if err := l.Start(t.Context(), "n1"); err != nil {
		t.Fatal(err)
	}
	awaitEcho(t, nodes[0])
	h, _ := l.Host("n1")
	freezeNode(t, h) // Close thaws it
	if err := l.Close(t.Context()); err != nil {
		t.Error(err)
	}
	checkNothingLeft(t, tag)
}

func TestSweepThawsWhatADeadHarnessLeftFrozen(t *testing.T) {
	tag := newLocalTag(t)
	node := crash(t, tag, t.TempDir(), freezing+"=yes")
	if _, err := sweepDisks(tag); err != nil {
		t.Error(err)
	}
	removed, err := SweepLocal(t.Context(), tag)
	if err != nil || !slices.Contains(removed, "control group /"+tag+"/n1") {
		t.Errorf("removed %q, error %v", removed, err)
	}
	if err := node.wait(t.Context()); err != nil {
		t.Errorf("the frozen node is left: %v", err)
	}
	checkNothingLeft(t, tag)
}
