package nemesis

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"rift/harness/history"
)

func TestTransferIsProvenByAnotherLeader(t *testing.T) {
	c := newElectorate(t, 5)
	for _, p := range []history.PlannedFault{{Target: Anyone}, {Target: One}, {Target: "n4"}} {
		before, err := c.Standing(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		e := inject(t, makeFault(t, transferKind, p), c)
		after, _ := c.Standing(t.Context())
		if !e.Proven || !slices.Equal(e.Nodes, []string{after.Leader}) || before.Leader == after.Leader {
			t.Errorf("%s from %s to %s: %+v", p.Target, before.Leader, after.Leader, e)
		}
		if p.Target == "n4" && after.Leader != "n4" {
			t.Errorf("%s leads, not n4", after.Leader)
		}
	}
}

func TestTransferThatDoesNothingIsNoEvidence(t *testing.T) {
	c := newElectorate(t, 3)
	leader, _ := c.Leader(t.Context())
	f := makeFault(t, transferKind, history.PlannedFault{Target: Anyone})
	c.loyal = fmt.Errorf("%w: no other voter answers", ErrRefused)
	if e := inject(t, f, c); !e.Skipped {
		t.Errorf("refused: %+v", e)
	}
	c.loyal = errors.New("the connection broke")
	if e := inject(t, f, c); e.Proven || e.Skipped || e.Summary == "" {
		t.Errorf("nobody else leads: %+v", e)
	}
	for _, to := range []string{leader, "n9"} {
		named := makeFault(t, transferKind, history.PlannedFault{Target: to})
		if e := inject(t, named, c); !e.Skipped {
			t.Errorf("to %s: %+v", to, e)
		}
	}
	if _, err := transferKind.New(history.PlannedFault{Kind: "transfer", Target: Anyone, Args: map[string]string{"to": "n1"}}); err == nil {
		t.Error("an argument that does not exist was taken")
	}
	if e := heal(t, f, c); !e.Skipped {
		t.Errorf("heal: %+v", e)
	}
}

func leaderKillPlan(every, down string) history.PlannedFault {
	return history.PlannedFault{Target: Leader, Args: map[string]string{"every": every, "down": down}}
}

func TestLeaderKillGoesOnAndKeepsAMajority(t *testing.T) {
	c := newElectorate(t, 3)
	before := pids(c.processCluster)
	f := makeFault(t, leaderKillKind, leaderKillPlan("100ms", "150ms"))
	if e := inject(t, f, c); !e.Proven || !slices.Equal(e.Nodes, []string{"n1"}) {
		t.Fatalf("inject: %+v", e)
	}
	lowest := 3
	await(t, "three terms have gone by, and the first that was killed is up again", func() bool {
		up := 0
		for _, node := range c.Nodes() {
			if _, runs := c.Host(node); runs {
				up++
			}
		}
		lowest = min(lowest, up)
		s, _ := c.Standing(t.Context())
		return s.Term > 3 && pids(c.processCluster)[0] != before[0]
	})
	if lowest < 2 {
		t.Errorf("only %d of 3 nodes were up", lowest)
	}
	e := heal(t, f, c)
	if !e.Proven || e.Measures["kills"] < 3 {
		t.Errorf("heal: %+v", e)
	}
	for i, pid := range pids(c.processCluster) {
		if pid == 0 {
			t.Errorf("%s is down after the heal", c.Nodes()[i])
		}
	}
	if taken := c.board.Taken(); taken != nil {
		t.Errorf("the board holds %v", taken)
	}
}

func TestLeaderKillLeavesTheLastMajorityAlone(t *testing.T) {
	c := newElectorate(t, 3)
	if err := c.board.Claim("n3", 99, "paused"); err != nil {
		t.Fatal(err)
	}
	f := makeFault(t, leaderKillKind, leaderKillPlan("1s", "1s"))
	if e := inject(t, f, c); !e.Skipped || e.Summary != "without n1 only 1 of 3 nodes would be up: no majority" {
		t.Errorf("inject: %+v", e)
	}
	if e := heal(t, f, c); !e.Skipped {
		t.Errorf("heal: %+v", e)
	}
}

func TestLeaderKillRefusesBadPlans(t *testing.T) {
	for want, p := range map[string]history.PlannedFault{
		`target of leader-kill: "one" given, one of leader allowed`:                        {Target: One},
		`argument every of leader-kill: "" given, a time from 100ms to 1h0m0s allowed`:     {Target: Leader, Args: map[string]string{"down": "1s"}},
		`argument down of leader-kill: "never" given, a time from 100ms to 1h0m0s allowed`: leaderKillPlan("1s", "never"),
		`argument of leader-kill: "how" given, one of every, down allowed`:                 {Target: Leader, Args: map[string]string{"how": "hard"}},
		`argument every of leader-kill: "1ms" given, a time from 100ms to 1h0m0s allowed`:  leaderKillPlan("1ms", "1s"),
	} {
		p.Kind = "leader-kill"
		if _, err := leaderKillKind.New(p); err == nil || err.Error() != want {
			t.Errorf("%+v: %v, want %s", p, err, want)
		}
	}
}

// await asks again and again until something is so; it fails the test when that is far too late.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	tooLate := time.After(30 * time.Second)
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for !so() {
		select {
		case <-again.C:
		case <-tooLate:
			t.Fatalf("in vain: %s", what)
		}
	}
}
