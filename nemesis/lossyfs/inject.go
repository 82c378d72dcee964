package lossyfs

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// call is a kind of request that needs the disk.
type call int

const (
	callRead call = iota
	callWrite
	callFsync
	callCreate // of a file or folder
	callName   // any other change of a name, or of a mode, owner or length
)

// The chances of a Faults, each of which counts calls for itself.
const (
	fsyncErrors = iota
	readErrors
	writeErrors
	noSpace
	flips
	chances
)

// injector decides what goes wrong.
type injector struct {
	mu     sync.Mutex // guards what follows, and all that is armed
	armed  []*Armed   // in the order in which they were put in
	counts Counts
}

// Armed is faults that are in.
type Armed struct {
	in     *injector
	faults Faults
	bitten chan struct{} // closed when they have bitten
	gone   chan struct{} // closed when they are taken out

	// Guarded by the injector's mutex.
	random *rand.Rand
	calls  [chances]int // that each chance could have hit
	counts Counts
}

// effect is what goes wrong with one call.
type effect struct {
	stall  bool
	delay  time.Duration
	status fuse.Status
	by     *Armed // which stalls or delays it
}

func (i *injector) arm(f Faults) *Armed {
	a := &Armed{in: i, faults: f, bitten: make(chan struct{}), gone: make(chan struct{}), random: rand.New(rand.NewPCG(f.Seed, 0))}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.armed = append(i.armed, a)
	return a
}

// Disarm takes the faults out. Calls that they hold go on. Doing it twice does nothing.
func (a *Armed) Disarm() {
	a.in.mu.Lock()
	defer a.in.mu.Unlock()
	if at := slices.Index(a.in.armed, a); at >= 0 {
		a.in.armed = slices.Delete(a.in.armed, at, at+1)
		close(a.gone)
	}
}

// Bitten is closed when the faults have bitten for the first time.
func (a *Armed) Bitten() <-chan struct{} { return a.bitten }

// Counts returns what has happened while the faults were in: the calls that concern them, and how often they bit.
func (a *Armed) Counts() Counts {
	a.in.mu.Lock()
	defer a.in.mu.Unlock()
	return a.counts
}

// clear takes all faults out.
func (i *injector) clear() {
	i.mu.Lock()
	all := slices.Clone(i.armed)
	i.mu.Unlock()
	for _, a := range all {
		a.Disarm()
	}
}

// decide says what goes wrong with a call on what lies at a path. It is asked again about a call that has waited for the end of a stall.
func (i *injector) decide(c call, where func() string, again bool) effect {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !again {
		i.counts.count(c)
	}
	e := effect{status: fuse.OK}
	var concerned []*Armed
	for _, a := range i.armed {
		if !a.faults.concern(where) {
			continue
		}
		concerned = append(concerned, a)
		if !again {
			a.counts.count(c)
		}
		if a.faults.Stall && !e.stall {
			e.stall, e.by = true, a
			if !again {
				a.bit(func(c *Counts) *int { return &c.Stalls })
			}
		}
	}
	if e.stall {
		return e
	}
	for _, a := range concerned {
		a.affect(c, &e)
	}
	return e
}

// affect adds to what goes wrong with a call.
func (a *Armed) affect(c call, e *effect) {
	f := a.faults
	switch c {
	case callFsync:
		if f.FsyncDelay > e.delay {
			e.delay, e.by = f.FsyncDelay, a
			a.bit(func(c *Counts) *int { return &c.Delays })
		}
		a.fail(e, f.FsyncError, fsyncErrors, fuse.EIO, func(c *Counts) *int { return &c.FsyncErrors })
	case callRead:
		a.fail(e, f.ReadError, readErrors, fuse.EIO, func(c *Counts) *int { return &c.ReadErrors })
	case callWrite:
		a.fail(e, f.WriteError, writeErrors, fuse.EIO, func(c *Counts) *int { return &c.WriteErrors })
	}
	if c == callWrite || c == callCreate {
		a.fail(e, f.NoSpace, noSpace, fuse.Status(unix.ENOSPC), func(c *Counts) *int { return &c.NoSpace })
	}
}

