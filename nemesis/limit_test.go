package nemesis

import (
	"context"
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"rift/harness/history"
	"rift/nemesis/cgroup"
)

// limitFaults are faults that leave nodes less than they need.
func limitFaults(t *testing.T, target string) map[string]Fault {
	return map[string]Fault{
		"cpu":    makeFault(t, cpuKind, history.PlannedFault{Target: target, Args: map[string]string{"share": "0.02"}}),
		"memory": makeFault(t, memoryKind, history.PlannedFault{Target: target, Args: map[string]string{"headroom": "16"}}),
		"files":  makeFault(t, filesKind, history.PlannedFault{Target: target, Args: map[string]string{"spare": "1"}}),
	}
}

// limits are what a node may use.
type limits struct {
	cpu    cgroup.CPULimit
	memory int64
	files  unix.Rlimit
}

func limitsOf(t *testing.T, c *processCluster, node string) (l limits) {
	t.Helper()
	h, up := c.Host(node)
	var err error
	if l.cpu, err = c.group(node).CPULimit(); err != nil {
		t.Fatal(err)
	}
	if l.memory, err = c.group(node).MemoryLimit(); err != nil {
		t.Fatal(err)
	}
	if up {
		check(t, unix.Prlimit(h.PID, unix.RLIMIT_NOFILE, nil, &l.files))
	}
	return l
}

func TestLimitsAreFeltAndLifted(t *testing.T) {
	c := newGroupCluster(t, 3)
	before := limitsOf(t, c, "n2")
	for name, f := range limitFaults(t, Leader) {
		t.Run(name, func(t *testing.T) {
			e := inject(t, f, c)
			if !e.Proven || len(e.Nodes) != 1 || e.Nodes[0] != c.leader || e.Applied <= 0 || c.board.Taken() != nil {
				t.Errorf("inject: %+v, board %v", e, c.board.Taken())
			}
			if limitsOf(t, c, "n2") == before {
				t.Error("no limit of the node was lowered")
			}
			if others := limitsOf(t, c, "n1"); others.cpu != before.cpu || others.memory != before.memory || others.files != before.files {
				t.Errorf("a node that was not hit has %+v", others)
			}
			check(t, c.Kill(t.Context(), "n2"))
			check(t, c.Start(t.Context(), "n2"))
			e, hit, err := f.(Reapplier).Reapply(t.Context(), c, "n2")
			if err != nil || !hit || !e.Proven {
				t.Errorf("reapply: %+v, hit %t, error %v", e, hit, err)
			}
			if _, hit, err := f.(Reapplier).Reapply(t.Context(), c, "n1"); err != nil || hit {
				t.Errorf("reapply on a node that was not hit: %t, error %v", hit, err)
			}
			if e := heal(t, f, c); !e.Proven {
				t.Errorf("heal: %+v", e)
			}
			if after := limitsOf(t, c, "n2"); after != before {
				t.Errorf("after the heal the node has %+v, before it had %+v", after, before)
			}
		})
	}
}

func TestLimitsThatWereThereBeforeComeBack(t *testing.T) {
	c := newGroupCluster(t, 1)
	check(t, c.group("n1").SetCPULimit(cgroup.CPULimit{Quota: 80e6, Period: 100e6}))
	check(t, c.group("n1").SetMemoryLimit(200*mebibyte))
	before := limitsOf(t, c, "n1")
	for name, f := range limitFaults(t, All) {
		if e := inject(t, f, c); !e.Proven {
			t.Errorf("%s: inject: %+v", name, e)
		}
		if e := heal(t, f, c); !e.Proven || limitsOf(t, c, "n1") != before {
			t.Errorf("%s: heal: %+v, the node has %+v, before it had %+v", name, e, limitsOf(t, c, "n1"), before)
		}
	}
}

