package lossyfs

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path"
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
	mu      sync.Mutex // guards what follows
	faults  Faults
	random  *rand.Rand
	calls   [chances]int  // since the faults were set, that each chance could have hit
	changed chan struct{} // closed when other faults are set
	counts  Counts
}

// effect is what goes wrong with one call.
type effect struct {
	stall   bool
	delay   time.Duration
	status  fuse.Status
	changed <-chan struct{} // closed when other faults are set
}

func (i *injector) clear() { i.set(Faults{}) }

func (i *injector) set(f Faults) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.changed != nil {
		close(i.changed)
	}
	i.faults, i.calls, i.changed = f, [chances]int{}, make(chan struct{})
	i.random = rand.New(rand.NewPCG(f.Seed, 0))
}

// decide says what goes wrong with a call on what lies at a path.
func (i *injector) decide(c call, where func() string) effect {
	i.mu.Lock()
	defer i.mu.Unlock()
	e := effect{status: fuse.OK, changed: i.changed}
	if !i.faults.concern(where) {
		return e
	}
	if i.faults.Stall {
		e.stall = true
		return e
	}
	f := i.faults
	switch {
	case c == callFsync:
		if e.delay = f.FsyncDelay; e.delay > 0 {
			i.counts.Delays++
		}
		i.fail(&e, f.FsyncError, &i.calls[fsyncErrors], &i.counts.FsyncErrors, fuse.EIO)
	case c == callRead:
		i.fail(&e, f.ReadError, &i.calls[readErrors], &i.counts.ReadErrors, fuse.EIO)
	case c == callWrite:
		i.fail(&e, f.WriteError, &i.calls[writeErrors], &i.counts.WriteErrors, fuse.EIO)
	}
	if c == callWrite || c == callCreate {
		i.fail(&e, f.NoSpace, &i.calls[noSpace], &i.counts.NoSpace, fuse.Status(unix.ENOSPC))
	}
	return e
}

// fail makes a call fail, unless it fails already, if its chance says so.
func (i *injector) fail(e *effect, c Chance, calls, hits *int, status fuse.Status) {
	if e.status == fuse.OK && c.hit(calls, i.random) {
		*hits++
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

// flip flips one bit of what was read, if its chance says so.
func (i *injector) flip(data []byte, where func() string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(data) == 0 || i.faults.FlipRead == (Chance{}) || !i.faults.concern(where) || !i.faults.FlipRead.hit(&i.calls[flips], i.random) {
		return
	}
	bit := i.random.IntN(len(data) * 8)
	data[bit/8] ^= 1 << (bit % 8)
	i.counts.Flips++
}

func (i *injector) count(c call) {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch c {
	case callRead:
		i.counts.Reads++
	case callWrite:
		i.counts.Writes++
	case callFsync:
		i.counts.Fsyncs++
	}
}

// admit lets a call through to the disk, when it may go on, or says how it fails.
func (v *volume) admit(c call, n *node, h *fuse.InHeader, cancel <-chan struct{}) fuse.Status {
	where := func() string { return v.path(n) }
	v.faults.count(c)
	e := v.faults.decide(c, where)
	if e.stall {
		v.faults.mu.Lock()
		v.faults.counts.Stalls++
		v.faults.mu.Unlock()
	}
	for e.stall {
		if !v.hold(h, cancel, nil, e.changed) {
			return fuse.EINTR
		}
		e = v.faults.decide(c, where)
	}
	if e.delay > 0 {
		timer := time.NewTimer(e.delay)
		defer timer.Stop()
		if !v.hold(h, cancel, timer.C, e.changed) {
			return fuse.EINTR
		}
	}
	return e.status
}

// hold keeps a call until its time is up or other faults are set, and says whether it may then go on. It ends at once if the caller is
// killed, or else the dead process could not vanish. Other signals do not end it: no disk knows of them.
func (v *volume) hold(h *fuse.InHeader, cancel <-chan struct{}, over <-chan time.Time, changed <-chan struct{}) bool {
	var again <-chan time.Time
	for {
		select {
		case <-over:
			return true
		case <-changed:
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
