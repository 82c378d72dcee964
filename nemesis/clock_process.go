package nemesis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"rift/nemesis/vdso"
)

// doing is what is done to the clocks of a process, and proving is how it is measured.
type (
	doing   func(p *vdso.Process) error
	proving func(ctx context.Context, p *vdso.Process) (proof, error)
)

// overProcesses does something to the clocks of each of a node's processes, and of those that they start meanwhile: a child has the clocks
// that its parent had when it was born. The first one's proof is returned, proven if all are.
func overProcesses(ctx context.Context, first int, do doing, prove proving) (of proof, err error) {
	began := time.Now()
	done := make(map[int]proof)
	for {
		pids, err := family(first)
		if err != nil {
			return proof{}, err
		}
		fresh := slices.DeleteFunc(pids, func(pid int) bool { _, old := done[pid]; return old })
		if len(fresh) == 0 || len(done) > 0 && ctx.Err() != nil {
			break
		}
		proofs := make([]proof, len(fresh))
		if err := each(len(fresh), func(i int) (err error) {
			proofs[i], err = onProcess(ctx, fresh[i], func(p *vdso.Process) (proof, error) {
				if err := do(p); err != nil {
					return proof{}, err
				}
				applied := time.Since(began)
				made, err := prove(ctx, p)
				made.applied = applied
				return made, err
			})
			return err
		}); err != nil {
			return proof{}, err
		}
		for i, pid := range fresh {
			done[pid] = proofs[i]
		}
	}
	of = done[first]
	for pid, p := range done {
		ended := pid != first && p.ended
		of.proven = of.proven && (p.proven || ended)
		of.applied = max(of.applied, p.applied)
	}
	return of, nil
}

// onProcess does something to the clocks of one process, anew if the process makes an exec meanwhile, as one that
// has just been started may.
func onProcess(ctx context.Context, pid int, do func(*vdso.Process) (proof, error)) (proof, error) {
	for {
		made, err := attached(pid, do)
		if !errors.Is(err, vdso.ErrGone) {
			return made, err
		}
		if state, _ := readStat(fmt.Sprintf("/proc/%d/stat", pid)); state == 0 || state == 'Z' || state == 'X' {
			return proof{ended: true, saw: "its process ended"}, nil
		}
		select {
		case <-ctx.Done():
			return proof{}, err
		case <-time.After(time.Millisecond):
		}
	}
}

func attached(pid int, do func(*vdso.Process) (proof, error)) (proof, error) {
	p, err := vdso.Attach(pid)
	if err != nil {
		return proof{}, err
	}
	defer p.Close()
	return do(p)
}
