package node

import (
	"fmt"
	"hash/crc32"
	"log/slog"
	"strings"

	"github.com/hashicorp/raft"
)

// A tracer writes the node's transitions to its log, a line with msg=trace each, in the order in which they happen: what it becomes, what it promises, and
// what it applies. Assertions about all nodes together (at most one leader a term, the same entries everywhere) are checked on these lines, by
// rift's checker "invariants". Each line is written by whoever makes the transition, after it was made durable where it must be, and before anybody else can
// be told of it. A nil tracer writes nothing.
type tracer struct{ logger *slog.Logger }

func (t *tracer) write(event string, args ...any) {
	if t != nil {
		t.logger.Info("trace", append([]any{"event", event}, args...)...)
	}
}

// started tells that a life begins, and whether the node has data of an earlier one.
func (t *tracer) started(existing bool) { t.write("start", "existing", existing) }

// term tells that the node has entered a term.
func (t *tracer) term(term uint64) { t.write("term", "term", term) }

// vote tells that the node has voted.
func (t *tracer) vote(term uint64, candidate []byte) {
	t.write("vote", "term", term, "candidate", string(candidate))
}

// follow tells of every role that raft takes on. Raft asks the filter on its own main loop, before it goes on, so that the term is the role's; a candidate enters its
// term a moment later.
func (t *tracer) follow(r *raft.Raft) {
	if t == nil {
		return
	}
	r.RegisterObserver(raft.NewObserver(nil, false, func(o *raft.Observation) bool {
		if role, ok := o.Data.(raft.RaftState); ok {
			t.write("role", "role", role, "term", r.CurrentTerm())
		}
		return false
	}))
}

// applied tells of log entries that were applied, each as index:term:checksum, and of the state after them.
func (t *tracer) applied(logs []*raft.Log, s *state) {
	if t == nil {
		return
	}
	var entries strings.Builder
	members := false
	for i, l := range logs {
		if i > 0 {
			entries.WriteByte(',')
		}
		fmt.Fprintf(&entries, "%d:%d:%08x", l.Index, l.Term, crc32.ChecksumIEEE(l.Data))
		members = members || l.Type == raft.LogConfiguration
	}
	t.state("apply", s, "entries", entries.String(), "members", members)
}

// restored tells that the state is a snapshot's.
func (t *tracer) restored(s *state) { t.state("restore", s) }

// snapshot tells that a snapshot of a state begins to be written, or has been.
func (t *tracer) snapshot(event string, s *state) { t.state(event, s) }

// transferred tells that the leadership was handed over.
func (t *tracer) transferred(to raft.ServerID) { t.write("transfer", "to", string(to)) }

func (t *tracer) state(event string, s *state, args ...any) {
	if t != nil {
		t.write(event, append(args, "index", s.index, "revision", s.revision, "hash", fmt.Sprintf("%016x", s.hash))...)
	}
}
