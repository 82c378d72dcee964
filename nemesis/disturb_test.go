package nemesis

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"rift/harness/history"
	"rift/nemesis/netspace"
	"rift/nemesis/packets"
)

// disturbances are one planned fault of each kind that disturbs packets.
var disturbances = []struct {
	kind Kind
	args map[string]string
}{
	{delayKind, map[string]string{argDelay: "30ms", argJitter: "10ms"}},
	{lossKind, map[string]string{argShare: "0.3"}},
	{duplicateKind, map[string]string{argShare: "0.3"}},
	{reorderKind, map[string]string{argShare: "0.3", argHold: "20ms"}},
	{corruptKind, map[string]string{argShare: "0.3", argChecksum: stale}},
	{corruptKind, map[string]string{argShare: "0.3", argChecksum: mended}},
	{bandwidthKind, map[string]string{argRate: "10"}},
}

func checkNoTables(t *testing.T, c *netCluster) {
	t.Helper()
	for _, node := range c.nodes {
		if left, err := packets.Tables(netspace.Path(namespaceOf(node)), ""); err != nil || len(left) > 0 {
			t.Errorf("tables are left on %s: %v, error %v", node, left, err)
		}
	}
}

func TestDisturbancesBiteAndHeal(t *testing.T) {
	c := newNetCluster(t, 3)
	for id, d := range disturbances {
		t.Log(d.kind.Name)
		if err := d.kind.Able(c); err != nil {
			t.Fatal(err)
		}
		f := makeFault(t, d.kind, history.PlannedFault{Kind: d.kind.Name, ID: id + 1, Target: All, Args: d.args})
		if e := inject(t, f, c); !e.Proven || e.Measures["measured_links"] != 6 {
			t.Errorf("%s: inject: %+v", d.kind.Name, e)
		}
		for _, node := range c.nodes {
			probe := netspace.Probe{From: "/proc/thread-self/ns/net", To: c.Peer(node)}
			if o := netspace.Try(t.Context(), []netspace.Probe{probe}, silence)[0]; !o.Answered {
				t.Errorf("%s: clients do not reach %s: %+v", d.kind.Name, node, o)
			}
		}
		if e := heal(t, f, c); !e.Proven || e.Measures["calm_links"] != 6 || e.Measures["hit_packets"] < 6 {
			t.Errorf("%s: heal: %+v", d.kind.Name, e)
		}
		if e := heal(t, f, c); !e.Skipped {
			t.Errorf("%s: heal again: %+v", d.kind.Name, e)
		}
		checkNoTables(t, c)
	}
}

func TestDisturbancesOverlap(t *testing.T) {
	c := newNetCluster(t, 3)
	var faults []Fault
	for id, d := range disturbances[:3] {
		f := makeFault(t, d.kind, history.PlannedFault{Kind: d.kind.Name, ID: id + 1, Target: All, Args: d.args})
		if e := inject(t, f, c); !e.Proven {
			t.Errorf("%s: inject: %+v", d.kind.Name, e)
		}
		faults = append(faults, f)
	}
	cut := makeFault(t, partitionKind, history.PlannedFault{ID: 90, Target: Links, Args: map[string]string{argLinks: "n1>n2 n2>n1"}})
	inject(t, cut, c)
	pair := history.PlannedFault{Kind: "delay", ID: 91, Target: Links, Args: map[string]string{argDelay: "50ms", argJitter: "0s", argLinks: "n1>n2"}}
	if e := inject(t, makeFault(t, delayKind, pair), c); !e.Skipped {
		t.Errorf("delay of a link that is cut: %+v", e)
	}
	for i, f := range faults {
		if e := heal(t, f, c); !e.Proven {
			t.Errorf("%s: heal: %+v", disturbances[i].kind.Name, e)
		}
	}
	if e := heal(t, cut, c); !e.Proven {
		t.Errorf("heal partition: %+v", e)
	}
	checkNoTables(t, c)
}

