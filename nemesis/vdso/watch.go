//go:build linux && amd64

package vdso

import (
	"fmt"
	"time"
)

// Watch looks at the clocks of one process again and again. Nothing stands still for it, be there a shim or not, and a look costs
// a few microseconds. It is for pictures of what the clocks did; what proves a skew is Process.Read, which asks the
// process itself.
type Watch struct {
	p *Process
}

// NewWatch begins to watch a process. The errors are those of Attach.
func NewWatch(pid int) (*Watch, error) {
	p, _, err := open(pid)
	if err != nil {
		return nil, fmt.Errorf("watch the clocks of process %d: %w", pid, err)
	}
	return &Watch{p}, nil
}

// Look returns what the clocks show. The error is ErrGone when the process has ended or made an exec.
func (w *Watch) Look() (View, error) {
	v, err := w.look()
	if err != nil {
		return View{}, fmt.Errorf("look at the clocks of process %d: %w", w.p.pid, err)
	}
	return v, nil
}

func (w *Watch) look() (View, error) {
	patched := make([]byte, jumpSize)
	if err := peek(w.p.mem, w.p.entry[0], patched); err != nil {
		return View{}, err
	}
	if w.p.shim.base == 0 && patched[0] == jump(0, 0)[0] { // the shim has been put in since the last look
		var img image
		if err := w.p.find(&img); err != nil {
			return View{}, err
		}
	}
	var b block
	if patched[0] == jump(0, 0)[0] {
		var err error
		if _, b, err = w.p.blocks(); err != nil {
			return View{}, err
		}
	}
	now, err := hostClocks()
	return b.view(now), err
}

// Close lets go of the process.
func (w *Watch) Close() error { return w.p.Close() }

// view is what a block makes of the clocks when they truly show now.
func (b block) view(now [timelines]int64) View {
	v := View{At: time.Duration(now[monotonic]), Wall: b[wall].course(now[wall]), Monotonic: b[monotonic].course(now[monotonic])}
	if start := b[monotonic].Start; start <= now[monotonic] {
		v.Changed = time.Duration(start)
	}
	return v
}

func (t timeline) course(now int64) Course {
	l := t.lineAt(now)
	c := Course{Offset: time.Duration(l.Skew), Rate: 1 + float64(l.Excess)/(1<<32)}
	if t.HalfPeriod != 0 && now >= t.Start {
		c.Swing = time.Duration(t.Amplitude)
	}
	return c
}