// bit counts that the faults bit. The injector is locked.
func (a *Armed) bit(which func(*Counts) *int) {
	*which(&a.counts)++
	*which(&a.in.counts)++
	select {
	case <-a.bitten:
	default:
		close(a.bitten)
	}
}

// fail makes a call fail, unless it fails already, if its chance says so.
func (a *Armed) fail(e *effect, c Chance, calls int, status fuse.Status, which func(*Counts) *int) {
	if e.status == fuse.OK && c.hit(&a.calls[calls], a.random) {
		a.bit(which)
		e.status = status
	}
}

// hit draws whether the next call is hit. It draws once for each call, whatever Nth says.
func (c Chance) hit(calls *int, r *rand.Rand) bool {
	*calls++
	drawn := c.Share > 0 && r.Float64() < c.Share
	return drawn || *calls == c.Nth
}

// concern says whether the faults are for what lies at a path.
func (f *Faults) concern(where func() string) bool {
	if f.Path == "" {
		return true
	}
	at := where()
	whole, _ := path.Match(f.Path, at) // the pattern was validated
	last, _ := path.Match(f.Path, path.Base(at))
	return whole || last
}

// flip flips bits of what was read, one for each chance that says so.
func (i *injector) flip(data []byte, where func() string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, a := range i.armed {
		if len(data) == 0 || a.faults.FlipRead == (Chance{}) || !a.faults.concern(where) || !a.faults.FlipRead.hit(&a.calls[flips], a.random) {
			continue
		}
		bit := a.random.IntN(len(data) * 8)
		data[bit/8] ^= 1 << (bit % 8)
		a.bit(func(c *Counts) *int { return &c.Flips })
	}
}

func (c *Counts) count(what call) {
	switch what {
	case callRead:
		c.Reads++
	case callWrite:
		c.Writes++
	case callCreate:
		c.Creates++
	case callFsync:
		c.Fsyncs++
	}
}

// admit lets a call through to the disk, when it may go on, or says how it fails.
func (v *volume) admit(c call, n *node, h *fuse.InHeader, cancel <-chan struct{}) fuse.Status {
	where := func() string { return v.path(n) }
	e := v.faults.decide(c, where, false)
	for e.stall {
		if !v.hold(h, cancel, nil, e.by) {
			return fuse.EINTR
		}
		e = v.faults.decide(c, where, true)
	}
	if e.delay > 0 {
		timer := time.NewTimer(e.delay)
		defer timer.Stop()
		if !v.hold(h, cancel, timer.C, e.by) {
			return fuse.EINTR
		}
	}
	return e.status
}

// held counts how long a call was kept.
func (a *Armed) held(since time.Time) {
	a.in.mu.Lock()
	defer a.in.mu.Unlock()
	took := time.Since(since)
	a.counts.Held += took
	a.in.counts.Held += took
}

// hold keeps a call until its time is up or its fault is taken out, and says whether it may then go on. It ends at once if the caller is
// killed, or else the dead process could not vanish. Other signals do not end it: no disk knows of them.
func (v *volume) hold(h *fuse.InHeader, cancel <-chan struct{}, over <-chan time.Time, by *Armed) bool {
	defer by.held(time.Now())
	var again <-chan time.Time
	for {
		select {
		case <-over:
			return true
		case <-by.gone:
			return true
		case <-v.gone:
			return false
		case <-cancel:
			// The kernel tells of the first signal only.
			cancel = nil
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			again = tick.C
		case <-again:
		}
		if killed(h.Pid) {
			return false
		}
	}
}

// killed says whether a thread is about to die of a signal, or is dead.
func killed(tid uint32) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", tid))
	if err != nil {
		return true
	}
	for line := range strings.Lines(string(status)) {
		// Whichever signal kills a process, the kernel gives each of its threads a SIGKILL.
		if set, ok := strings.CutPrefix(line, "SigPnd:"); ok {
			pending, err := strconv.ParseUint(strings.TrimSpace(set), 16, 64)
			return err != nil || pending&(1<<(unix.SIGKILL-1)) != 0
		}
	}
	return true
}
