package nemesis

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"rift/harness/history"
	"rift/nemesis/netfilter"
	"rift/nemesis/netspace"
)

// arguments makes a planned partition of a target valid.
func arguments(target string) map[string]string {
	if target == OneWay {
		return map[string]string{argDirection: Incoming}
	}
	return nil
}

func TestPartitionShapesBite(t *testing.T) {
	c := newNetCluster(t, 5)
	for id, shape := range Shapes {
		f := makeFault(t, partitionKind, history.PlannedFault{ID: id + 1, Target: shape, Args: arguments(shape)})
		e := inject(t, f, c)
		if !e.Proven || e.Measures["silent_links"] != float64(len(e.Links)) || len(e.Links) == 0 {
			t.Errorf("%s: inject: %+v", shape, e)
		}
		if shape == IsolateLeader && !slices.Equal(e.Nodes, []string{c.leader}) {
			t.Errorf("leader is %s, but %v was isolated", c.leader, e.Nodes)
		}
		for _, node := range c.nodes {
			probe := netspace.Probe{From: "/proc/thread-self/ns/net", To: c.Peer(node)}
			if o := netspace.Try(t.Context(), []netspace.Probe{probe}, 2*time.Second)[0]; !o.Answered {
				t.Errorf("%s: clients do not reach %s: %+v", shape, node, o)
			}
		}
		if healed := heal(t, f, c); !healed.Proven || healed.Measures["answered_links"] != float64(len(e.Links)) || healed.Measures["dropped_packets"] < 1 {
			t.Errorf("%s: heal: %+v", shape, healed)
		}
		if again := heal(t, f, c); !again.Skipped {
			t.Errorf("%s: heal again: %+v", shape, again)
		}
	}
	if left, err := netfilter.Tables(""); err != nil || len(left) > 0 {
		t.Errorf("tables are left: %v, error %v", left, err)
	}
}

func TestPartitionPartsNodesByName(t *testing.T) {
	c := newNetCluster(t, 3)
	f := makeFault(t, partitionKind, history.PlannedFault{Target: "n2"})
	e := inject(t, f, c)
	if want := []link{{"n1", "n2"}, {"n2", "n1"}, {"n2", "n3"}, {"n3", "n2"}}; !e.Proven || !slices.Equal(e.Links, want) {
		t.Errorf("inject: %+v, want links %v", e, want)
	}
	heal(t, f, c)
	for target, want := range map[string]string{"n1,n2,n3": "leaves nobody on the other side", "n4": "one of n1, n2, n3"} {
		f := makeFault(t, partitionKind, history.PlannedFault{Target: target})
		if _, err := f.Inject(t.Context(), c, random()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, which should mention %q", target, err, want)
		}
	}
}

func TestPartitionIsMadeSmallerToKeepAQuorum(t *testing.T) {
	c := newNetCluster(t, 4)
	keepQuorum(c)
	f := makeFault(t, partitionKind, history.PlannedFault{Target: Halves})
	e := inject(t, f, c)
	if !e.Proven || len(e.Nodes) != 1 || !strings.Contains(e.Summary, "made smaller to keep a quorum") {
		t.Fatalf("inject: %+v", e)
	}
	other := c.nodes[(slices.Index(c.nodes, e.Nodes[0])+1)%len(c.nodes)]
	slow := makeFault(t, delayKind, history.PlannedFault{ID: 2, Target: other, Args: map[string]string{argDelay: "200ms", argJitter: "0s"}})
	if _, err := slow.Inject(t.Context(), c, random()); !errors.Is(err, ErrQuorum) {
		t.Errorf("with one of four nodes cut off, links between others were slowed: %v", err)
	}
	heal(t, f, c)
}

