package nemesis

import (
	"errors"
	"slices"
	"testing"

	"rift/harness/history"
)

func TestCrashLoopKillsAgainAndAgain(t *testing.T) {
	c := newProcessCluster(t, 3)
	before := pids(c)
	f := makeFault(t, crashLoopKind, history.PlannedFault{Target: Minority, Args: map[string]string{"up": "200ms"}})
	e := inject(t, f, c)
	if !e.Proven || len(e.Nodes) != 1 || c.board.Free(e.Nodes[0]) {
		t.Fatalf("inject: %+v, board %v", e, c.board.Taken())
	}
	node := e.Nodes[0]
	healed := heal(t, f, c)
	if !healed.Proven || !slices.Equal(healed.Nodes, e.Nodes) || healed.Measures[node+"_crashes"] < 2 || c.board.Taken() != nil {
		t.Errorf("heal: %+v, board %v", healed, c.board.Taken())
	}
	for i, pid := range pids(c) {
		if crashed := c.Nodes()[i] == node; pid == 0 || (pid != before[i]) != crashed {
			t.Errorf("%s: crashed %t, process %d before and %d after", c.Nodes()[i], crashed, before[i], pid)
		}
	}
	if again := heal(t, f, c); !again.Skipped {
		t.Errorf("heal again: %+v", again)
	}
}

func TestCrashLoopThatCannotStart(t *testing.T) {
	c := newProcessCluster(t, 1)
	noStart := errors.New("no start today")
	broken := unstartable{c, noStart}
	f := makeFault(t, crashLoopKind, history.PlannedFault{Target: All, Args: map[string]string{"up": "200ms"}})
	if e := inject(t, f, broken); e.Proven {
		t.Errorf("a node that crashed once is no loop: %+v", e)
	}
	if _, err := f.Heal(t.Context(), broken); !errors.Is(err, noStart) || c.board.Free("n1") {
		t.Errorf("heal: %v, board %v", err, c.board.Taken())
	}
	if e := heal(t, f, c); !e.Proven || !c.board.Free("n1") {
		t.Errorf("heal again: %+v", e)
	}
}