func TestLimitsOutliveTheirNode(t *testing.T) {
	for name, f := range limitFaults(t, All) {
		t.Run(name, func(t *testing.T) {
			c := newGroupCluster(t, 1)
			before := limitsOf(t, c, "n1")
			inject(t, f, c)
			check(t, c.Kill(t.Context(), "n1"))
			noStart := errors.New("no start today")
			if _, err := f.Heal(t.Context(), refusingCluster{c, noStart}); !errors.Is(err, noStart) || c.board.Taken() != nil {
				t.Errorf("heal: %v, board %v", err, c.board.Taken())
			}
			if e := heal(t, f, c); !e.Proven || e.Measures["n1_started_ms"] <= 0 {
				t.Errorf("heal: %+v, want the node started again", e)
			}
			if after := limitsOf(t, c, "n1"); after != before {
				t.Errorf("after the heal the node has %+v, before it had %+v", after, before)
			}
		})
	}
}

func TestALimitLeavesNodesToTheFaultThatKilledThem(t *testing.T) {
	c := newGroupCluster(t, 1)
	f := limitFaults(t, All)["cpu"]
	inject(t, f, c)
	k := makeFault(t, killKind, history.PlannedFault{ID: 2, Target: All})
	inject(t, k, c)
	if e := heal(t, f, c); !e.Proven {
		t.Errorf("heal: %+v", e)
	}
	if _, up := c.Host("n1"); up {
		t.Error("a node that another fault has killed was started")
	}
	if e := heal(t, k, c); !e.Proven {
		t.Errorf("heal the kill: %+v", e)
	}
}

func TestLimitsGoWithTheirGroup(t *testing.T) {
	for _, name := range []string{"cpu", "memory"} {
		c := newGroupCluster(t, 1)
		f := limitFaults(t, All)[name]
		inject(t, f, c)
		if _, err := c.group("n1").Clear(t.Context()); err != nil {
			t.Fatal(err)
		}
		check(t, c.Kill(t.Context(), "n1"))
		check(t, c.group("n1").Remove(t.Context()))
		c.groups = "" // the node is started without
		if e := heal(t, f, c); !e.Proven {
			t.Errorf("%s: heal: %+v", name, e)
		}
		c.groups = "/nemesis-test-gone"
	}
}

func TestLimitsRefuseBadPlans(t *testing.T) {
	for _, test := range []struct {
		kind      Kind
		arg, want string
		values    []string
	}{
		{cpuKind, "share", "a number from 0.02 to 0.5 allowed", []string{"", "0.01", "0.6", "NaN", "half"}},
		{memoryKind, "headroom", "a number from 1 to 256 allowed", []string{"", "0", "257", "8MiB"}},
		{filesKind, "spare", "a whole number from 0 to 64 allowed", []string{"", "-1", "65", "1.5"}},
		{crashLoopKind, "up", "a time from 200ms to 10s allowed", []string{"", "0s", "11s", "long"}},
		{restartKind, "rounds", "a whole number from 1 to 100 allowed", []string{"", "0", "101", "many"}},
		{restartKind, "signal", "one of term, kill allowed", []string{"hup", "TERM"}},
	} {
		for _, value := range test.values {
			p := history.PlannedFault{Kind: test.kind.Name, Target: All, Args: map[string]string{test.arg: value}}
			_, err := test.kind.New(p)
			if want := "argument " + test.arg + " of " + test.kind.Name + `: "` + value + `" given, ` + test.want; err == nil || err.Error() != want {
				t.Errorf("%v, want %s", err, want)
			}
		}
	}
}

func TestEveryKindTakesWhatItDraws(t *testing.T) {
	r := random()
	for _, k := range Kinds {
		for range 200 {
			p := k.Draw(r, k.Targets)
			p.Kind = k.Name
			if _, err := k.New(p); err != nil {
				t.Fatalf("%s drew what it refuses: %v", k.Name, err)
			}
		}
	}
}

func TestAProbeEndsWithItsContext(t *testing.T) {
	c := newGroupCluster(t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	looks := 0
	status, err := groupProbe{c.group("n1"), []cgroup.Controller{cgroup.CPU}, "while :; do :; done"}.run(ctx, func() bool {
		if looks++; looks == 3 {
			cancel()
		}
		return false
	})
	if status != -1 || err != nil {
		t.Errorf("status %d, error %v", status, err)
	}
	gone, err := cgroup.Open("/nemesis-test-nowhere")
	check(t, err)
	if _, err := (groupProbe{gone, []cgroup.Controller{cgroup.CPU}, "exit 0"}).run(t.Context(), func() bool { return false }); err == nil {
		t.Error("a probe ran in a group that does not exist")
	}
}
