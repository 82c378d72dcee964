package node

import "sync"

// A broadcast guards something that changes, and tells everybody who waits when it does.
type broadcast struct {
	mu   sync.Mutex
	next chan struct{} // closed at the next change; made when somebody looks
}

// announce makes a change and wakes everybody who looked before.
func (b *broadcast) announce(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
	if b.next != nil {
		close(b.next)
		b.next = nil
	}
}

// look reads what is guarded, and returns a channel that is closed when it changes.
func (b *broadcast) look(read func()) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	read()
	if b.next == nil {
		b.next = make(chan struct{})
	}
	return b.next
}

// changed returns a channel that is closed at the next change.
func (b *broadcast) changed() <-chan struct{} { return b.look(func() {}) }
