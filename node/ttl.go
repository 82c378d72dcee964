package node

import (
	"context"
	"encoding/binary"
	"net/http"
	"time"
)

// A key with a time to live is counted down by replicated time: while such keys exist, the leader proposes
// again and again how much time has passed, and the state machine removes what is due. So all replicas
// drop a key with the same log entry, whatever their clocks say, and while nobody leads, no time passes.
//
// A key never goes before its time to live has passed since its write took effect, by the leader's
// monotonic clock. The time that an entry brings is measured before the entry is logged: the first one
// behind a write, and the second, may bring time from before the write. From the third on, everything
// was measured after it, because the leader measures again only when its last entry has been applied. That
// is why one entry brings at most maxElapse, and a key lives for twice that longer than was asked for.
const (
	maxElapse = 250 * time.Millisecond
	ttlGrace  = 2 * maxElapse
)

// The limits of a time to live.
const (
	minTTL = time.Millisecond
	maxTTL = 365 * 24 * time.Hour
)

// keepTime has the time that passes replicated, as long as this node leads and there are keys that wait for it.
func (n *Node) keepTime(ctx context.Context) {
	lap := lapTimer()
	if n.seams.lapTimer != nil {
		lap = n.seams.lapTimer()
	}
	tick := time.NewTicker(n.config.HeartbeatTimeout / 5)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		passed := lap()
		if n.machine.state().expiring.Len() == 0 {
			continue
		}
		// What could not be committed is not made up for: the keys live longer by that much.
		_, _ = n.proposer.propose(ctx, command{op: opElapse, span: passed})
	}
}

// lapTimer returns a function that tells how much time has passed since it was last called, or not quite as much.
func lapTimer() (lap func() time.Duration) {
	last := time.Now()
	return func() time.Duration {
		now := time.Now()
		passed := min(now.Sub(last), maxElapse)
		last = now
		return passed
	}
}

// ttlOf reads a request's time to live; 0 if it has none.
func ttlOf(r *http.Request) (time.Duration, error) {
	given := r.URL.Query().Get("ttl")
	if given == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(given)
	if err != nil || d < minTTL || d > maxTTL {
		return 0, definitely(CodeBadRequest, "ttl: %q is not a duration from %s to %s, such as 5s", given, minTTL, maxTTL)
	}
	return d, nil
}

// expiry is an item's place among those that wait for their end: those that are due first come first.
func (it item) expiry(key string) []byte {
	return append(binary.BigEndian.AppendUint64(nil, it.expires), key...)
}

// elapse lets replicated time pass, and removes the keys whose time has come, each as a change of its own.
func (t *transition) elapse(passed time.Duration) {
	t.next.clock += uint64(passed)
	for {
		first, _, ok := t.expiring.Root().Minimum()
		if !ok || binary.BigEndian.Uint64(first) > t.next.clock {
			return
		}
		t.next.revision++
		t.remove(string(first[8:]))
	}
}
