package node

import (
	"errors"
	"sync"

	"github.com/hashicorp/raft"
)

// forgetVote starts every process as if it had never voted and were in term 0. A node that is restarted
// during an election can vote twice in it. Worse, when all nodes are restarted together, terms begin
// anew. Then two leaders can have had the same term, and a node keeps an entry of the first for one of
// the second: it differs from the others for ever. And terms begin below those in the logs: a node that
// misses the newest writes has the log with the higher last term, wins elections with it, and
// overwrites what was acknowledged.
var forgetVote = Bug{
	Name:        "forget-vote",
	Description: "a restarted node does not read back the term and the vote that it had persisted",
	plant: func(n *Node) {
		n.seams.stable = func(s raft.StableStore) raft.StableStore {
			return &forgetful{StableStore: s, written: map[string]bool{}}
		}
	},
}

// A forgetful store knows only what was written to it since it was made.
type forgetful struct {
	raft.StableStore
	mu      sync.Mutex
	written map[string]bool
}

var errForgotten = errors.New("not found") // the library knows this error by its text

func (f *forgetful) Set(key, v []byte) error {
	f.note(key)
	return f.StableStore.Set(key, v)
}

func (f *forgetful) SetUint64(key []byte, v uint64) error {
	f.note(key)
	return f.StableStore.SetUint64(key, v)
}

func (f *forgetful) Get(key []byte) ([]byte, error) {
	if !f.knows(key) {
		return nil, errForgotten
	}
	return f.StableStore.Get(key)
}

func (f *forgetful) GetUint64(key []byte) (uint64, error) {
	if !f.knows(key) {
		return 0, errForgotten
	}
	return f.StableStore.GetUint64(key)
}

func (f *forgetful) note(key []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.written[string(key)] = true
}

func (f *forgetful) knows(key []byte) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.written[string(key)]
}
