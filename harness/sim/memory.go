package sim

import (
	"sync"

	"github.com/tetratelabs/wazero/experimental"
)

// memories lends guests the memory that they have. A guest's memory is given back when its life ends and lent to the next: asking the system for
// fresh pages costs more than clearing those that were used. Worlds in several goroutines may share it.
type memories struct {
	mu   sync.Mutex
	idle [][]byte // as long as they were used, all zero
}

// mostIdle is how many memories are kept for guests to come: those of a world or two. What is given back beyond that is left to the collector.
const mostIdle = 16

// Allocate gives a memory of no length.
func (m *memories) Allocate(_, _ uint64) experimental.LinearMemory {
	m.mu.Lock()
	defer m.mu.Unlock()
	lent := &memory{from: m}
	if last := len(m.idle) - 1; last >= 0 {
		lent.bytes, m.idle = m.idle[last][:0], m.idle[:last]
	}
	return lent
}

// memory is one guest's.
type memory struct {
	from  *memories
	bytes []byte // zero from its length to its capacity
}

// Reallocate makes the memory that long. Most guests come to need much more than they begin with, so that it grows by doubling.
func (m *memory) Reallocate(size uint64) []byte {
	if size > uint64(cap(m.bytes)) {
		larger := make([]byte, size, max(size, 2*uint64(cap(m.bytes))))
		copy(larger, m.bytes)
		m.bytes = larger
	}
	m.bytes = m.bytes[:size]
	return m.bytes
}

// Free gives the memory back.
func (m *memory) Free() {
	clear(m.bytes)
	m.from.mu.Lock()
	defer m.from.mu.Unlock()
	if len(m.from.idle) < mostIdle && m.bytes != nil {
		m.from.idle = append(m.from.idle, m.bytes)
	}
	m.bytes = nil
}
