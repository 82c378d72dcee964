package node

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/hashicorp/raft"
)

// A Bug is a way of breaking a promise on purpose, so that whoever tests the store can be tested.
type Bug struct {
	Name        string
	Description string      // one sentence
	plant       func(*Node) // sets one or more of the node's seams, before it starts
}

// Bugs returns all bugs, in the order of their names. A node has those that its Config names.
func Bugs() []Bug {
	return []Bug{
		casRace, clockTTL, dirtyAbort, dirtyRead, doubleApply, forgetVote, fracturedRead, fsyncEIOContinue, ignoreENOSPC,
		joinWithoutCatchup, lostAck, lostUpdate, noFsync, snapshotDrop, splitClockLease, staleRead, tornSnapshot, writeSkew,
		zombieLeader,
	}
}

func bugNames() []string {
	var names []string
	for _, b := range Bugs() {
		names = append(names, b.Name)
	}
	return names
}

// seams are the places where bugs enter. In a healthy node all are nil.
type seams struct {
	// vouched tells whether a node that joins is believed to have the whole log, unseen.
	vouched func() bool
	// trust tells whether a linearizable read may be served from the local state, unconfirmed.
	trust func() bool
	// peek may know better than the state machine what a key holds.
	peek func(key string) (it item, exists, known bool)
	// logged is told of proposals that raft has accepted; what it returns is called once their fate is known.
	logged func([]*proposal) (settled func())
	// decide may replace commands that depend on the state by such that do not; or answer them, if a condition fails.
	decide func([]command) (failed []result)
	// readTransaction takes the place of Node.readTransaction, and writeTransaction of Node.writeTransaction.
	readTransaction  func(context.Context, *transaction) (*draft, uint64, error)
	writeTransaction func(context.Context, *transaction) (result, error)
	// forward takes the place of Node.forward.
	forward func(w http.ResponseWriter, r *http.Request, body []byte, leader leaderInfo) error
	// background runs as long as the node does.
	background func(context.Context)
	// lapTimer takes the place of the function with this name: with it the leader measures the time that passes.
	lapTimer func() (lap func() time.Duration)
	// unsynced opens the storage so that writes are durable after the next Sync only.
	unsynced bool
	// storage may put something in front of the storage, below the checksums.
	storage func(*Storage) *Storage
	// stable stands between the vote store and raft.
	stable func(raft.StableStore) raft.StableStore
}

// plantBugs gives the node the bugs that its configuration names.
func (n *Node) plantBugs() error {
	for _, name := range n.config.Bugs {
		i := slices.IndexFunc(Bugs(), func(b Bug) bool { return b.Name == name })
		if i < 0 {
			return fmt.Errorf("bug: there is no %q", name)
		}
		Bugs()[i].plant(n)
		n.logger.Warn("this node has a bug on purpose", "bug", name)
	}
	return nil
}
