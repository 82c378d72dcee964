package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
)

func TestNodesJoinAndAgree(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	for i, id := range c.ids {
		c.must(id, "PUT", fmt.Sprintf("/v1/kv/k%d", i), id)
	}
	for _, id := range c.ids {
		s := c.statusOf(id)
		slices.Sort(s.Voters)
		if !slices.Equal(s.Voters, c.ids) || len(s.Nonvoters) != 0 || s.Cluster == "" {
			t.Errorf("%s sees %+v", id, s)
		}
		if got := c.must(id, "GET", "/v1/kv/k2", "").value(); got != c.ids[2] {
			t.Errorf("%s reads %q", id, got)
		}
	}
	await(t, "all nodes have the same state", func() bool {
		first := c.statusOf(c.ids[0])
		for _, id := range c.ids {
			if s := c.statusOf(id); s.StateHash != first.StateHash || s.Revision < 3 || s.AppliedIndex != first.AppliedIndex {
				return false
			}
		}
		return true
	})
	var members struct{ Members []memberAnswer }
	if err := json.Unmarshal([]byte(c.must("n2", "GET", "/v1/members", "").body), &members); err != nil || len(members.Members) != 3 {
		t.Fatalf("%+v, %v", members, err)
	}
	for _, m := range members.Members {
		if m.HTTP != c.configs[m.ID].HTTPAddr || m.Raft != c.configs[m.ID].RaftAddr || !m.Voter {
			t.Errorf("%+v, want the addresses of %+v", m, c.configs[m.ID])
		}
	}
}

