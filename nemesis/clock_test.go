package nemesis

import (
	"context"
	"errors"
	"math"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"rift/harness/history"
	"rift/nemesis/vdso"
)

// needClocks skips a test where clocks cannot be skewed, unless the environment insists.
func needClocks(t *testing.T) {
	t.Helper()
	err := vdso.Able()
	if err == nil && os.Geteuid() != 0 {
		err = errors.New("skewing the clocks of other processes needs root")
	}
	if err != nil {
		if os.Getenv("RIFT_REQUIRE_DOCKER") == "1" {
			t.Fatalf("RIFT_REQUIRE_DOCKER=1, but %v", err)
		}
		t.Skip(err)
	}
}

// readNode reads the clocks of a node's first process, and does not trust the fault.
func readNode(t *testing.T, c Cluster, node string) vdso.Reading {
	t.Helper()
	h, up := c.Host(node)
	if !up {
		t.Fatalf("%s is down", node)
	}
	p, err := vdso.Attach(h.PID)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	r, err := p.Read()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func clockFault(t *testing.T, target string, args ...string) Fault {
	t.Helper()
	p := history.PlannedFault{Target: target, Args: make(map[string]string)}
	for _, a := range args {
		name, value, _ := strings.Cut(a, "=")
		p.Args[name] = value
	}
	return makeFault(t, clockKind, p)
}

func TestClockHitsTargetsAlone(t *testing.T) {
	needClocks(t)
	for _, target := range []struct {
		name string
		hit  int
	}{{Leader, 1}, {Minority, 1}, {Majority, 2}, {All, 3}} {
		t.Run(target.name, func(t *testing.T) {
			c := newProcessCluster(t, 3)
			f := clockFault(t, target.name, "skew=bump", "offset=-1h0m0s")
			e := inject(t, f, c)
			if !e.Proven || len(e.Nodes) != target.hit {
				t.Fatalf("inject: %+v, want %d nodes proven", e, target.hit)
			}
			for _, node := range c.Nodes() {
				off := readNode(t, c, node).Wall.Abs()
				if hit := slices.Contains(e.Nodes, node); hit != (off > 19*time.Minute) || !hit && off > time.Second {
					t.Errorf("%s, hit %t, is %v off", node, hit, off)
				}
				if ms, hit := e.Measures[node+"_wall_ms"]; hit && math.Abs(ms) < 19*60e3 {
					t.Errorf("the evidence says that %s is %v ms off", node, ms)
				}
			}
			if healed := heal(t, f, c); !healed.Proven || !slices.Equal(healed.Nodes, e.Nodes) {
				t.Errorf("heal: %+v", healed)
			}
			for _, node := range c.Nodes() {
				if r := readNode(t, c, node); r.Wall.Abs() > r.Error+offsetSlack {
					t.Errorf("healed, %s is %v off", node, r.Wall)
				}
			}
		})
	}
}

func TestClockProvesEachSkew(t *testing.T) {
	needClocks(t)
	c := newProcessCluster(t, 1)
	for _, s := range []struct {
		args string
		saw  string
	}{
		{"skew=bump offset=20ms", `^skewed n1; n1: its wall clock is \+(19|20)\S*ms off \(± .*\)$`},
		{"skew=drift rate=1.5", `its wall clock goes at rate 1\.[3-6]\d+ \(± .*\) and is \+\S+ off$`},
		{"skew=drift rate=0.5", `its wall clock goes at rate 0\.[4-6]\d+ \(± .*\) and is -\S+ off$`},
		{"skew=strobe amplitude=1s half-period=10ms", `its wall clock was seen \d+ times \+1s off, and \d+ times -1s$`},
		{"skew=slow rate=0.5", `its monotonic clock goes at rate 0\.[4-6]\d+ \(± .*\) and is -\S+ off$`},
	} {
		t.Run(s.args, func(t *testing.T) {
			f := clockFault(t, All, strings.Fields(s.args)...)
			if e := inject(t, f, c); !e.Proven || !regexp.MustCompile(s.saw).MatchString(e.Summary) {
				t.Errorf("inject: %+v", e)
			}
			if healed := heal(t, f, c); !healed.Proven {
				t.Errorf("heal: %+v", healed)
			}
		})
	}
}

// All processes of a node are skewed, not its first alone.
func TestClockHitsChildren(t *testing.T) {
	needClocks(t)
	c := newProcessCluster(t, 1)
	f := clockFault(t, All, "skew=bump", "offset=1h")
	inject(t, f, c)
	h, _ := c.Host("n1")
	pids, err := family(h.PID)
	if err != nil || len(pids) != 2 {
		t.Fatalf("family: %v, %v", pids, err)
	}
	for _, pid := range pids {
		if is, err := vdso.Skewed(pid); !is || err != nil {
			t.Errorf("process %d: %t, %v", pid, is, err)
		}
	}
	heal(t, f, c)
}

func TestClockIsReapplied(t *testing.T) {
	needClocks(t)
	c := newProcessCluster(t, 2)
	f := clockFault(t, Leader, "skew=drift", "rate=0.5")
	if e := inject(t, f, c); !e.Proven {
		t.Fatalf("inject: %+v", e)
	}
	if err := c.Kill(t.Context(), c.leader); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(t.Context(), c.leader); err != nil {
		t.Fatal(err)
	}
	if r := readNode(t, c, c.leader); r.Wall.Abs() > r.Error+offsetSlack {
		t.Fatalf("after a restart the clock is %v off", r.Wall)
	}
	e, hit, err := f.(Reapplier).Reapply(t.Context(), c, c.leader)
	if err != nil || !hit || !e.Proven {
		t.Errorf("reapply: %+v, %t, %v", e, hit, err)
	}
	// The first process drifted for readInterval at least while that was measured, and the second goes on from there.
	if r := readNode(t, c, c.leader); r.Wall > -readInterval/2 {
		t.Errorf("the drift began anew with the restart: %v", r.Wall)
	}
	if _, hit, err := f.(Reapplier).Reapply(t.Context(), c, "n1"); hit || err != nil {
		t.Errorf("reapply on a node that was not hit: %t, %v", hit, err)
	}
	if healed := heal(t, f, c); !healed.Proven {
		t.Errorf("heal: %+v", healed)
	}
}

func TestClockOfNodesThatGoDown(t *testing.T) {
	needClocks(t)
	c := newProcessCluster(t, 1)
	f := clockFault(t, All, "skew=bump", "offset=1h")
	if e := heal(t, f, c); !e.Skipped {
		t.Errorf("heal before inject: %+v", e)
	}
	inject(t, f, c)
	if err := c.Kill(t.Context(), "n1"); err != nil {
		t.Fatal(err)
	}
	if e := heal(t, f, c); !e.Proven {
		t.Errorf("heal of a node that is down: %+v", e)
	}
	if e := inject(t, clockFault(t, All, "skew=bump", "offset=1h"), c); !e.Skipped {
		t.Errorf("inject where every node is down: %+v", e)
	}
}

// A skew that is taken away behind the fault's back is not proven.
func TestClockNotSkewedIsNotProven(t *testing.T) {
	needClocks(t)
	c := newProcessCluster(t, 1)
	h, _ := c.Host("n1")
	p, err := vdso.Attach(h.PID)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	for _, s := range []skew{
		{how: bump, offset: time.Second},
		{how: drift, rate: 1.1},
		{how: strobe, offset: time.Second, half: 10 * time.Millisecond},
		{how: slow, rate: 0.9},
		{how: drift, rate: 0.9, clock: onBoth},
		{how: scheduled, points: []point{{offset: time.Hour}, {at: time.Second, manner: ramp}}},
	} {
		course, err := s.course()
		if err != nil {
			t.Fatal(err)
		}
		began, err := vdso.Now()
		if err != nil {
			t.Fatal(err)
		}
		if made, err := course[0].prove(ctx, p, began); err != nil || made.proven {
			t.Errorf("%s on a true clock: %+v, %v", s.how, made, err)
		}
	}
}

func TestClockRefusesBadArguments(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"", `argument skew of clock: "" given, one of bump, drift, schedule, slow, strobe allowed`},
		{"skew=melt", `"melt" given`},
		{"skew=bump", "argument offset of clock bump"},
		{"skew=bump offset=1s rate=2", `argument of clock bump: "rate" given, one of offset allowed`},
		{"skew=bump offset=1ms", `"1ms" given, at least 2ms to either side allowed`},
		{"skew=bump offset=900000h", "Wall.Offset: 900000h0m0s given"},
		{"skew=drift rate=x", "argument rate of clock drift"},
		{"skew=drift rate=1.001", `"1.001" given, a number at least 0.01 away from 1 allowed`},
		{"skew=drift rate=1000", "Wall.Rate: 1000 given"},
		{"skew=slow rate=2", "Monotonic.Rate: 2 given, at most 1 allowed"},
		{"skew=strobe amplitude=1s", "argument half-period of clock strobe"},
		{"skew=strobe amplitude=-1s half-period=1s", "Wall.Strobe.Amplitude: -1s given"},
		{"skew=drift rate=2 clock=both", "Monotonic.Rate: 2 given, at most 1 allowed"},
		{"skew=drift rate=2 clock=sun", `argument clock of clock drift: "sun" given, one of wall, monotonic, both allowed`},
		{"skew=bump offset=1s clock=both", `argument of clock bump: "clock" given`},
		{"skew=schedule", "argument schedule of clock schedule: 0 points given, 1 to 100 allowed"},
		{"skew=schedule schedule=0s:+1s clock=monotonic", "a monotonic clock can neither jump nor be set"},
		{"skew=schedule schedule=0s:x2 clock=both", "Monotonic.Rate: 2 given, at most 1 allowed"},
		{"skew=bump colour=red", `argument of clock: "colour" given`},
	} {
		p := history.PlannedFault{Kind: "clock", Target: One, Args: make(map[string]string)}
		for _, a := range strings.Fields(c.args) {
			name, value, _ := strings.Cut(a, "=")
			p.Args[name] = value
		}
		if _, err := clockKind.New(p); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.args, err, c.want)
		}
	}
}

