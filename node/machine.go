package node

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// A machine is the replicated state machine as raft sees it (raft.BatchingFSM). It is a thin shell:
// it decodes log entries, lets a transition carry them out, and publishes the resulting state.
type machine struct {
	current atomic.Pointer[state]

	// onCluster is called, on raft's own goroutine, when the cluster's id becomes known.
	onCluster func(id string)
	// restoring and aborted are seams of bugs; nothing in a healthy node.
	restoring restoring
	aborted   func(t *transition, x *transaction, d *draft)
	trace     *tracer

	restores atomic.Uint64 // snapshots restored so far

	mu      sync.Mutex
	waiters map[*waiter]struct{}
}

// errStaleTerm answers a proposal that was logged under another term than it was proposed in. Every
// replica skips such an entry, so it certainly did not happen.
var errStaleTerm = fmt.Errorf("proposed in an earlier term: %w", raft.ErrNotLeader)

func newMachine() *machine {
	m := &machine{waiters: map[*waiter]struct{}{}, onCluster: func(string) {}}
	m.current.Store(newState())
	return m
}

// state returns the newest published state.
func (m *machine) state() *state { return m.current.Load() }

// Apply carries out one log entry. Raft prefers ApplyBatch.
func (m *machine) Apply(l *raft.Log) any { return m.ApplyBatch([]*raft.Log{l})[0] }

// ApplyBatch carries out committed log entries and then publishes the state after the last of them,
// so that the commands of one proposal become visible together. The answer to a command entry is its
// []result, or errStaleTerm.
//
// An entry whose proposer believed itself leader of another term than the one it was logged under is
// skipped, on every replica alike. The library can let a deposed leader log a client's command under
// its successor's term (hashicorp/raft issue 695); transport.SetHeartbeatHandler closes the race
// itself, and this check makes sure that nothing which slips through is ever taken for done.
func (m *machine) ApplyBatch(logs []*raft.Log) []any {
	answers := make([]any, len(logs))
	t := m.state().transition()
	t.aborted = m.aborted
	for i, l := range logs {
		switch l.Type {
		case raft.LogCommand:
			answers[i] = applyEntry(t, l)
		case raft.LogConfiguration:
			configuration := raft.DecodeConfiguration(l.Data)
			t.retain(func(id string) bool { return findServer(configuration, id) != nil })
		}
		t.next.index = l.Index
	}
	next := t.commit()
	m.publish(next)
	m.trace.applied(logs, next)
	return answers
}

// applyEntry panics if it cannot decode an entry: a replica that skipped what others carry out would
// diverge from them in silence.
func applyEntry(t *transition, l *raft.Log) any {
	e, err := decodeEntry(l.Data)
	if err != nil {
		panic(fmt.Sprintf("log entry %d (term %d): %v", l.Index, l.Term, err))
	}
	if e.term != l.Term {
		return errStaleTerm
	}
	results := make([]result, len(e.commands))
	for i := range e.commands {
		results[i] = t.apply(&e.commands[i])
	}
	return results
}

func (m *machine) publish(next *state) {
	previous := m.current.Swap(next)
	if next.cluster != previous.cluster {
		m.onCluster(next.cluster)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for w := range m.waiters {
		if next.index >= w.index {
			w.state <- next // never blocks: it has room for one
			delete(m.waiters, w)
		}
	}
}

// A waiter waits for a state that has seen the log entry with the index.
type waiter struct {
	index uint64
	state chan *state
}

// wait returns a state that has seen the log entry with the given index. The newest state, a moment later,
// may be an older one: raft can restore a snapshot that the node was already ahead of.
func (m *machine) wait(ctx context.Context, index uint64) (*state, error) {
	if s := m.state(); s.index >= index {
		return s, nil
	}
	m.mu.Lock()
	if s := m.state(); s.index >= index { // published before the lock was taken
		m.mu.Unlock()
		return s, nil
	}
	w := &waiter{index, make(chan *state, 1)}
	m.waiters[w] = struct{}{}
	m.mu.Unlock()
	select {
	case s := <-w.state:
		return s, nil
	case <-ctx.Done():
		m.mu.Lock()
		delete(m.waiters, w)
		m.mu.Unlock()
		return nil, ctx.Err()
	}
}

// Snapshot hands the current state to raft, which writes it out while newer ones are published.
func (m *machine) Snapshot() (raft.FSMSnapshot, error) { return snapshot{m.state(), m.trace}, nil }

// Restore replaces everything by a snapshot that some machine's Snapshot wrote.
func (m *machine) Restore(r io.ReadCloser) error {
	defer r.Close()
	s, err := m.restoring.readSnapshot(r)
	if err != nil {
		return fmt.Errorf("restore snapshot: %w", err)
	}
	m.restores.Add(1)
	m.publish(s)
	m.trace.restored(s)
	return nil
}

// findServer returns the server with the given id, or nil.
func findServer(c raft.Configuration, id string) *raft.Server {
	for i := range c.Servers {
		if string(c.Servers[i].ID) == id {
			return &c.Servers[i]
		}
	}
	return nil
}