// A request to join that cannot be meant so is refused, changes nothing, and writing goes on.
// What a server said before it came to join, perhaps before it lost its data, does not show that it has caught up.
func TestOnlyNewAnswersShowThatANodeHasCaughtUp(t *testing.T) {
	n := newCluster(t, 1, nil).nodes["n1"]
	far := func() contact {
		return contact{order: n.transport.contacts.order(), term: n.raft.CurrentTerm(), lastLog: n.raft.LastIndex()}
	}
	n.transport.contacts.note("n2", far())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.awaitCaughtUp(ctx, "n2"); !errors.Is(err, context.Canceled) {
		t.Errorf("an old answer counts: %v", err)
	}
	done := make(chan error, 1)
	go func() { done <- n.awaitCaughtUp(t.Context(), "n2") }()
	await(t, "the new answer counts", func() bool {
		n.transport.contacts.note("n2", far())
		return len(done) > 0
	})
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestABogusJoinChangesNothing(t *testing.T) {
	c := newCluster(t, 1, func(c *Config) { c.ClusterID = "ours" })
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	other, err := Start(func() Config { o := testConfig("n2"); o.ClusterID = "theirs"; return o }(), c.net.host("n2"), testLogger(t))
	if err != nil {
		t.Fatal(err)
	}
	defer other.stop()
	before := c.statusOf("n1")
	for address, want := range map[string]Code{
		"127.0.0.1:1":            CodeUnreachable,
		silent.Addr().String():   CodeUnreachable,
		other.config.RaftAddr:    CodeClusterMismatch,
		c.configs["n1"].RaftAddr: CodeIDTaken,
	} {
		a := c.call("n1", "POST", "/join", fmt.Sprintf(`{"id":"n2","addr":%q}`, address))
		if e := a.failure(); e.Code != want || !e.Definite {
			t.Errorf("join at %s: %d %s, want %s, definite", address, a.status, a.body, want)
		}
	}
	if after := c.statusOf("n1"); after.LastLogIndex != before.LastLogIndex || len(after.Voters) != 1 {
		t.Errorf("the log grew from %d to %d, the voters are %v", before.LastLogIndex, after.LastLogIndex, after.Voters)
	}
	c.must("n1", "PUT", "/v1/kv/x", "y")
}

// failed waits for a node to give up.
func failed(t *testing.T, n *Node) string {
	t.Helper()
	var err error
	await(t, "the node gives up", func() bool {
		select {
		case err = <-n.Failed():
			return true
		default:
			return false
		}
	})
	return err.Error()
}

func TestANodeGivesUpWhenItIsDefinitelyRefused(t *testing.T) {
	c := newCluster(t, 1, func(c *Config) {
		if c.ID == "n1" {
			c.ClusterID = "ours"
		}
	})
	config := testConfig("n2")
	config.ClusterID, config.Join = "theirs", []string{"127.0.0.1:1", c.configs["n1"].HTTPAddr}
	if reason := failed(t, c.add(config)); !strings.Contains(reason, `"ours", not "theirs"`) {
		t.Errorf("it gave up because: %s", reason)
	}
	config = testConfig("n1")
	config.Join = []string{c.configs["n1"].HTTPAddr}
	impostor, err := Start(config, c.net.host("impostor"), testLogger(t))
	if err != nil {
		t.Fatal(err)
	}
	defer impostor.stop()
	if reason := failed(t, impostor); !strings.Contains(reason, string(CodeIDTaken)) {
		t.Errorf("it gave up because: %s", reason)
	}
}

func TestAChangeMustLeaveALiveQuorum(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	leader := c.leader()
	down, up := c.others(leader)[0], c.others(leader)[1]
	c.crash(down)
	var e Error
	await(t, "a definite answer", func() bool {
		e = c.call(leader, "DELETE", "/v1/members/"+up, "").failure()
		return e.Code == CodeNoQuorum || e.Code == ""
	})
	if !e.Definite || len(c.statusOf(leader).Voters) != 3 {
		t.Errorf("%+v; voters are %v", e, c.statusOf(leader).Voters)
	}
	c.must(leader, "DELETE", "/v1/members/"+down, "")
	if got := c.statusOf(leader).Voters; len(got) != 2 || slices.Contains(got, down) {
		t.Errorf("voters are %v after %s was removed", got, down)
	}
	c.must(up, "PUT", "/v1/kv/x", "y")
}

// A voter that comes back without its data may have forgotten votes and acknowledgements. It must not
// take part as the voter that it was: it is removed, and joins as a new node.
func TestAVoterWithoutItsDataBeginsAnew(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	leader := c.leader()
	lost := c.others(leader)[0]
	c.must(leader, "PUT", "/v1/kv/x", "kept")
	c.wipe(lost, leader, c.others(leader, lost)[0])
	n := c.start(lost)
	if n.stream.hasAdmission(0) && n.machine.state().cluster == "" {
		t.Error("it takes part before it was admitted")
	}
	c.awaitReady(lost)
	if got := c.must(lost, "GET", "/v1/kv/x", "").value(); got != "kept" {
		t.Errorf("it reads %q", got)
	}
	if got := c.statusOf(lost).Voters; len(got) != 3 {
		t.Errorf("voters are %v", got)
	}
}

func TestRestartedNodesGoOn(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	c.must("n1", "PUT", "/v1/kv/x", "kept")
	for _, id := range c.ids {
		c.crash(id)
	}
	for _, id := range c.ids {
		config := c.configs[id]
		config.Join = nil // a node with data needs nobody to join
		c.configs[id] = config
		c.start(id)
	}
	c.awaitReady(c.ids...)
	for _, id := range c.ids {
		if got := c.must(id, "GET", "/v1/kv/x", "").value(); got != "kept" {
			t.Errorf("%s reads %q", id, got)
		}
	}
}

// A node may come back at other addresses. The cluster learns them from the node itself.
func TestANodeMayMove(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	for _, id := range []string{c.others(c.leader())[0], c.leader()} {
		c.crash(id)
		config := c.configs[id]
		config.HTTPAddr, config.RaftAddr = "127.0.0.1:0", "127.0.0.1:0"
		config.Join = []string{c.configs[c.others(id)[0]].HTTPAddr, c.configs[c.others(id)[1]].HTTPAddr}
		c.configs[id] = config
		n := c.start(id)
		config.HTTPAddr, config.RaftAddr = n.config.HTTPAddr, n.config.RaftAddr
		c.configs[id] = config
		await(t, "the cluster knows where it is", n.registered)
	}
	c.must(c.ids[0], "PUT", "/v1/kv/x", "y")
}

func TestANewFollowerGetsASnapshot(t *testing.T) {
	c := newCluster(t, 1, func(c *Config) { c.TrailingLogs = 1 })
	for i := range 30 {
		c.must("n1", "PUT", fmt.Sprintf("/v1/kv/k%02d", i), fmt.Sprint(i))
	}
	c.must("n1", "POST", "/v1/snapshot", "")
	if c.statusOf("n1").SnapshotIndex == 0 {
		t.Error("there is no snapshot")
	}
	config := testConfig("n2")
	config.Join = []string{c.configs["n1"].HTTPAddr}
	n := c.add(config)
	c.awaitReady("n2")
	want := c.must("n1", "GET", "/v1/kv", "").body
	if got := c.must("n2", "GET", "/v1/kv", "").body; got != want || n.machine.restores.Load() == 0 {
		t.Errorf("after %d restores, n2 has %s, n1 %s", n.machine.restores.Load(), got, want)
	}
	if a, b := c.statusOf("n1"), c.statusOf("n2"); a.StateHash != b.StateHash {
		t.Errorf("the hashes are %s and %s at %d and %d", a.StateHash, b.StateHash, a.Revision, b.Revision)
	}
}

func TestLeadershipGoesWhereItIsSent(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	to := c.others(c.leader())[0]
	for c.leader() != to { // a busy cluster may elect somebody else right after
		a := c.call(c.ids[0], "POST", "/v1/leader/transfer?to="+to, "")
		t.Log(a.status, a.body)
	}
	n := c.nodes[to]
	delete(c.nodes, to)
	if err := n.Shutdown(); err != nil {
		t.Errorf("shut down: %v", err)
	}
	c.must(c.leader(c.others(to)...), "PUT", "/v1/kv/x", "y")
}

// A leader that shuts down refuses what comes, definitely, and ends what has begun.
func TestShutdownRefusesDefinitely(t *testing.T) {
	c := newCluster(t, 1, nil)
	n := c.nodes["n1"]
	n.draining.Store(true)
	if e := c.call("n1", "PUT", "/v1/kv/x", "y").failure(); e.Code != CodeShuttingDown || !e.Definite {
		t.Errorf("a write: %+v", e)
	}
	if e := c.call("n1", "GET", "/readyz", "").failure(); e.Code != CodeShuttingDown {
		t.Errorf("readyz: %+v", e)
	}
	delete(c.nodes, "n1")
	if err := n.Shutdown(); err != nil {
		t.Errorf("shut down: %v", err)
	}
	_, err := n.proposer.propose(context.Background(), command{op: opPut})
	if e := asError(err); e.Code != CodeShuttingDown || !e.Definite {
		t.Errorf("a proposal: %+v", e)
	}
}