func TestPartitionsOverlapAndHealByThemselves(t *testing.T) {
	c := newNetCluster(t, 4)
	plan := func(id int, links string) Fault {
		return makeFault(t, partitionKind, history.PlannedFault{ID: id, Target: Links, Args: map[string]string{argLinks: links}})
	}
	cut := func(want ...link) {
		t.Helper()
		links, err := netfilter.Links(netTag)
		if err != nil {
			t.Fatal(err)
		}
		if len(links) != len(want) || slices.ContainsFunc(want, func(l link) bool { return !links[address(c, l)] }) {
			t.Errorf("cut are %v, want %v", links, want)
		}
	}
	first, second := plan(1, "n1>n2 n2>n1"), plan(12, "n2>n1 n3>n4")
	if e := inject(t, first, c); !e.Proven {
		t.Errorf("first: %+v", e)
	}
	// Of the six pairs, the first partition cuts one, and the second another besides.
	if e := inject(t, second, c); !e.Proven || e.Measures["other_pairs"] != 4 {
		t.Errorf("second: %+v", e)
	}
	if e := heal(t, first, c); !e.Proven || e.Measures["probed_links"] != 0 {
		t.Errorf("heal first, all of whose links the second still cuts one way: %+v", e)
	}
	cut(link{"n2", "n1"}, link{"n3", "n4"})
	if e := heal(t, second, c); !e.Proven || e.Measures["answered_links"] != 2 {
		t.Errorf("heal second: %+v", e)
	}
	cut()
}

func TestPartitionIsNotMistakenForADisturbance(t *testing.T) {
	c := newNetCluster(t, 4)
	slow := makeFault(t, delayKind, history.PlannedFault{
		Kind: "delay", ID: 1, Target: Links, Args: map[string]string{argDelay: "1s", argJitter: "0s", argLinks: "n1>n2 n3>n1"},
	})
	if e := inject(t, slow, c); !e.Proven {
		t.Fatalf("delay: %+v", e)
	}
	f := makeFault(t, partitionKind, history.PlannedFault{ID: 2, Target: Links, Args: map[string]string{argLinks: "n1>n3 n3>n1 n3>n4"}})
	// n3-n1, n1-n4 and others with a node that receives late are left out: that they are silent means nothing.
	if e := inject(t, f, c); !e.Proven || e.Measures["silent_links"] != 3 || e.Measures["other_pairs"] != 0 {
		t.Errorf("inject: %+v", e)
	}
	if e := heal(t, f, c); !e.Proven || e.Measures["answered_links"] != e.Measures["probed_links"] || e.Measures["probed_links"] != 1 {
		t.Errorf("heal: %+v", e)
	}
	if e := heal(t, slow, c); !e.Proven {
		t.Errorf("heal delay: %+v", e)
	}
}

func TestPartitionOneWayLetsTheOtherWayPass(t *testing.T) {
	c := newNetCluster(t, 2)
	one, two := c.udp("n1"), c.udp("n2")
	send := func(from *net.UDPConn, to, text string) {
		t.Helper()
		if _, err := from.WriteToUDPAddrPort([]byte(text), c.Peer(to)); err != nil {
			t.Fatal(err)
		}
	}
	receive := func(at *net.UDPConn, want string) {
		t.Helper()
		check(t, at.SetReadDeadline(time.Now().Add(10*time.Second)))
		b := make([]byte, 64)
		if n, err := at.Read(b); err != nil || string(b[:n]) != want {
			t.Errorf("got %q, error %v, want %q", b[:n], err, want)
		}
	}
	f := makeFault(t, partitionKind, history.PlannedFault{Target: Links, Args: map[string]string{argLinks: "n1>n2"}})
	if e := inject(t, f, c); !e.Proven {
		t.Errorf("inject: %+v", e)
	}
	send(two, "n1", "from n2 during")
	receive(one, "from n2 during")
	send(one, "n2", "from n1 during, to be lost")
	heal(t, f, c)
	send(one, "n2", "from n1 after")
	receive(two, "from n1 after")
}

