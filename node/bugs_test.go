package node

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Each scenario tells whether clients of a fresh cluster saw something that the store promises never to
// happen. It must show, sooner or later, on a node with the bug, and never on a healthy one.
var scenarios = map[string]func(c *testCluster) bool{
	"stale-read": func(c *testCluster) bool {
		leader := c.leader()
		lost := c.others(leader)[0]
		c.must(leader, "PUT", "/v1/kv/x", "old")
		await(c.t, "the follower has the old value", func() bool { return c.call(lost, "GET", "/v1/kv/x?consistency=stale", "").value() == "old" })
		c.isolate(lost)
		c.must(leader, "PUT", "/v1/kv/x", "new")
		return c.call(lost, "GET", "/v1/kv/x?timeout=300ms", "").value() == "old"
	},

	"dirty-read": func(c *testCluster) bool {
		leader := c.leader()
		c.isolate(leader)
		written := make(chan answer, 1)
		go func() { written <- c.call(leader, "PUT", "/v1/kv/x?timeout=1s&forward=false", "dirty") }()
		for {
			if c.call(leader, "GET", "/v1/kv/x?timeout=20ms", "").value() == "dirty" {
				<-written
				return c.call(c.leader(c.others(leader)...), "GET", "/v1/kv/x", "").value() != "dirty"
			}
			select {
			case <-written:
				return false
			default:
			}
		}
	},

	"lost-ack": func(c *testCluster) bool {
		leader := c.leader()
		c.isolate(leader)
		acknowledged := c.call(leader, "PUT", "/v1/kv/x?timeout=1s&forward=false", "lost").status == 200
		next := c.leader(c.others(leader)...)
		return acknowledged && c.call(next, "GET", "/v1/kv/x", "").value() != "lost"
	},

	"cas-race": func(c *testCluster) bool {
		leader := c.leader()
		for try := range 10 {
			key := fmt.Sprintf("/v1/kv/x%d", try)
			c.must(leader, "PUT", key, "0")
			var won atomic.Int32
			var all sync.WaitGroup
			for i := range 8 {
				all.Add(1)
				go func() {
					defer all.Done()
					if c.call(leader, "PUT", key+"?prev-value=0", fmt.Sprint(i+1)).status == 200 {
						won.Add(1)
					}
				}()
			}
			all.Wait()
			if won.Load() > 1 {
				return true
			}
		}
		return false
	},

	// Each of two transactions writes one key if the other is 0.
	"write-skew": func(c *testCluster) bool {
		return inPairs(c, `{"then":[{"op":"put","key":"a","value":"0"},{"op":"put","key":"b","value":"0"}]}`,
			`{"compare":[{"key":"a","value":"0"}],"then":[{"op":"put","key":"b","value":"1"}]}`,
			`{"compare":[{"key":"b","value":"0"}],"then":[{"op":"put","key":"a","value":"1"}]}`, "1", "1")
	},

	"lost-update": func(c *testCluster) bool {
		return inPairs(c, `{"then":[{"op":"put","key":"a","value":"0"},{"op":"put","key":"b","value":"[]"}]}`,
			`{"then":[{"op":"add","key":"a","value":"1"},{"op":"append","key":"b","value":"0"}]}`,
			`{"then":[{"op":"add","key":"a","value":"1"},{"op":"append","key":"b","value":"0"}]}`, "1", "[0]")
	},

	"dirty-abort": func(c *testCluster) bool {
		leader := c.leader()
		c.must(leader, "POST", "/v1/txn", `{"compare":[{"key":"a","exists":true}],"then":[{"op":"put","key":"a","value":"dirty"}]}`)
		c.call(leader, "POST", "/v1/txn", `{"then":[{"op":"put","key":"b","value":"dirty"},{"op":"append","key":"b","value":"1"}]}`)
		got := c.transact(leader, `{"then":[{"op":"get","key":"a"},{"op":"get","key":"b"}]}`)
		if got[0].Found != got[1].Found {
			c.t.Errorf("only one of two failed transactions left something: %+v", got)
		}
		return got[0].Found
	},

	// One client sets two keys to the same number, again and again, while others read both.
	"fractured-read": func(c *testCluster) bool {
		leader := c.leader()
		stop, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
					c.call(leader, "POST", "/v1/txn", fmt.Sprintf(`{"then":[{"op":"put","key":"a","value":"%d"},{"op":"put","key":"b","value":"%[1]d"}]}`, i))
				}
			}
		}()
		defer func() { close(stop); <-done }()
		for try := range 50 {
			got := c.transact(c.ids[try%3], `{"then":[{"op":"get","key":"a"},{"op":"get","key":"b"}]}`)
			if got[0].Value != got[1].Value {
				return true
			}
		}
		return false
	},

	// All nodes are restarted while one, which has missed nothing so far, stays down. What is then written
	// is in terms that begin anew, below the last term in the log of the one that stayed down.
	"forget-vote": func(c *testCluster) bool {
		for _, id := range c.ids { // a few terms
			c.must(c.leader(), "POST", "/v1/leader/transfer?to="+id, "")
		}
		c.must(c.leader(), "PUT", "/v1/kv/x", "old")
		await(c.t, "all have the whole log", func() bool {
			leader := c.statusOf(c.leader())
			for _, id := range c.ids {
				if c.statusOf(id).LastLogIndex != leader.LastLogIndex {
					return false
				}
			}
			return true
		})
		a, b, absent := c.ids[0], c.ids[1], c.ids[2]
		for _, id := range c.ids {
			c.crash(id)
		}
		c.start(a)
		c.start(b)
		c.must(c.leader(a, b), "PUT", "/v1/kv/x", "new")
		c.crash(a)
		c.start(absent)
		return c.call(c.leader(b, absent), "GET", "/v1/kv/x", "").value() != "new"
	},

	// One of the two nodes that have a write loses its data and comes back, together with the node that never had it.
	"join-without-catchup": func(c *testCluster) bool {
		absent := c.others(c.leader())[0]
		c.crash(absent)
		c.must(c.leader(), "PUT", "/v1/kv/x", "there")
		kept, wiped := c.others(absent)[0], c.others(absent)[1]
		c.crash(kept)
		c.wipe(wiped, kept, absent)
		c.start(absent)
		c.start(wiped)
		for range 10 { // each for as long as an election may take
			if got := c.call(absent, "GET", "/v1/kv/x", "").value(); got == string(CodeKeyNotFound) {
				return true
			}
		}
		c.start(kept)
		return c.must(wiped, "GET", "/v1/kv/x", "").value() != "there"
	},

	"split-clock-lease": func(c *testCluster) bool {
		leader := c.leader()
		c.must(leader, "PUT", "/v1/kv/x", "old")
		c.must(leader, "GET", "/v1/kv/x", "")
		c.isolate(leader)
		c.setBack.Store(true)
		next := c.leader(c.others(leader)...)
		c.must(next, "PUT", "/v1/kv/x", "new")
		return c.call(leader, "GET", "/v1/kv/x?timeout=300ms", "").value() == "old"
	},

	"clock-ttl": func(c *testCluster) bool {
		leader := c.leader()
		c.setBack.Store(true)
		c.must(leader, "PUT", "/v1/kv/other?ttl=50ms", "short") // its end shows that time passes
		c.must(leader, "PUT", "/v1/kv/x?ttl=50s", "long")
		await(c.t, "the short-lived key has gone", func() bool { return c.call(leader, "GET", "/v1/kv/other", "").value() == string(CodeKeyNotFound) })
		c.setBack.Store(false) // a minute ahead
		c.must(leader, "PUT", "/v1/kv/other?ttl=50ms", "short")
		await(c.t, "the short-lived key has gone again", func() bool { return c.call(leader, "GET", "/v1/kv/other", "").value() == string(CodeKeyNotFound) })
		return c.must(c.ids[0], "GET", "/v1/kv?prefix=x", "").body != c.must(leader, "GET", "/v1/kv?prefix=x", "").body ||
			c.call(leader, "GET", "/v1/kv/x", "").value() == string(CodeKeyNotFound)
	},

	// Connections from a follower to the leader break while a client appends through it.
	"double-apply": func(c *testCluster) bool {
		leader := c.leader()
		follower := c.others(leader)[0]
		c.must(follower, "GET", "/v1/kv?prefix=x", "")
		stop, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			for {
				select {
				case <-stop:
					return
				default:
					c.net.breakLink(follower, leader)
				}
			}
		}()
		for i := range 200 {
			c.call(follower, "POST", "/v1/txn", fmt.Sprintf(`{"then":[{"op":"append","key":"l","value":"%d"}]}`, i))
		}
		close(stop)
		<-done
		var list []int
		if err := json.Unmarshal([]byte(c.transact(c.leader(), `{"then":[{"op":"get","key":"l"}]}`)[0].Value), &list); err != nil {
			return false // nothing came through
		}
		seen := len(list)
		slices.Sort(list)
		return len(slices.Compact(list)) < seen
	},

	"snapshot-drop": func(c *testCluster) bool {
		follower := c.others(c.leader())[0]
		for i := range 10 {
			c.must(follower, "PUT", fmt.Sprintf("/v1/kv/x%d", i), "there")
		}
		c.must(follower, "GET", "/v1/kv/x9", "") // it has caught up
		c.must(follower, "POST", "/v1/snapshot", "")
		c.crash(follower)
		c.start(follower)
		c.awaitReady(follower)
		return c.must(follower, "GET", "/v1/kv?prefix=x", "").body != c.must(c.leader(), "GET", "/v1/kv?prefix=x", "").body
	},
}