func TestDisturbanceIsAppliedAgainInANewNamespace(t *testing.T) {
	c := newNetCluster(t, 3)
	f := makeFault(t, delayKind, history.PlannedFault{Kind: "delay", ID: 1, Target: Links, Args: map[string]string{argDelay: "30ms", argJitter: "0s", argLinks: "n1>n2 n2>n1"}})
	c.down["n2"] = true
	if e := inject(t, f, c); !e.Skipped {
		t.Errorf("with n2 down: %+v", e)
	}
	c.down["n2"] = false
	if e := inject(t, f, c); !e.Proven {
		t.Errorf("inject: %+v", e)
	}
	c.renew("n2")
	e, hit, err := f.(Reapplier).Reapply(t.Context(), c, "n2")
	if err != nil || !hit || !e.Proven || !slices.Equal(e.Nodes, []string{"n2"}) {
		t.Errorf("reapply: %+v, hit %t, error %v", e, hit, err)
	}
	if _, hit, err := f.(Reapplier).Reapply(t.Context(), c, "n3"); hit || err != nil {
		t.Errorf("reapply on a node that was not hit: %t, error %v", hit, err)
	}
	if e := heal(t, f, c); !e.Proven || e.Measures["calm_links"] != 2 {
		t.Errorf("heal: %+v", e)
	}
	checkNoTables(t, c)
}

func TestDisturbanceIsNotProvenWhereItDoesNotBite(t *testing.T) {
	c := newNetCluster(t, 2)
	d := disturbances[0]
	f := makeFault(t, d.kind, history.PlannedFault{Kind: d.kind.Name, ID: 1, Target: Pair, Args: d.args})
	f.(*disturbance).filter = func(s packets.Site, _ *rand.Rand) (*packets.Filter, error) { return packets.Lose(s, 0) }
	if e := inject(t, f, c); e.Proven || e.Skipped {
		t.Errorf("inject: %+v", e)
	}
	if e := heal(t, f, c); !e.Proven {
		t.Errorf("heal: %+v", e)
	}
	checkNoTables(t, c)
}

// TestDisturbancesAreSeenOnlyWhereTheyAre holds what is taken for proof against a link that nothing disturbs.
func TestDisturbancesAreSeenOnlyWhereTheyAre(t *testing.T) {
	c := newNetCluster(t, 2)
	for _, d := range disturbances {
		f := makeFault(t, d.kind, history.PlannedFault{Kind: d.kind.Name, Target: Pair, Args: d.args}).(*disturbance)
		if f.bites(netspace.Trace{}) || f.gone(netspace.Trace{}) {
			t.Errorf("%s: a link of which nothing is known is judged", d.kind.Name)
		}
		for l, trace := range f.traces(t.Context(), c, []link{{"n1", "n2"}, {"n2", "n1"}}) {
			if f.bites(trace) || !f.gone(trace) {
				t.Errorf("%s is seen on %v: %+v", d.kind.Name, l, trace)
			}
		}
	}
}

func TestDisturbancesRefuseBadPlans(t *testing.T) {
	for _, d := range disturbances {
		name := d.kind.Name
		p := history.PlannedFault{Kind: name, Target: "middle", Args: d.args}
		if _, err := d.kind.New(p); err == nil || !strings.HasPrefix(err.Error(), "target of "+name+`: "middle" given, one of one, `) {
			t.Errorf("%s: %v", name, err)
		}
		for arg := range d.args {
			for _, bad := range []string{"", "x", "-1", "-5ms", "NaN", "1e9", "99h"} {
				p := history.PlannedFault{Kind: name, Target: One, Args: map[string]string{}}
				for k, v := range d.args {
					p.Args[k] = v
				}
				p.Args[arg] = bad
				if _, err := d.kind.New(p); err == nil || !strings.HasPrefix(err.Error(), "argument "+arg+" of "+name+": ") {
					t.Errorf("%s %s=%q: %v", name, arg, bad, err)
				}
			}
		}
	}
}

func TestDisturbancesDrawWhatTheyTake(t *testing.T) {
	r := random()
	for _, d := range disturbances {
		for range 500 {
			p := d.kind.Draw(r, LinkTargets)
			p.Kind = d.kind.Name
			if _, err := d.kind.New(p); err != nil {
				t.Fatalf("drew %+v: %v", p, err)
			}
		}
	}
}

func TestDisturbedLinks(t *testing.T) {
	order := []string{"n3", "n1", "n2", "n5", "n4"}
	for target, want := range map[string]int{One: 8, Leader: 8, Pair: 2, Minority: 12, All: 20} {
		if a := disturbedLinks(target, order, random()); len(a.links) != want || len(a.nodes) == 0 {
			t.Errorf("%s: %d links %v of %v, want %d", target, len(a.links), a.links, a.nodes, want)
		}
	}
	for range 100 {
		if a := disturbedLinks(Links, order[:2], random()); len(a.links) == 0 || a.what == "" {
			t.Errorf("links: %+v", a)
		}
	}
}
