package nemesis

import (
	"fmt"
	"sort"
	"sync"
)

// Board keeps what faults have done to the nodes' processes, so that lanes which overlap do not pause what
// another has killed, nor wake what another has paused. The zero value is ready.
type Board struct {
	mu     sync.Mutex
	claims map[string]claim
}

type claim struct {
	fault int
	state string
}

// Claim marks a node's process as taken by a fault, with the state that the fault brings it into ("down", "paused").
// It is refused if another fault has the node.
func (b *Board) Claim(node string, fault int, state string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c, taken := b.claims[node]; taken && c.fault != fault {
		return fmt.Errorf("%s is %s by fault %d", node, c.state, c.fault)
	}
	if b.claims == nil {
		b.claims = make(map[string]claim)
	}
	b.claims[node] = claim{fault, state}
	return nil
}

// Release gives the node back; it does nothing if the fault does not have it.
func (b *Board) Release(node string, fault int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c, taken := b.claims[node]; taken && c.fault == fault {
		delete(b.claims, node)
	}
}

// Free says whether no fault has the node's process.
func (b *Board) Free(node string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, taken := b.claims[node]
	return !taken
}

// FreeFor says whether no other fault than this one has the node's process.
func (b *Board) FreeFor(node string, fault int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, taken := b.claims[node]
	return !taken || c.fault == fault
}

// Taken lists the nodes that faults have, sorted, with their states: "n2 down".
func (b *Board) Taken() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []string
	for node, c := range b.claims {
		list = append(list, node+" "+c.state)
	}
	sort.Strings(list)
	return list
}
