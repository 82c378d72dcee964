// Package cgroup reads and changes the control groups of nodes: what they may use of the processor and of memory, and whether they
// run at all. It works on version 1, on version 2, and on machines that have mounted both.
//
// The one idea behind it is that a group is one path, the same in every hierarchy, and that a controller has its home either in
// a hierarchy of version 1 or in the one of version 2. Which it is, is found out once; above that nobody needs to know. The
// files are described in the kernel's Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst.
package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Controller is what a group is a group for.
type Controller string

// The controllers that this package knows. Version 2 has the first two in one, and the last in every group.
const (
	CPU        Controller = "cpu"
	Accounting Controller = "cpuacct"
	Memory     Controller = "memory"
	Freezer    Controller = "freezer"
)

// controllers are all that this package knows.
var controllers = []Controller{CPU, Accounting, Memory, Freezer}

// Group is a control group. It need not exist.
type Group struct {
	Path  string // below the root of its hierarchies: "/docker/0123", "/rift0a1b2c/n1"
	homes map[Controller]home
}

// home is where a controller keeps a group.
type home struct {
	folder  string
	unified bool // version 2
}

// Open looks up where a group of this machine is. The root is refused: it has every process of the machine in it.
func Open(path string) (Group, error) {
	tree, err := Mounted()
	if err != nil {
		return Group{}, err
	}
	return tree.Group(path)
}

// Group looks up where the tree has a group.
func (t Tree) Group(name string) (Group, error) {
	if name = path.Clean("/" + name); name == "/" {
		return Group{}, errors.New("control group: the root given, a group below it allowed")
	}
	g := Group{Path: name, homes: make(map[Controller]home)}
	for _, c := range controllers {
		if m, ok := t.mountOf(c); ok {
			if folder, ok := m.folder(name); ok {
				g.homes[c] = home{folder, m.unified}
			}
		}
	}
	return g, nil
}

// Able says why a controller cannot be used on the group; nil if it can. It asks the kernel, by setting what is set already.
func (g Group) Able(c Controller) error {
	switch c {
	case CPU:
		limit, err := g.CPULimit()
		if err != nil {
			return err
		}
		return g.SetCPULimit(limit)
	case Memory:
		limit, err := g.MemoryLimit()
		if err != nil {
			return err
		}
		return g.SetMemoryLimit(limit)
	case Freezer:
		frozen, err := g.Frozen()
		if err != nil {
			return err
		}
		return g.freeze(frozen)
	default:
		_, err := g.CPUTime()
		return err
	}
}

// Exists says whether any hierarchy has the group.
func (g Group) Exists() bool {
	return slices.ContainsFunc(g.folders(), func(folder string) bool {
		_, err := os.Stat(folder)
		return err == nil
	})
}

// folders are the group's folders, each once, sorted.
func (g Group) folders() []string {
	var list []string
	for _, h := range g.homes {
		list = append(list, h.folder)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// at is the home of a controller.
func (g Group) at(c Controller) (home, error) {
	h, ok := g.homes[c]
	if !ok {
		return home{}, fmt.Errorf("no hierarchy of control groups has %s for %s", c, g.Path)
	}
	return h, nil
}

// name is the file's name of the version that the home is of.
func (h home) name(first, second string) string {
	if h.unified {
		return second
	}
	return first
}

// read reads one of the group's files.
func (h home) read(name string) (string, error) {
	b, err := os.ReadFile(path.Join(h.folder, name))
	return strings.TrimSpace(string(b)), explained(err)
}

// write writes one of the group's files. It never makes one: what is not there, the kernel does not have.
func (h home) write(name, value string) error {
	f, err := os.OpenFile(path.Join(h.folder, name), os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return explained(err)
	}
	_, err = f.WriteString(value)
	if err != nil {
		err = fmt.Errorf("set it to %q: %w", value, err)
	}
	return errors.Join(err, f.Close())
}

// explained adds to an error what commonly is behind it.
func explained(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: the group has gone, or the controller is not enabled in it", err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, unix.EROFS):
		return fmt.Errorf("%w: changing control groups needs root, or that the group is delegated", err)
	}
	return err
}

// number reads a file that holds one number.
func (h home) number(name string) (int64, error) {
	text, err := h.read(name)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read %s/%s: %w", h.folder, name, err)
	}
	return n, nil
}

// field reads one number of a file that holds a name and a number on each line.
func (h home) field(name, field string) (int64, error) {
	text, err := h.read(name)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		if words := strings.Fields(line); len(words) == 2 && words[0] == field {
			return strconv.ParseInt(words[1], 10, 64)
		}
	}
	return 0, fmt.Errorf("read %s/%s: it has no %s", h.folder, name, field)
}
