package nemesis

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"rift/harness/history"
)

func TestPauseStopsAndResumes(t *testing.T) {
	c := newProcessCluster(t, 3)
	f := makeFault(t, pauseKind, history.PlannedFault{Target: Majority})
	e := inject(t, f, c)
	if !e.Proven || len(e.Nodes) != 2 || e.Measures["threads"] < 4 {
		t.Fatalf("inject: %+v, want 2 nodes with 2 processes each", e)
	}
	for _, node := range c.Nodes() {
		paused := !c.board.Free(node)
		for _, pid := range familyOf(t, c, node) {
			if all, stopped := threadsOf(t, pid); (stopped == all) != paused {
				t.Errorf("%s: paused %t, process %d has %d of %d threads stopped", node, paused, pid, stopped, all)
			}
		}
	}
	if healed := heal(t, f, c); !healed.Proven || len(healed.Nodes) != 2 {
		t.Errorf("heal: %+v", healed)
	}
	for _, node := range c.Nodes() {
		for _, pid := range familyOf(t, c, node) {
			if _, stopped := threadsOf(t, pid); stopped > 0 {
				t.Errorf("%s: process %d has %d threads stopped after the heal", node, pid, stopped)
			}
		}
	}
	if again := heal(t, f, c); !again.Skipped || c.board.Taken() != nil {
		t.Errorf("heal again: %+v, board %v", again, c.board.Taken())
	}
}

func familyOf(t *testing.T, c *processCluster, node string) []int {
	t.Helper()
	h, _ := c.Host(node)
	pids, err := family(h.PID)
	if err != nil || len(pids) != 2 {
		t.Fatalf("%s: processes %v, want two; error %v", node, pids, err)
	}
	return pids
}

func threadsOf(t *testing.T, pid int) (all, stopped int) {
	t.Helper()
	p, err := openProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	return p.threads()
}

func TestPauseOutlivesItsNode(t *testing.T) {
	c := newProcessCluster(t, 1)
	f := makeFault(t, pauseKind, history.PlannedFault{Target: All})
	inject(t, f, c)
	if err := c.Kill(t.Context(), "n1"); err != nil {
		t.Fatal(err)
	}
	if e := heal(t, f, c); !e.Proven {
		t.Errorf("heal: %+v", e)
	}
}

func TestFamilyRefusesOurOwnAncestors(t *testing.T) {
	for _, pid := range []int{0, os.Getpid(), os.Getppid()} {
		if pids, err := family(pid); err == nil || !strings.Contains(err.Error(), "is no host") {
			t.Errorf("family of %d: %d processes, error %v", pid, len(pids), err)
		}
	}
}

func TestProcessThatHasEnded(t *testing.T) {
	c := newProcessCluster(t, 1)
	h, _ := c.Host("n1")
	p, err := openProcess(h.PID)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if p.ended(t.Context(), 0) {
		t.Error("a process that runs has ended")
	}
	if err := c.Kill(t.Context(), "n1"); err != nil {
		t.Fatal(err)
	}
	if !p.ended(t.Context(), proofTime) {
		t.Error("a process that was killed has not ended")
	}
	if err := p.signal(unix.SIGSTOP); err != nil {
		t.Errorf("signal to a process that has ended: %v", err)
	}
	if all, stopped := p.threads(); all+stopped != 0 {
		t.Errorf("a process that has ended has %d threads, %d stopped", all, stopped)
	}
}
