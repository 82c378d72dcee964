package cgroup

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Tree is where this machine has mounted its hierarchies of control groups.
type Tree struct{ mounts []mount }

// mount is one mounted hierarchy.
type mount struct {
	point   string   // the folder
	root    string   // the group that is seen there; "/" but in a container
	options []string // of version 1: among them its controllers
	unified bool     // version 2
}

// Mounted reads where the hierarchies are mounted.
func Mounted() (Tree, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return Tree{}, fmt.Errorf("look for control groups: %w", err)
	}
	defer f.Close()
	return parse(f)
}

// parse reads the form of /proc/PID/mountinfo, see proc(5):
//
//	32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
func parse(mountinfo io.Reader) (Tree, error) {
	var t Tree
	lines := bufio.NewScanner(mountinfo)
	for lines.Scan() {
		left, right, _ := strings.Cut(lines.Text(), " - ")
		where, what := strings.Fields(left), strings.Fields(right)
		if len(where) < 5 || len(what) < 3 || what[0] != "cgroup" && what[0] != "cgroup2" {
			continue
		}
		t.mounts = append(t.mounts, mount{
			root: unescape(where[3]), point: unescape(where[4]),
			options: strings.Split(what[2], ","), unified: what[0] == "cgroup2",
		})
	}
	if err := lines.Err(); err != nil {
		return Tree{}, fmt.Errorf("look for control groups: %w", err)
	}
	return t, nil
}

// unescape gives a path its blanks back, which mountinfo writes as \040 and the like.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+4 <= len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(c))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// mountOf is the hierarchy that has a controller. The kernel lets no controller be in two, and every controller is
// in that of version 2 if in none of version 1.
func (t Tree) mountOf(c Controller) (mount, bool) {
	i := slices.IndexFunc(t.mounts, func(m mount) bool { return !m.unified && slices.Contains(m.options, string(c)) })
	if i < 0 {
		i = slices.IndexFunc(t.mounts, func(m mount) bool { return m.unified })
	}
	if i < 0 {
		return mount{}, false
	}
	return t.mounts[i], true
}

// folder is where the mount shows a group; false if it is not to be seen there.
func (m mount) folder(group string) (string, bool) {
	below, ok := strings.CutPrefix(group, strings.TrimSuffix(m.root, "/"))
	return path.Join(m.point, below), ok && strings.HasPrefix(below, "/")
}

// Children lists the names of the groups right below a group, those of all hierarchies together, sorted. Of a
// group that does not exist it is none; the root may be asked for as "/".
func (t Tree) Children(group string) []string {
	var names []string
	for _, c := range controllers {
		m, ok := t.mountOf(c)
		if !ok {
			continue
		}
		folder, ok := m.folder(path.Clean(group))
		if group == "/" {
			folder, ok = m.point, true
		}
		if !ok {
			continue
		}
		entries, _ := os.ReadDir(folder) // a folder that is not there has no children
		for _, e := range entries {
			if e.IsDir() {
				names = append(names, e.Name())
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// OfProcess is the path of the group that a process is in and whose path contains the given text; empty if it is in none such.
// So a process that is, against all expectation, not in a group of its own, is never mistaken for one that is.
func OfProcess(pid int, containing string) (string, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return "", fmt.Errorf("look for the control group of process %d: %w", pid, err)
	}
	return pathContaining(string(b), containing), nil
}

// pathContaining reads the form of /proc/PID/cgroup, see cgroups(7): "4:memory:/docker/0123", "0::/docker/0123".
func pathContaining(cgroups, text string) string {
	for line := range strings.Lines(cgroups) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(parts) == 3 && strings.Contains(parts[2], text) {
			return parts[2]
		}
	}
	return ""
}