func TestPartitionLeavesOutNodesThatAreDown(t *testing.T) {
	c := newNetCluster(t, 3)
	c.down["n3"] = true
	f := makeFault(t, partitionKind, history.PlannedFault{Target: Links, Args: map[string]string{argLinks: "n1>n2 n1>n3 n3>n2"}})
	if e := inject(t, f, c); !e.Proven || e.Measures["probed_links"] != 1 || len(e.Links) != 3 {
		t.Errorf("inject: %+v", e)
	}
	if e := heal(t, f, c); !e.Proven || e.Measures["probed_links"] != 1 {
		t.Errorf("heal: %+v", e)
	}
	c.down["n2"] = true
	f = makeFault(t, partitionKind, history.PlannedFault{Target: Halves})
	if e := inject(t, f, c); !e.Skipped {
		t.Errorf("with one node up: %+v", e)
	}
	if e := heal(t, f, c); !e.Skipped {
		t.Errorf("heal of nothing: %+v", e)
	}
}

func TestPartitionIsNotProvenWhereItDoesNotBite(t *testing.T) {
	c := newNetCluster(t, 2)
	f := makeFault(t, partitionKind, history.PlannedFault{Target: Halves})
	// A cluster that gives wrong addresses for its nodes' peers: the drop hits nobody.
	e, err := f.Inject(t.Context(), strayCluster{c}, random())
	if err != nil || e.Proven {
		t.Errorf("inject: %+v, error %v", e, err)
	}
	if _, err := f.Heal(t.Context(), strayCluster{c}); err != nil {
		t.Errorf("heal: %v", err)
	}
}

func TestPartitionRefusesIPv6(t *testing.T) {
	c := newNetCluster(t, 1)
	if err := partitionKind.Able(c); err != nil {
		t.Errorf("without IPv6: %v", err)
	}
	c.inside("n1", func() error { return exposeIPv6() })
	if err := partitionKind.Able(c); err == nil || !strings.Contains(err.Error(), "n1 has IPv6 on [eth0]") {
		t.Errorf("with IPv6: %v", err)
	}
}

func TestPartitionRefusesBadPlans(t *testing.T) {
	for _, bad := range []struct {
		target, arg, value, want string
	}{
		{"middle", "", "", `target of partition: "middle" given, one of isolate-leader, `},
		{Halves, argLinks, "n1>n2", `argument of partition: "links" given, one of none allowed`},
		{OneWay, "", "", `argument direction of partition: "" given, one of outgoing, incoming allowed`},
		{OneWay, argDirection, "up", `argument direction of partition: "up" given, one of outgoing, incoming allowed`},
		{Links, argLinks, "n1-n2", `argument links of partition: "n1-n2" given, links such as n1>n2 allowed`},
		{Links, argLinks, " ", `argument links of partition: " " given, at least one link`},
	} {
		p := history.PlannedFault{Kind: partitionKind.Name, Target: bad.target}
		if bad.arg != "" {
			p.Args = map[string]string{bad.arg: bad.value}
		}
		if _, err := partitionKind.New(p); err == nil || !strings.HasPrefix(err.Error(), bad.want) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	c := &processCluster{nodes: map[string]*idleNode{"n1": nil}}
	f := makeFault(t, partitionKind, history.PlannedFault{Target: Links, Args: map[string]string{argLinks: "n1>n9"}})
	if _, err := f.Inject(t.Context(), c, random()); err == nil || err.Error() != `argument links of partition: "n9" given, one of n1 allowed` {
		t.Errorf("unknown node: %v", err)
	}
	f = makeFault(t, partitionKind, history.PlannedFault{Target: IsolateLeader})
	if _, err := f.Inject(t.Context(), c, random()); err == nil {
		t.Error("the leader was isolated where nobody leads")
	}
}

func TestPartitionDrawsWhatItTakes(t *testing.T) {
	r := random()
	drawn := make(map[string]bool)
	for range 1000 {
		p := partitionKind.Draw(r, Shapes)
		p.Kind = partitionKind.Name
		drawn[p.Target+fmt.Sprint(p.Args)] = true
		if _, err := partitionKind.New(p); err != nil {
			t.Fatalf("drew %+v: %v", p, err)
		}
	}
	if len(drawn) != len(Shapes)+1 { // one-way is drawn with either direction
		t.Errorf("drew %v", drawn)
	}
}
