package nemesis

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"rift/nemesis/procevents"
	"rift/nemesis/vdso"
)

// lookInterval is how often the nodes' processes are looked at where the kernel does not tell of execs.
const lookInterval = 20 * time.Millisecond

// look is what is known of processes that were looked at before.
type look struct {
	at      time.Duration // of the last look, on the host's monotonic clock
	watched map[int]*vdso.Watch
}

func newLook() *look { return &look{watched: make(map[int]*vdso.Watch)} }

func (l *look) close() {
	for _, w := range l.watched {
		w.Close()
	}
}

// lookForPrograms skews the programs that nodes begin to run, in namespaces in which the kernel tells nobody. It finds them a
// little late: when it next looks. It begins when the processes that there were have been skewed, which are no news.
func (f *clock) lookForPrograms(ctx context.Context, c Cluster) {
	select {
	case <-f.applied:
	case <-ctx.Done():
		return
	}
	seen := newLook()
	defer seen.close()
	for f.look(ctx, c, seen); wait(ctx, lookInterval); f.look(ctx, c, seen) {
	}
}

// look looks once at all processes of the nodes, and skews those whose clocks nobody has touched.
func (f *clock) look(ctx context.Context, c Cluster, seen *look) {
	before := seen.at
	now, err := vdso.Now()
	if err != nil {
		return
	}
	if seen.at = now; before == 0 {
		before = now
	}
	for node := range f.hit {
		h, up := c.Host(node)
		if !up {
			continue
		}
		for _, pid := range descendants(h.PID) {
			if seen.isNew(pid) {
				f.skewProgram(ctx, c, node, procevents.Exec{PID: pid, At: before})
			}
		}
	}
}

// isNew says whether a process runs a program whose clocks nobody has touched.
func (l *look) isNew(pid int) bool {
	w := l.watched[pid]
	if w == nil {
		var err error
		if w, err = vdso.NewWatch(pid); err != nil {
			return false // it has ended, or is in the middle of an exec: the next look tells
		}
		l.watched[pid] = w
	}
	view, err := w.Look()
	if errors.Is(err, vdso.ErrGone) {
		w.Close()
		delete(l.watched, pid)
		return l.isNew(pid)
	}
	return err == nil && view.Changed == 0
}

// descendants are a process and those that it has started, as far as the kernel lists children (CONFIG_PROC_CHILDREN). It costs less
// than family, which reads about every process of the machine.
func descendants(first int) []int {
	list := []int{first}
	for i := 0; i < len(list); i++ {
		files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", list[i])) // the pattern is well formed
		for _, file := range files {
			b, _ := os.ReadFile(file) // a thread that has ended has no children any more
			for _, word := range strings.Fields(string(b)) {
				if pid, err := strconv.Atoi(word); err == nil {
					list = append(list, pid)
				}
			}
		}
	}
	return list
}
