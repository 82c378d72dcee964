package nemesis

import (
	"fmt"
	"sort"
	"sync"
)

// Board keeps what faults have done to the nodes' processes, so that lanes which overlap do not pause what
// another has killed, nor wake what another has paused. The zero value is ready.
type Board struct {
	mu      sync.Mutex
	claims  map[string]claim
	damaged map[string]int    // the fault that first damaged a node's data
	kept    map[string]string // why a node stays down for the rest of the run
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
	if why, kept := b.kept[node]; kept {
		return fmt.Errorf("%s stays down: %s", node, why)
	}
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
	_, kept := b.kept[node]
	return !taken && !kept
}

// Damage marks a node's data as damaged for the rest of the run. It is refused if more than a minority of so many nodes would be: what
// a majority holds must be right somewhere.
func (b *Board) Damage(node string, fault, nodes int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, already := b.damaged[node]; already {
		return nil
	}
	if most := (nodes - 1) / 2; len(b.damaged) >= most {
		return fmt.Errorf("the data of %d of %d nodes is damaged, and no more than a minority may be", len(b.damaged), nodes)
	}
	if b.damaged == nil {
		b.damaged = make(map[string]int)
	}
	b.damaged[node] = fault
	return nil
}

// Damaged says whether a node's data was damaged.
func (b *Board) Damaged(node string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, damaged := b.damaged[node]
	return damaged
}

// KeepDown has a node stay down for the rest of the run. No fault can have it any more, and nobody starts it.
func (b *Board) KeepDown(node, why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.kept == nil {
		b.kept = make(map[string]string)
	}
	b.kept[node] = why
}

// Kept says why a node stays down; empty if it does not.
func (b *Board) Kept(node string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.kept[node]
}

// Taken lists the nodes that faults have, sorted, with their states: "n2 down".
func (b *Board) Taken() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []string
	for node, c := range b.claims {
		list = append(list, node+" "+c.state)
	}
	for node, why := range b.kept {
		list = append(list, node+" down: "+why)
	}
	sort.Strings(list)
	return list
}
