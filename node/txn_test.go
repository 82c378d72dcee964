package node

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
)

// Clients on all nodes move amounts between two keys, and count the moves in a third, while leadership
// moves and leaders are cut off. Every read sees all of a transaction or nothing; and in the end, each move
// that was acknowledged has been counted once, and none that certainly did not happen.
func TestTransactionsAreAtomicWhileLeadersChange(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	c.transact("n1", `{"then":[{"op":"put","key":"a","value":"0"},{"op":"put","key":"b","value":"0"},{"op":"put","key":"moves","value":"0"}]}`)
	const look = `{"then":[{"op":"get","key":"a"},{"op":"get","key":"b"},{"op":"get","key":"moves"}]}`
	balanced := func(got []stepAnswer) (moves int64) {
		var n [3]int64
		for i := range got {
			n[i], _ = strconv.ParseInt(got[i].Value, 10, 64)
		}
		if len(got) != 3 || n[0]+n[1] != 0 || got[0].Revision != got[1].Revision || got[0].Revision != got[2].Revision {
			t.Errorf("a transaction is seen in part: %+v", got)
		}
		return n[2]
	}
	var acknowledged, unknown atomic.Int64
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for i, id := range c.ids {
		clients.Add(1)
		go func() {
			defer clients.Done()
			move := fmt.Sprintf(`{"then":[{"op":"add","key":"a","value":"%d"},{"op":"add","key":"b","value":"-%[1]d"},{"op":"add","key":"moves","value":"1"}]}`, i+1)
			for {
				select {
				case <-stop:
					return
				default:
				}
				if a := c.call(id, "POST", "/v1/txn?timeout=500ms", move); a.status == 200 {
					acknowledged.Add(1)
				} else if a.err != nil || !a.failure().Definite {
					unknown.Add(1)
				}
				balanced(c.transact(id, look))
			}
		}()
	}
	for range 2 {
		leader := c.leader()
		c.isolate(leader)
		c.leader(c.others(leader)...)
		before := acknowledged.Load()
		await(t, "transactions go on", func() bool { return acknowledged.Load() > before+10 })
		c.net.heal()
	}
	close(stop)
	clients.Wait()
	moves := balanced(c.transact("n1", look))
	if least := acknowledged.Load(); moves < least || moves > least+unknown.Load() {
		t.Errorf("%d moves were counted; %d were acknowledged, of %d nobody knows", moves, least, unknown.Load())
	}
}
