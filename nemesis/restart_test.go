package nemesis

import (
	"context"
	"errors"
	"slices"
	"testing"

	"rift/harness/history"
)

// unstartable is a cluster whose nodes, once down, stay down.
type unstartable struct {
	*processCluster
	why error
}

func (c unstartable) Start(context.Context, string) error { return c.why }

func TestRestartGoesRound(t *testing.T) {
	for _, signal := range []string{"term", "kill"} {
		t.Run(signal, func(t *testing.T) {
			c := newProcessCluster(t, 3)
			before := pids(c)
			f := makeFault(t, restartKind, history.PlannedFault{Target: All, Args: map[string]string{"signal": signal, "rounds": "2"}})
			e := inject(t, f, c)
			if !e.Proven || len(e.Nodes) != 1 || e.Measures[e.Nodes[0]+"_down_ms"] <= 0 {
				t.Fatalf("inject: %+v, want the first node restarted", e)
			}
			await(t, "two rounds", func() bool { return len(f.(*restart).rolling.ended) > 0 })
			healed := heal(t, f, c)
			if !healed.Proven || !slices.Equal(healed.Nodes, c.Nodes()) || healed.Measures["restarts"] != 6 || c.board.Taken() != nil {
				t.Errorf("heal: %+v, board %v", healed, c.board.Taken())
			}
			for i, pid := range pids(c) {
				if pid == 0 || pid == before[i] {
					t.Errorf("%s: process %d before and %d after", c.Nodes()[i], before[i], pid)
				}
			}
		})
	}
}

func TestRestartLeavesNodesOfOtherFaultsAlone(t *testing.T) {
	c := newProcessCluster(t, 2)
	check(t, c.board.Claim("n1", 99, "paused"))
	before := pids(c)
	f := makeFault(t, restartKind, history.PlannedFault{Target: All})
	inject(t, f, c)
	if e := heal(t, f, c); !slices.Equal(e.Nodes, []string{"n2"}) || pids(c)[0] != before[0] {
		t.Errorf("heal: %+v; processes %v before, %v after", e, before, pids(c))
	}
	check(t, c.board.Claim("n2", 99, "paused"))
	if e := inject(t, makeFault(t, restartKind, history.PlannedFault{Target: All}), c); !e.Skipped {
		t.Errorf("inject: %+v, want it skipped", e)
	}
}

func TestRestartKeepsWhatItCannotStart(t *testing.T) {
	c := newProcessCluster(t, 1)
	noStart := errors.New("no start today")
	f := makeFault(t, restartKind, history.PlannedFault{Target: All})
	if _, err := f.Inject(t.Context(), unstartable{c, noStart}, random()); !errors.Is(err, noStart) {
		t.Errorf("inject: %v", err)
	}
	if _, err := f.Heal(t.Context(), unstartable{c, noStart}); !errors.Is(err, noStart) || c.board.Free("n1") {
		t.Errorf("heal: %v, board %v", err, c.board.Taken())
	}
	if e := heal(t, f, c); !e.Proven || !c.board.Free("n1") {
		t.Errorf("heal again: %+v", e)
	}
}

func TestRestartThatIsHealedEarlyStops(t *testing.T) {
	c := newProcessCluster(t, 3)
	f := makeFault(t, restartKind, history.PlannedFault{Target: All, Args: map[string]string{"rounds": "100"}})
	inject(t, f, c)
	if e := heal(t, f, c); !e.Proven || e.Measures["restarts"] >= 300 || c.board.Taken() != nil {
		t.Errorf("heal: %+v, board %v", e, c.board.Taken())
	}
	if again := heal(t, f, c); again.Measures["restarts"] == 0 {
		t.Errorf("heal again: %+v", again)
	}
}

func TestABackgroundThatIsLate(t *testing.T) {
	release := make(chan struct{})
	b := inBackground(t.Context(), func(_ context.Context, stop <-chan struct{}) error {
		<-stop
		<-release
		return nil
	})
	late, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.end(late); !errors.Is(err, errStillGoing) || !errors.Is(err, context.Canceled) {
		t.Errorf("end: %v", err)
	}
	close(release)
	if err := b.end(t.Context()); err != nil {
		t.Errorf("end again: %v", err)
	}
}
