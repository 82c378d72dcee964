package node

import (
	"context"
	"sync/atomic"
	"time"
)

// zombieLeader serves reads on a lease, as split-clock-lease does, but by a clock of its own making, which
// adds up how long its rounds take and takes a long one for a hiccup. So it stands still while the process is
// paused. A leader that wakes after others have elected another believes for a moment that a quorum has
// just heard it. Where nothing is paused, the lease is sound: it is half of what the others wait before they elect.
var zombieLeader = Bug{
	Name:        "zombie-leader",
	Description: "a leader that wakes from a pause serves reads on what it knew before",
	plant: func(n *Node) {
		z := &zombie{node: n}
		n.seams.trust, n.seams.background = z.trusts, z.run
	},
}

const (
	zombieRound  = 5 * time.Millisecond
	zombieHiccup = 20 * time.Millisecond // the most that a round counts for
)

// A zombie keeps a lease by the sum of its rounds.
type zombie struct {
	node *Node
	now  atomic.Int64 // nanoseconds
	end  atomic.Int64 // of the lease
}

func (z *zombie) trusts() bool { return z.now.Load() < z.end.Load() }

func (z *zombie) run(ctx context.Context) {
	tick := time.NewTicker(zombieRound)
	defer tick.Stop()
	for last := time.Now(); ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		now := time.Now()
		z.now.Add(int64(min(now.Sub(last), zombieHiccup)))
		last = now
		if left := z.node.config.LeaseTimeout/2 - z.silence(now); left > 0 {
			z.end.Store(z.now.Load() + int64(left))
		}
	}
}

// silence is how long ago this node sent what a majority of the voters has answered, if it leads; otherwise for ever.
func (z *zombie) silence(now time.Time) time.Duration {
	n := z.node
	sent, ok := n.heardByQuorum()
	if !ok {
		return n.config.LeaseTimeout
	}
	return now.Sub(sent)
}