// Whatever is drawn, for the first node and for the others, is allowed, survives being written into a plan, and can be measured.
func TestSkewsAreDrawnWithinBounds(t *testing.T) {
	r := random()
	drawn := make(map[string]int)
	hours := 0
	for range 3000 {
		p := clockKind.Draw(r, NodeTargets)
		if _, err := clockKind.New(p); err != nil {
			t.Fatalf("drew %+v: %v", p, err)
		}
		s, err := parseSkew(p.Args)
		if err != nil {
			t.Fatal(err)
		}
		drawn[s.how]++
		if s.offset.Abs() >= time.Hour {
			hours++
		}
		for _, part := range parts(5, r) {
			share := s.share(part)
			if again, err := parseSkew(share.args()); err != nil || !reflect.DeepEqual(again, share) {
				t.Fatalf("the share %+v of %+v is %+v, %v", share, s, again, err)
			}
		}
	}
	for how := range argsOf {
		if drawn[how] < 400 {
			t.Errorf("%s was drawn %d times of 3000", how, drawn[how])
		}
	}
	if hours < 50 {
		t.Errorf("%d of 3000 are of hours", hours)
	}
}

// No two nodes get nearly the same, however many there are, and none gets next to nothing.
func TestPartsAreApart(t *testing.T) {
	r := random()
	for n := range 10 {
		for range 100 {
			list := parts(n, r)
			if n > 0 && list[0] != 1 {
				t.Fatalf("the first of %d nodes gets %v of the skew", n, list[0])
			}
			for i, a := range list {
				if math.Abs(a) < 1.0/3-0.01 || math.Abs(a) > 1.04 {
					t.Fatalf("of %d nodes one gets %v", n, a)
				}
				for _, b := range list[:i] {
					// A strobe has no opposite, so the amounts must be apart as well.
					if gap := math.Abs(math.Abs(a) - math.Abs(b)); gap < 1.0/3/float64(n) {
						t.Fatalf("of %d nodes two get %v and %v", n, a, b)
					}
				}
			}
		}
	}
}

// Every target leaves nodes whose clocks differ from each other and, where there are any, from those that were not hit.
func TestClockLeavesNodesApart(t *testing.T) {
	needClocks(t)
	for _, args := range []string{
		"skew=bump offset=20ms", "skew=drift rate=1.5", "skew=strobe amplitude=40ms half-period=1h", "skew=slow rate=0.5", "skew=drift rate=0.7 clock=both",
	} {
		t.Run(args, func(t *testing.T) {
			c := newProcessCluster(t, 3)
			f := clockFault(t, All, strings.Fields(args)...)
			e := inject(t, f, c)
			if !e.Proven || e.Measures["nearest_ms"] <= 0 || e.Measures["apart_ms"] < e.Measures["nearest_ms"] || e.Applied <= 0 {
				t.Errorf("inject: %+v", e)
			}
			if healed := heal(t, f, c); !healed.Proven || healed.Applied <= 0 {
				t.Errorf("heal: %+v", healed)
			}
		})
	}
}
