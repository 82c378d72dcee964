package main

import (
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"rift/harness"
)

// plainEvery is how often progress is written where it cannot be drawn in place.
const plainEvery = 10 * time.Second

// progress shows how a run goes on: one line that changes on a terminal, a line now and then elsewhere.
type progress struct {
	mu    sync.Mutex
	w     io.Writer
	live  bool
	last  time.Time
	phase string
	ops   int64
	rate  float64
	drawn bool
}

func newProgress(w io.Writer) *progress { return &progress{w: w, live: terminal(w)} }

func (p *progress) show(s harness.Status) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if !p.live && s.Phase == p.phase && now.Sub(p.last) < plainEvery {
		return
	}
	total := s.OK + s.Fail + s.Info
	if !p.last.IsZero() {
		p.rate = float64(total-p.ops) / now.Sub(p.last).Seconds()
	}
	p.last, p.ops, p.phase = now, total, s.Phase
	line := p.line(s)
	if p.live {
		fmt.Fprintf(p.w, "\r\x1b[K%s", fit(line, columns(p.w)))
		p.drawn = true
		return
	}
	fmt.Fprintln(p.w, line)
}

func (p *progress) line(s harness.Status) string {
	left := ""
	if s.Left > 0 {
		left = fmt.Sprintf(" %s left", s.Left.Round(time.Second))
	}
	leader := s.Leader
	if leader == "" {
		leader = "none"
	}
	var faults []string
	for _, f := range s.Faults {
		faults = append(faults, strings.TrimSpace(f.Kind+" "+f.Target))
	}
	sort.Strings(faults)
	return fmt.Sprintf("%-7s%s  %d ok %d fail %d info (%.0f/s)  leader %s  faults: %s",
		s.Phase, left, s.OK, s.Fail, s.Info, p.rate, leader, orNone(faults))
}

// fit shortens a line to one that does not wrap, which could not be drawn over.
func fit(line string, columns int) string {
	if runes := []rune(line); columns > 1 && len(runes) >= columns {
		return string(runes[:columns-2]) + "…"
	}
	return line
}

// columns is the width of the terminal that w is; 0 if it is not known.
func columns(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return int(size.Col)
}

// end leaves the line that was drawn.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drawn {
		fmt.Fprintln(p.w)
	}
}