// inPairs carries out two transactions at the same time, again and again, each time after a first one. It
// tells whether they ever leave these values in the keys a and b.
func inPairs(c *testCluster, first, one, other, a, b string) bool {
	leader := c.leader()
	for range 10 {
		c.must(leader, "POST", "/v1/txn", first)
		var both sync.WaitGroup
		for _, body := range []string{one, other} {
			both.Add(1)
			go func() { defer both.Done(); c.transact(leader, body) }()
		}
		both.Wait()
		got := c.transact(leader, `{"then":[{"op":"get","key":"a"},{"op":"get","key":"b"}]}`)
		if got[0].Value == a && got[1].Value == b {
			return true
		}
	}
	return false
}

// shownByProcesses are bugs that need a disk that fails, or a process that is paused: the tests of cmd/node show them.
var shownByProcesses = []string{"fsync-eio-continue", "ignore-enospc", "no-fsync", "torn-snapshot", "zombie-leader"}

func TestEachBugShowsAndTheHealthyNodeDoesNot(t *testing.T) {
	for _, bug := range Bugs() {
		scenario := scenarios[bug.Name]
		if scenario == nil {
			if !slices.Contains(shownByProcesses, bug.Name) {
				t.Errorf("no scenario shows the bug %s", bug.Name)
			}
			continue
		}
		cluster := func(t *testing.T, bugs ...string) *testCluster {
			setBack := new(atomic.Bool)
			c := newCluster(t, 3, func(c *Config) {
				c.Bugs = bugs
				c.wallClock = func() time.Time {
					if setBack.Load() {
						return time.Now().Add(-time.Minute)
					}
					return time.Now()
				}
			})
			c.setBack = setBack
			return c
		}
		t.Run(bug.Name+"/healthy", func(t *testing.T) {
			t.Parallel()
			if scenario(cluster(t)) {
				t.Error("a healthy cluster breaks its promise")
			}
		})
		t.Run(bug.Name+"/buggy", func(t *testing.T) {
			t.Parallel()
			for range 10 { // a busy machine may spoil the moment
				if scenario(cluster(t, bug.Name)) {
					return
				}
			}
			t.Error("the bug does not show")
		})
	}
}
