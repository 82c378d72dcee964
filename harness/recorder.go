package harness

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"rift/harness/history"
)

// flushEvery is how often what was recorded is handed to the operating system, and so the most that a crash of the
// harness loses. What is lost is a suffix, which leaves a history that can be judged.
const flushEvery = 20 * time.Millisecond

// Recorder writes everything that happens into the run's folder, by the run's clock. It is safe for concurrent use.
type Recorder struct {
	now      func() time.Duration
	tap      func(history.Op) // may be nil
	history  *appender
	evidence *appender
	views    *appender
	phases   *appender
	clocks   *appender

	mu    sync.Mutex // orders history events: an event's index, time and place in the file agree
	index int
	line  []byte

	stop    chan struct{}
	stopped chan struct{}
}

// NewRecorder makes the files of what is recorded, which must not be there yet, in a run's folder. The clock tells the time since the run's start; nil is a
// clock that starts now.
func NewRecorder(dir string, now func() time.Duration) (*Recorder, error) {
	if now == nil {
		start := time.Now()
		now = func() time.Duration { return time.Since(start) }
	}
	r := &Recorder{now: now, stop: make(chan struct{}), stopped: make(chan struct{})}
	for name, to := range map[string]**appender{
		history.HistoryFile: &r.history, history.EvidenceFile: &r.evidence,
		history.ViewsFile: &r.views, history.PhasesFile: &r.phases,
		history.ClocksFile: &r.clocks,
	} {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_WRONLY|os.O_APPEND|os.O_EXCL, 0o644)
		if err != nil {
			return nil, fmt.Errorf("open the run's files: %w", err)
		}
		*to = &appender{file: f}
	}
	go r.flush()
	return r, nil
}

// Now is the time since the run's start.
func (r *Recorder) Now() time.Duration { return r.now() }

// Tap has every event of the history handed on from now on, in order. It is called before anything is recorded, and must not record anything itself.
func (r *Recorder) Tap(tap func(history.Op)) { r.tap = tap }

// Append gives the event its index and its time, takes it down, and returns it.
func (r *Recorder) Append(op history.Op) history.Op {
	r.mu.Lock()
	defer r.mu.Unlock()
	op.Index, op.Time = r.index, r.Now()
	r.index++
	r.line = append(op.AppendJSON(r.line[:0]), '\n')
	r.history.write(r.line)
	if r.tap != nil {
		r.tap(op)
	}
	return op
}

// Event takes down an event of a nemesis lane.
func (r *Recorder) Event(op history.Op) { r.Append(op) }

// Evidence takes down what a fault measured.
func (r *Recorder) Evidence(e history.Evidence) { r.evidence.record(e) }

// View takes down what a node believes.
func (r *Recorder) View(v history.View) { r.views.record(v) }

// Phase takes down a phase that has ended.
func (r *Recorder) Phase(p history.Phase) { r.phases.record(p) }

// Clock takes down how a node's clocks stand.
func (r *Recorder) Clock(s history.ClockSample) { r.clocks.record(s) }

// Err is the first error of writing.
func (r *Recorder) Err() error {
	for _, a := range r.files() {
		if err := a.err(); err != nil {
			return err
		}
	}
	return nil
}

func (r *Recorder) files() []*appender {
	return []*appender{r.history, r.evidence, r.views, r.phases, r.clocks}
}

func (r *Recorder) flush() {
	defer close(r.stopped)
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			for _, a := range r.files() {
				a.flush()
			}
		case <-r.stop:
			return
		}
	}
}

// Close writes what is left and closes the files.
func (r *Recorder) Close() error {
	close(r.stop)
	<-r.stopped
	for _, a := range r.files() {
		a.flush()
		a.close()
	}
	return r.Err()
}

// appender gathers lines in memory and appends them to a file when flushed. Writers are not held up by the disk.
type appender struct {
	mu      sync.Mutex
	pending []byte
	spare   []byte
	failed  error

	io   sync.Mutex // serialises flushes
	file *os.File
}

func (a *appender) write(line []byte) {
	a.mu.Lock()
	a.pending = append(a.pending, line...)
	a.mu.Unlock()
}

func (a *appender) record(v any) {
	line, err := json.Marshal(v)
	if err != nil {
		a.fail(err)
		return
	}
	a.write(append(line, '\n'))
}

func (a *appender) flush() {
	a.io.Lock()
	defer a.io.Unlock()
	a.mu.Lock()
	out := a.pending
	a.pending = a.spare[:0]
	a.mu.Unlock()
	if len(out) > 0 {
		if _, err := a.file.Write(out); err != nil {
			a.fail(err)
		}
	}
	a.spare = out
}

func (a *appender) close() {
	if err := a.file.Close(); err != nil {
		a.fail(err)
	}
}

func (a *appender) fail(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failed == nil {
		a.failed = fmt.Errorf("write %s: %w", a.file.Name(), err)
	}
}

func (a *appender) err() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failed
}
