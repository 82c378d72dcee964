package nemesis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// filesLimit is the limit on one node. A node may have had several lives, each with processes of its own.
type filesLimit struct {
	spare int
	limit uint64 // of the first process in the first life that was limited; 0 before
	held  []limitedProcess
	host  Host // of the last life
}

// limitedProcess is a process that was limited, and its limit before.
type limitedProcess struct {
	process
	old unix.Rlimit
}

// lower limits the node's processes to what each has open, with the spare. In a later life all get what the first process got in the first: one
// that has just started has next to nothing open, and could not start.
func (l *filesLimit) lower(ctx context.Context, h Host) (proof, error) {
	start := time.Now()
	l.host = h
	pids, err := family(h.PID)
	if err != nil {
		return proof{}, err
	}
	again, first := l.limit, uint64(0)
	for _, pid := range pids {
		limit := again
		if again == 0 {
			open, err := openFiles(pid)
			if err != nil {
				return proof{}, err
			}
			limit = limitFor(open, l.spare)
		}
		if err := l.lowerProcess(pid, limit); err != nil {
			return proof{}, err
		}
		if pid == h.PID {
			first = limit
		}
	}
	l.limit = first
	applied := time.Since(start)
	if again != 0 {
		return l.proveAgain(applied)
	}
	return l.prove(ctx, applied)
}

// lowerProcess limits one process, and keeps what it had. One that has ended needs no limit.
func (l *filesLimit) lowerProcess(pid int, limit uint64) error {
	p, err := openProcess(pid)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	held := limitedProcess{process: p}
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &held.old); err != nil {
		p.close()
		return fmt.Errorf("read the limit on open files of process %d: %w", pid, err)
	}
	l.held = append(l.held, held)
	lowered := unix.Rlimit{Cur: min(limit, held.old.Cur), Max: held.old.Max}
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &lowered, nil); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("limit the open files of process %d: %w", pid, err)
	}
	return nil
}

// raise gives the processes that still run their old limits, and shows that the node accepts a connection, unless another fault has it.
func (l *filesLimit) raise(ctx context.Context, c Cluster) (proof, error) {
	start := time.Now()
	running := 0
	for len(l.held) > 0 {
		last := l.held[len(l.held)-1]
		restored, err := last.restore(ctx)
		if err != nil {
			return proof{}, err
		}
		if restored {
			running++
		}
		last.close()
		l.held = l.held[:len(l.held)-1]
	}
	applied := time.Since(start)
	h, up := c.Host(l.host.Node)
	switch {
	case running == 0:
		return proof{proven: true, applied: applied, saw: "its processes have ended"}, nil
	case !up || !c.Board().Free(l.host.Node):
		return proof{proven: true, applied: applied, saw: "the kernel says that its old limits are back; another fault has it"}, nil
	}
	took, accepted, err := accepts(ctx, h)
	if err != nil {
		return proof{}, err
	}
	if !accepted {
		return proof{applied: applied, saw: fmt.Sprintf("its old limits are back, but it accepted no connection in %.0f ms", milliseconds(took))}, nil
	}
	return proof{
		proven: true, applied: applied,
		saw:      fmt.Sprintf("its old limits are back, and it accepted a connection after %.1f ms", milliseconds(took)),
		measures: map[string]float64{"accepted_ms": milliseconds(took)},
	}, nil
}

// restore gives a process its old limit, and asks the kernel whether it has it. False means that it has ended.
func (p limitedProcess) restore(ctx context.Context) (bool, error) {
	if p.ended(ctx, 0) {
		return false, nil
	}
	var now unix.Rlimit
	err := unix.Prlimit(p.pid, unix.RLIMIT_NOFILE, &p.old, nil)
	if err == nil {
		err = unix.Prlimit(p.pid, unix.RLIMIT_NOFILE, nil, &now)
	}
	switch {
	case p.ended(ctx, 0):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("restore the limit on open files of process %d: %w", p.pid, err)
	case now != p.old:
		return false, fmt.Errorf("restore the limit on open files of process %d: it is %+v, and was %+v", p.pid, now, p.old)
	}
	return true, nil
}
