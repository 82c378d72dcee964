package cgroup

import (
	"fmt"
	"strings"
)

// Freeze stops everything in the group, also what is started in it later. The kernel takes a moment: Frozen says when it is done. In
// version 1 a frozen process cannot even be killed before the group is thawed.
func (g Group) Freeze() error { return g.freeze(true) }

// Thaw lets everything in the group go on. It does nothing to a group that is not frozen.
func (g Group) Thaw() error { return g.freeze(false) }

func (g Group) freeze(on bool) error {
	h, err := g.at(Freezer)
	if err != nil {
		return err
	}
	name, value := h.name("freezer.state", "cgroup.freeze"), h.name("THAWED", "0")
	if on {
		value = h.name("FROZEN", "1")
	}
	if err := h.write(name, value); err != nil {
		return fmt.Errorf("freeze or thaw control group %s: %w", g.Path, err)
	}
	return nil
}

// Frozen says whether everything in the group has stopped.
func (g Group) Frozen() (bool, error) {
	h, err := g.at(Freezer)
	if err != nil {
		return false, err
	}
	if h.unified {
		n, err := h.field("cgroup.events", "frozen")
		return n == 1, err
	}
	state, err := h.read("freezer.state") // between the two it is FREEZING
	return state == "FROZEN", err
}

// Still says whether a state of a thread, as /proc/PID/stat has it, is one in which the freezer keeps threads: an uninterruptible sleep
// in version 1, an interruptible one in version 2, and in both what a signal or a tracer had stopped before.
func (g Group) Still(state byte) bool {
	states := "DTt"
	if g.homes[Freezer].unified {
		states = "STt"
	}
	return strings.IndexByte(states, state) >= 0
}
