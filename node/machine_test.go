package node

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/hashicorp/raft"
)

func logEntry(index, term, proposed uint64, commands ...command) *raft.Log {
	return &raft.Log{Index: index, Term: term, Type: raft.LogCommand, Data: encodeEntry(entry{proposed, commands})}
}

// A deposed leader can log a client's command under its successor's term (hashicorp/raft issue 695).
// All replicas skip such an entry, and the client is told that nothing happened.
func TestEntriesOfAnotherTermAreSkipped(t *testing.T) {
	m := newMachine()
	put := func(v string) command { return command{op: opPut, key: "k", value: v} }
	answers := m.ApplyBatch([]*raft.Log{logEntry(5, 2, 2, put("a")), logEntry(6, 3, 2, put("b")), logEntry(7, 3, 3, put("c"), put("d"))})
	if got := answers[0].([]result); len(got) != 1 || !got[0].applied {
		t.Errorf("entry 5: %+v", got)
	}
	err, _ := answers[1].(error)
	if !errors.Is(err, errStaleTerm) {
		t.Fatalf("entry 6: %v, want %v", answers[1], errStaleTerm)
	}
	if e := proposalError(err); !e.Definite || e.Code != CodeNotLeader {
		t.Errorf("the client is told %+v", e)
	}
	s := m.state()
	if it, _ := s.get("k"); it.value != "d" || s.revision != 3 || s.index != 7 {
		t.Errorf("the state is %q at revision %d, index %d", it.value, s.revision, s.index)
	}
}

func TestUnreadableEntriesStopTheNode(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("an entry that cannot be read was passed over in silence")
		}
	}()
	newMachine().Apply(&raft.Log{Index: 1, Type: raft.LogCommand, Data: []byte{99}})
}

func TestWaitEndsWithAStateThatHasSeenTheEntry(t *testing.T) {
	m := newMachine()
	m.Apply(logEntry(1, 1, 1))
	old, _ := m.Snapshot()
	ended := make(chan *state, 1)
	go func() { s, _ := m.wait(context.Background(), 2); ended <- s }()
	await(t, "it waits", func() bool { m.mu.Lock(); defer m.mu.Unlock(); return len(m.waiters) == 1 })
	m.Apply(logEntry(2, 1, 1))
	if err := m.Restore(io.NopCloser(bytes.NewReader(snapshotBytes(t, old.(snapshot).state)))); err != nil { // as raft may
		t.Fatal(err)
	}
	if s := <-ended; s == nil || s.index < 2 {
		t.Errorf("got %+v", s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := m.wait(ctx, 3); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if len(m.waiters) != 0 {
		t.Error("a waiter that has gone is still waited for")
	}
}

func TestRemovedMembersLoseTheirAddress(t *testing.T) {
	m := newMachine()
	m.Apply(logEntry(1, 1, 1, command{op: opMember, key: "n1", value: "a"}, command{op: opMember, key: "n2", value: "b"}, command{op: opCluster, value: "c"}, command{op: opCluster, value: "d"}))
	left := raft.Configuration{Servers: []raft.Server{{ID: "n1", Address: "x"}}}
	m.ApplyBatch([]*raft.Log{{Index: 2, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(left)}})
	s := m.state()
	if len(s.members) != 1 || s.members["n1"] != "a" || s.index != 2 || s.cluster != "c" {
		t.Errorf("the state is %+v", s)
	}
}
