package node

import (
	"fmt"
	"testing"
	"time"
)

// TestKeysGoNotBeforeTheirTimeAndNotNever puts keys, hands the leadership on and restarts nodes meanwhile, and reads until they are gone.
func TestKeysGoNotBeforeTheirTimeAndNotNever(t *testing.T) {
	const ttl = time.Second
	c := newCluster(t, 3, nil)
	put := time.Now()
	c.must(c.leader(), "PUT", fmt.Sprintf("/v1/kv/x?ttl=%s", ttl), "there")
	c.must(c.leader(), "PUT", "/v1/kv/kept?ttl=1ms", "there")
	c.must(c.leader(), "PUT", "/v1/kv/kept", "for good")
	follower := c.others(c.leader())[0]
	c.must(follower, "POST", "/v1/snapshot", "")
	c.crash(follower)
	c.start(follower)
	c.awaitReady(follower)
	c.must(c.leader(), "POST", "/v1/leader/transfer?to="+follower, "")
	await(t, "the key is gone", func() bool {
		return c.call(c.ids[0], "GET", "/v1/kv/x", "").value() == string(CodeKeyNotFound)
	})
	if lived := time.Since(put); lived < ttl {
		t.Errorf("it lived for %s, and was put for %s", lived, ttl)
	}
	for _, id := range c.ids {
		if got := c.must(id, "GET", "/v1/kv", "").body; got != c.must(c.leader(), "GET", "/v1/kv", "").body {
			t.Errorf("%s has %s", id, got)
		}
		if got := c.must(id, "GET", "/v1/kv/kept", "").value(); got != "for good" {
			t.Errorf("a key that was put again, without an end, is %q on %s", got, id)
		}
	}
}

// TestTimeIsNeverCountedTwice holds that laps add up to no more than what passed, and that one counts for little.
func TestTimeIsNeverCountedTwice(t *testing.T) {
	start := time.Now()
	lap := lapTimer()
	var sum time.Duration
	for sum < 20*time.Millisecond {
		passed := lap()
		if passed < 0 || passed > maxElapse {
			t.Fatalf("a lap of %s", passed)
		}
		sum += passed
	}
	if all := time.Since(start); sum > all {
		t.Errorf("laps of %s in %s", sum, all)
	}
}
