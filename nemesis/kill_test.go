package nemesis

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"rift/harness/history"
)

func random() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

func makeFault(t *testing.T, k Kind, p history.PlannedFault) Fault {
	t.Helper()
	p.Kind = k.Name
	if p.ID == 0 {
		p.ID = 1
	}
	f, err := k.New(p)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func inject(t *testing.T, f Fault, c Cluster) history.Evidence {
	t.Helper()
	e, err := f.Inject(t.Context(), c, random())
	if err != nil {
		t.Fatalf("inject: %v", err)
	}
	return e
}

func heal(t *testing.T, f Fault, c Cluster) history.Evidence {
	t.Helper()
	e, err := f.Heal(t.Context(), c)
	if err != nil {
		t.Fatalf("heal: %v", err)
	}
	return e
}

func TestKillEndsAndStarts(t *testing.T) {
	for _, target := range []struct {
		name string
		hit  int
	}{{Leader, 1}, {One, 1}, {Minority, 1}, {Majority, 2}, {All, 3}, {"n3,n1", 2}} {
		t.Run(target.name, func(t *testing.T) {
			c := newProcessCluster(t, 3)
			before := pids(c)
			f := makeFault(t, killKind, history.PlannedFault{Target: target.name})
			e := inject(t, f, c)
			if !e.Proven || len(e.Nodes) != target.hit {
				t.Fatalf("inject: %+v, want %d nodes proven", e, target.hit)
			}
			if target.name == Leader && !slices.Equal(e.Nodes, []string{c.leader}) {
				t.Errorf("leader is %s, but %v was killed", c.leader, e.Nodes)
			}
			if named := namedNodes(target.name); named != nil && !slices.Equal(e.Nodes, named) {
				t.Errorf("%s were aimed at, but %v was killed", target.name, e.Nodes)
			}
			for _, node := range e.Nodes {
				if _, up := c.Host(node); up || c.board.Free(node) {
					t.Errorf("%s: up %t, free on the board %t", node, up, c.board.Free(node))
				}
			}
			if healed := heal(t, f, c); !healed.Proven || !slices.Equal(healed.Nodes, e.Nodes) {
				t.Errorf("heal: %+v", healed)
			}
			for i, pid := range pids(c) {
				if killed := slices.Contains(e.Nodes, c.Nodes()[i]); (pid != before[i]) != killed || pid == 0 {
					t.Errorf("%s: killed %t, process %d before and %d after", c.Nodes()[i], killed, before[i], pid)
				}
			}
			if taken := c.board.Taken(); taken != nil {
				t.Errorf("after the heal the board holds %v", taken)
			}
			if again := heal(t, f, c); !again.Skipped {
				t.Errorf("heal again: %+v", again)
			}
		})
	}
}

func pids(c *processCluster) []int {
	var list []int
	for _, node := range c.Nodes() {
		h, _ := c.Host(node)
		list = append(list, h.PID)
	}
	return list
}

func TestKillSkipsTakenNodes(t *testing.T) {
	c := newProcessCluster(t, 1)
	if err := c.board.Claim("n1", 99, "paused"); err != nil {
		t.Fatal(err)
	}
	f := makeFault(t, killKind, history.PlannedFault{Target: All})
	if e := inject(t, f, c); !e.Skipped || e.Summary != "no node for target all: each is down or taken (n1 paused)" {
		t.Errorf("inject: %+v", e)
	}
	if e := heal(t, f, c); !e.Skipped {
		t.Errorf("heal: %+v", e)
	}
}

func TestKillWithoutLeader(t *testing.T) {
	c := newProcessCluster(t, 1)
	c.leader = ""
	if _, err := makeFault(t, killKind, history.PlannedFault{Target: Leader}).Inject(t.Context(), c, random()); err == nil {
		t.Error("a fault on the leader went in where nobody leads")
	}
}

// refusingCluster says that it kills and starts, and does neither.
type refusingCluster struct {
	*processCluster
	start error
}

func (refusingCluster) Kill(context.Context, string) error    { return nil }
func (c refusingCluster) Start(context.Context, string) error { return c.start }

func TestKillDoesNotTrustTheCluster(t *testing.T) {
	c := refusingCluster{processCluster: newProcessCluster(t, 1)}
	f := makeFault(t, killKind, history.PlannedFault{Target: All})
	if e, err := f.Inject(t.Context(), c, random()); err == nil {
		t.Errorf("a kill that did nothing was believed: %+v", e)
	}
}

func TestKillKeepsWhatItCannotStart(t *testing.T) {
	c := newProcessCluster(t, 1)
	f := makeFault(t, killKind, history.PlannedFault{Target: All})
	inject(t, f, c)
	noStart := errors.New("no start today")
	if _, err := f.Heal(t.Context(), refusingCluster{c, noStart}); !errors.Is(err, noStart) {
		t.Errorf("heal: %v", err)
	}
	if c.board.Free("n1") {
		t.Error("a node that could not be started is free on the board")
	}
	if e := heal(t, f, c); !e.Proven || !c.board.Free("n1") {
		t.Errorf("heal again: %+v, board %v", e, c.board.Taken())
	}
}

func TestAimedFaultsRefuseBadPlans(t *testing.T) {
	for _, k := range []Kind{killKind, pauseKind} {
		if _, err := k.New(history.PlannedFault{Kind: k.Name, Target: "everything"}); err == nil {
			t.Errorf("%s: a target that does not exist was taken", k.Name)
		}
		p := history.PlannedFault{Kind: k.Name, Target: One, Args: map[string]string{"how": "hard"}}
		if _, err := k.New(p); err == nil || err.Error() != "argument of "+k.Name+`: "how" given, one of none allowed` {
			t.Errorf("%s: %v", k.Name, err)
		}
	}
}

func TestAimedFaultsAreDrawnWithinBounds(t *testing.T) {
	r := random()
	for range 1000 {
		p := drawAimed(r, []string{One, All})
		if p.Target != One && p.Target != All || p.For < history.Duration(faultLeast) || p.For > history.Duration(faultMost) {
			t.Fatalf("drew %+v", p)
		}
	}
}

// staleCluster has not noticed that its node ended.
type staleCluster struct {
	*processCluster
	host Host
}

func (c staleCluster) Host(string) (Host, bool) { return c.host, true }

func TestKillsLeaveANodeThatHasJustEnded(t *testing.T) {
	c := newProcessCluster(t, 3)
	h, _ := c.Host("n2") // which leads
	p, err := openProcess(h.PID)
	check(t, err)
	defer p.close()
	check(t, p.signal(unix.SIGKILL))
	if !p.ended(t.Context(), proofTime) {
		t.Fatal("it does not end")
	}
	stale := staleCluster{c, h}
	for _, kind := range []Kind{killKind, leaderKillKind} {
		f := makeFault(t, kind, history.PlannedFault{Target: Leader, Args: kind.Draw(random(), []string{Leader}).Args})
		e, err := f.Inject(t.Context(), stale, random())
		if err != nil || !e.Skipped || !strings.Contains(e.Summary, "ended before") || !c.board.Free("n2") {
			t.Errorf("%s: %+v, error %v, board %v", kind.Name, e, err, c.board.Taken())
		}
		if _, err := f.Heal(t.Context(), stale); err != nil {
			t.Errorf("%s: heal: %v", kind.Name, err)
		}
	}
}
