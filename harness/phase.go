package harness

import (
	"sync"
	"time"

	"rift/harness/history"
)

// phaseClock knows which phase a run is in, and writes down those that have ended.
type phaseClock struct {
	record *Recorder

	mu     sync.Mutex
	name   string
	start  time.Duration
	length time.Duration
}

// begin starts a phase; length is 0 where it is not known. The function that it returns ends it, with a note on how, if not as planned.
func (p *phaseClock) begin(name string, length time.Duration) (end func(note string)) {
	start := p.record.Now()
	p.mu.Lock()
	p.name, p.start, p.length = name, start, length
	p.mu.Unlock()
	return func(note string) {
		p.record.Phase(history.Phase{Name: name, Start: start, End: p.record.Now(), Note: note})
	}
}

// look tells the phase, how long it has lasted, and how long it has to go.
func (p *phaseClock) look() (name string, elapsed, left time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	elapsed = p.record.Now() - p.start
	return p.name, elapsed, max(0, p.length-elapsed)
}
