package nemesis

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"sync"
)

// Board keeps what faults have done to the nodes, so that lanes which overlap do not pause what another has killed, nor wake
// what another has paused, and so that they leave a quorum where the test asks for one. The zero value is ready, and leaves none.
type Board struct {
	mu       sync.Mutex
	claims   map[string]claim
	impaired map[int][]string  // nodes, by fault
	severed  map[int][]link    // by fault
	spared   map[int][]string  // nodes that a fault was refused for the quorum's sake
	quorum   *quorum           // nil: none is kept
	damaged  map[string]int    // the fault that first damaged a node's data
	kept     map[string]string // why a node stays down for the rest of the run
}

type claim struct {
	fault int
	state string
}

// ErrQuorum is the error of a fault that would leave no quorum, in a test that keeps one.
var ErrQuorum = errors.New("it would leave no quorum")

// KeepQuorum has the board refuse from now on whatever would leave no quorum: a majority of the nodes that are up, that no fault has taken or
// impaired, and between which no link is severed. Both functions are asked anew each time, and must not use the board.
func (b *Board) KeepQuorum(nodes func() []string, up func(node string) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.quorum = &quorum{nodes, up}
}

// KeepsQuorum says whether the board refuses what would leave no quorum.
func (b *Board) KeepsQuorum() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.quorum != nil
}

// Claim marks a node's process as taken by a fault, with the state that the fault brings it into ("down", "paused").
// It is refused if another fault has the node, or, with ErrQuorum, if no quorum would be left; a node that none can count on already may be had.
func (b *Board) Claim(node string, fault int, state string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if why, kept := b.kept[node]; kept {
		return fmt.Errorf("%s stays down: %s", node, why)
	}
	before, taken := b.claims[node]
	if taken && before.fault != fault {
		return fmt.Errorf("%s is %s by fault %d", node, before.state, before.fault)
	}
	if b.claims == nil {
		b.claims = make(map[string]claim)
	}
	counted := b.quorum != nil && b.quorum.up(node) && b.sound(node)
	b.claims[node] = claim{fault, state}
	if !counted || b.holds() {
		return nil
	}
	delete(b.claims, node)
	b.spare(fault, node)
	return fmt.Errorf("take %s: %w", node, ErrQuorum)
}

// Release gives the node back; it does nothing if the fault does not have it.
func (b *Board) Release(node string, fault int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c, taken := b.claims[node]; taken && c.fault == fault {
		delete(b.claims, node)
	}
}

// Impair marks a node that keeps running, but that a fault hinders so badly that no quorum can count on it: its disk fails, or it hardly gets
// time to run. Several faults may impair one node. It is refused with ErrQuorum if no quorum would be left. The Runner relieves the
// fault's nodes once it is healed or was skipped.
func (b *Board) Impair(node string, fault int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if slices.Contains(b.impaired[fault], node) {
		return nil
	}
	if b.impaired == nil {
		b.impaired = make(map[int][]string)
	}
	b.impaired[fault] = append(b.impaired[fault], node)
	if b.holds() {
		return nil
	}
	b.impaired[fault] = b.impaired[fault][:len(b.impaired[fault])-1]
	b.spare(fault, node)
	return fmt.Errorf("impair %s: %w", node, ErrQuorum)
}

// Sever marks all links that a fault cuts, or slows so badly that an election may fail over them, one way or both. It is refused with ErrQuorum
// if no quorum would be left; nothing of the fault is severed then. The Runner relieves the links as it does impaired nodes.
func (b *Board) Sever(links [][2]string, fault int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.severed == nil {
		b.severed = make(map[int][]link)
	}
	b.severed[fault] = slices.Clone(links)
	if b.holds() {
		return nil
	}
	delete(b.severed, fault)
	return fmt.Errorf("sever %d links: %w", len(links), ErrQuorum)
}

// Relieve takes back what a fault has impaired and severed.
func (b *Board) Relieve(fault int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.impaired, fault)
	delete(b.severed, fault)
}

// Spared lists the nodes that a fault was refused for the quorum's sake since it was last asked, sorted.
func (b *Board) Spared(fault int) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	nodes := b.spared[fault]
	delete(b.spared, fault)
	slices.Sort(nodes)
	return slices.Compact(nodes)
}

func (b *Board) spare(fault int, node string) {
	if b.spared == nil {
		b.spared = make(map[int][]string)
	}
	b.spared[fault] = append(b.spared[fault], node)
}

// holds says whether there is a quorum, or none is kept.
func (b *Board) holds() bool {
	return b.quorum == nil || b.quorum.find(b.sound, b.cut) != nil
}

// Quorum is a majority of the nodes on which nothing weighs; nil if there is none, or if none is kept.
func (b *Board) Quorum() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.quorum == nil {
		return nil
	}
	return b.quorum.find(b.sound, b.cut)
}

// sound says whether no fault weighs on a node itself.
func (b *Board) sound(node string) bool {
	_, taken := b.claims[node]
	for _, nodes := range b.impaired {
		taken = taken || slices.Contains(nodes, node)
	}
	_, damaged := b.damaged[node]
	return !taken && !damaged
}

// cut says whether a fault has severed the links between two nodes, one way or both.
func (b *Board) cut(one, other string) bool {
	for _, links := range b.severed {
		if slices.Contains(links, link{one, other}) || slices.Contains(links, link{other, one}) {
			return true
		}
	}
	return false
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
// a majority holds must be right somewhere. It is refused with ErrQuorum if no quorum would be left.
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
	if b.holds() {
		return nil
	}
	delete(b.damaged, node)
	b.spare(fault, node)
	return fmt.Errorf("damage %s: %w", node, ErrQuorum)
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

// FreeFor says whether no other fault than this one has the node's process.
func (b *Board) FreeFor(node string, fault int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, taken := b.claims[node]
	_, kept := b.kept[node]
	return (!taken || c.fault == fault) && !kept
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
