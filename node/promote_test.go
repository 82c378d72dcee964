package node

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
)

// learner starts a node that joins n1 without asking for a vote.
func (c *testCluster) learner(id string) *Node {
	c.t.Helper()
	config := testConfig(id)
	config.Learner, config.Join = true, []string{c.configs["n1"].HTTPAddr}
	n := c.add(config)
	c.awaitReady(id)
	return n
}

// told asks a node for the members, and returns the voters and the learners.
func (c *testCluster) told(id, query string) (voters, learners []string) {
	c.t.Helper()
	var m struct{ Members []memberAnswer }
	if err := json.Unmarshal([]byte(c.must(id, "GET", "/v1/members"+query, "").body), &m); err != nil {
		c.t.Fatal(err)
	}
	for _, member := range m.Members {
		if member.Voter {
			voters = append(voters, member.ID)
		} else {
			learners = append(learners, member.ID)
		}
	}
	return voters, learners
}

func TestALearnerGetsItsVoteOnRequest(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, nil)
	c.must("n1", "PUT", "/v1/kv/x", "y")
	c.learner("n3")
	if got := c.must("n3", "GET", "/v1/kv/x", "").value(); got != "y" {
		t.Errorf("the learner reads %q", got)
	}
	if voters, learners := c.told("n2", "?consistency=linearizable"); len(voters) != 2 || !slices.Equal(learners, []string{"n3"}) {
		t.Errorf("voters are %v, learners %v", voters, learners)
	}
	for range 2 { // a voter that is promoted stays one
		c.must("n2", "POST", "/v1/members/n3/promote", "")
		for _, id := range c.ids {
			if voters, learners := c.told(id, "?consistency=linearizable"); len(voters) != 3 || learners != nil {
				t.Errorf("%s: voters are %v, learners %v", id, voters, learners)
			}
		}
	}
	c.isolate(c.leader())
	if e := c.call(c.leader(), "GET", "/v1/members?consistency=linearizable&forward=false&timeout=200ms", "").failure(); e.Code == "" || !e.Definite {
		t.Errorf("a leader that is cut off is certain: %+v", e)
	}
}

// A learner that is restarted asks for nothing, and one that was promoted stays a voter.
func TestALearnerStaysWhatItIs(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	for _, promote := range []bool{false, true} {
		if promote {
			c.must("n1", "POST", "/v1/members/n2/promote", "")
			c.crash("n2")
			c.start("n2")
		} else {
			c.learner("n2")
			c.crash("n2")
			c.start("n2")
		}
		c.awaitReady("n2")
		if s := c.statusOf("n2"); slices.Contains(s.Voters, "n2") != promote || slices.Contains(s.Nonvoters, "n2") == promote {
			t.Errorf("promoted %t: voters are %v, learners %v", promote, s.Voters, s.Nonvoters)
		}
	}
}

func TestPromotionIsRefused(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	c.learner("n4")
	c.learner("n5")
	leader := c.leader("n1", "n2", "n3")
	refused := func(what, id string, want Code) {
		t.Helper()
		var e Error
		await(t, "a definite answer", func() bool {
			e = c.call(leader, "POST", "/v1/members/"+id+"/promote?timeout=20s", "").failure()
			return e.Code == want || e.Code == ""
		})
		if !e.Definite || len(c.statusOf(leader).Voters) != 3 {
			t.Errorf("%s: %+v, voters are %v", what, e, c.statusOf(leader).Voters)
		}
	}
	refused("nobody of this name", "n9", CodeMemberNotFound)
	c.net.hang("n4", true)
	for i := range 200 {
		c.must(leader, "PUT", fmt.Sprintf("/v1/kv/k%d", i), "v")
	}
	refused("it is far behind", "n4", CodeNotCaughtUp)
	c.net.hang("n4", false)
	c.crash("n4")
	refused("it is down", "n4", CodeUnreachable)
	c.crash(c.others(leader, "n4", "n5")[0])
	c.must(leader, "POST", "/v1/members/n5/promote", "") // three of four answer, then
	c.crash("n5")
	c.start("n4")
	var e Error
	await(t, "a definite answer", func() bool {
		e = c.call(leader, "POST", "/v1/members/n4/promote", "").failure()
		return e.Code == CodeNoLeader || e.Code == CodeNoQuorum || e.Code == ""
	})
	if !e.Definite {
		t.Errorf("with two of four voters left: %+v", e)
	}
}

func TestAMemberRequestIsChecked(t *testing.T) {
	c := newCluster(t, 1, nil)
	for body, want := range map[string]Code{
		`[]`:                                CodeBadRequest,
		`{"id":"a b","raft":"127.0.0.1:1"}`: CodeBadRequest,
		`{"id":"n2","raft":"nowhere"}`:      CodeBadRequest,
		`{"id":"n2","raft":"127.0.0.1:1","http":"nowhere"}`:                 CodeBadRequest,
		`{"id":"n2","raft":"127.0.0.1:1","http":"127.0.0.1:2"}`:             CodeUnreachable,
		`{"id":"n2","raft":"127.0.0.1:1","voter":true,"cluster":"another"}`: CodeClusterMismatch,
	} {
		if e := c.call("n1", "POST", "/v1/members", body).failure(); e.Code != want || !e.Definite {
			t.Errorf("%s: %+v, want %s", body, e, want)
		}
	}
	config := testConfig("n2")
	config.Learner = true
	if err := config.Validate(); err == nil {
		t.Error("a learner without an address to join was taken")
	}
}
