package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Make makes the group, in every hierarchy that will have it, and the group above it where that is missing. It is an error if none will.
func (g Group) Make() error {
	if len(g.homes) == 0 {
		return errors.New("no hierarchy of control groups is mounted")
	}
	var errs []error
	made := make(map[string]bool)
	for _, h := range g.homes {
		if made[h.folder] {
			continue
		}
		err := h.make()
		made[h.folder] = err == nil
		errs = append(errs, err)
	}
	for _, ok := range made {
		if ok {
			return nil // what is missing is told by Able
		}
	}
	return fmt.Errorf("make control group %s: %w", g.Path, explained(errors.Join(errs...)))
}

// make makes the group's folder. In version 2 a group has those controllers that the group above hands down.
func (h home) make() error {
	above := home{path.Dir(h.folder), h.unified}
	if err := os.MkdirAll(h.folder, 0o755); err != nil || !h.unified {
		return err
	}
	has, err := above.read("cgroup.controllers")
	if err != nil {
		return err
	}
	for _, c := range strings.Fields(has) {
		if slices.Contains(controllers, Controller(c)) {
			err = errors.Join(err, above.write("cgroup.subtree_control", "+"+c))
		}
	}
	return err
}

// Join moves a process into the group, with all its threads, in the hierarchies of the given controllers, or in all that have the group. What it
// starts from then on is in the group too. A process that has ended needs no moving.
func (g Group) Join(pid int, only ...Controller) error {
	all := len(only) == 0
	if all {
		only = controllers
	}
	joined := make(map[string]bool)
	for _, c := range only {
		h, ok := g.homes[c]
		if !ok || joined[h.folder] {
			continue
		}
		joined[h.folder] = true
		err := h.write("cgroup.procs", strconv.Itoa(pid))
		if err != nil && !errors.Is(err, unix.ESRCH) && (!all || !errors.Is(err, fs.ErrNotExist)) {
			return fmt.Errorf("move process %d into control group %s: %w", pid, g.Path, err)
		}
	}
	return nil
}

// Processes lists the processes in the group, by their numbers in this program's PID namespace, sorted. A group that does not exist has none.
func (g Group) Processes() ([]int, error) {
	var pids []int
	for _, folder := range g.folders() {
		text, err := home{folder: folder}.read("cgroup.procs")
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list the processes of control group %s: %w", g.Path, err)
		}
		for _, word := range strings.Fields(text) {
			if pid, err := strconv.Atoi(word); err == nil && pid != 0 { // 0: of another PID namespace
				pids = append(pids, pid)
			}
		}
	}
	slices.Sort(pids)
	return slices.Compact(pids), nil
}

// Clear thaws the group, ends with SIGKILL what is in it, and waits until it is gone. It returns whom it found.
func (g Group) Clear(ctx context.Context) (found []int, err error) {
	if _, freezes := g.homes[Freezer]; freezes {
		if err := g.Thaw(); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	for {
		pids, err := g.Processes()
		if err != nil || len(pids) == 0 {
			return found, err
		}
		for _, pid := range pids {
			if err := g.kill(pid); err != nil {
				return found, err
			}
			if !slices.Contains(found, pid) {
				found = append(found, pid)
			}
		}
		if err := wait(ctx, "end the processes of", g.Path); err != nil {
			return found, err
		}
	}
}

// kill ends one process, if it is still in the group when it is held: another may have got its number meanwhile.
func (g Group) kill(pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("hold process %d: %w", pid, err)
	}
	defer unix.Close(fd)
	if still, err := g.Processes(); err != nil || !slices.Contains(still, pid) {
		return err
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill process %d: %w", pid, err)
	}
	return nil
}

// Remove removes the group, and with it its limits. Nothing may be in it. It does nothing if there is no such group.
func (g Group) Remove(ctx context.Context) error {
	for _, folder := range g.folders() {
		for {
			err := unix.Rmdir(folder)
			if err == nil || errors.Is(err, unix.ENOENT) {
				break
			}
			if !errors.Is(err, unix.EBUSY) { // a process that has just ended may still be counted
				return fmt.Errorf("remove control group %s: %w", folder, err)
			}
			if err := wait(ctx, "remove", g.Path); err != nil {
				return err
			}
		}
	}
	return nil
}

// wait lets a moment pass: the kernel tells nobody that a group of version 1 has become empty.
func wait(ctx context.Context, what, group string) error {
	const moment = 5 * time.Millisecond
	select {
	case <-time.After(moment):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s control group %s: %w", what, group, ctx.Err())
	}
}
