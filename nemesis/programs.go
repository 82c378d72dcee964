package nemesis

import (
	"bytes"
	"fmt"
	"os"
	"sync"
	"time"

	"rift/nemesis/procevents"
	"rift/nemesis/vdso"
)

// programs knows which processes are which node's, those of a node that is just being started included, and which of them were skewed
// after an exec. The zero value is ready.
type programs struct {
	mu    sync.Mutex
	marks map[string]mark // by node
	late  map[int]time.Duration
}

// mark is what the processes of a node have in common and no other process has. In a container the control group is the
// same over restarts, on a local cluster the network namespace.
type mark struct {
	first  int           // the node's first process
	since  time.Duration // when it became known, on the host's monotonic clock
	spaces map[string]os.FileInfo
	cgroup []byte
}

// The namespaces that tell nodes apart, as /proc/PID/ns names them.
var markingSpaces = []string{"net", "pid"}

// know takes down a node's processes by its first one. What this program has in common with it is no mark.
func (p *programs) know(h Host) {
	now, _ := vdso.Now() // it has told the time when the fault was put in
	m := mark{first: h.PID, since: now, spaces: make(map[string]os.FileInfo)}
	for _, space := range markingSpaces {
		if theirs, ours := spaceOf(h.PID, space), spaceOf(os.Getpid(), space); theirs != nil && ours != nil && !os.SameFile(theirs, ours) {
			m.spaces[space] = theirs
		}
	}
	if theirs := cgroupOf(h.PID); !bytes.Equal(theirs, cgroupOf(os.Getpid())) {
		m.cgroup = theirs
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.marks == nil {
		p.marks = make(map[string]mark)
	}
	p.marks[h.Node] = m
}

// whose is the node that a process belongs to; empty if it is none's that is known.
func (p *programs) whose(pid int) string {
	cgroup := cgroupOf(pid)
	spaces := make(map[string]os.FileInfo)
	for _, space := range markingSpaces {
		spaces[space] = spaceOf(pid, space)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	found := ""
	for node, m := range p.marks {
		switch {
		case m.first == pid:
			return node
		case m.has(spaces):
			return node
		case len(m.cgroup) > 0 && bytes.Equal(m.cgroup, cgroup):
			if found != "" {
				return "" // nodes that share a control group are not told apart by it
			}
			found = node
		}
	}
	if found != "" {
		return found
	}
	return p.ancestor(pid)
}

func (m mark) has(spaces map[string]os.FileInfo) bool {
	for space, theirs := range m.spaces {
		if other := spaces[space]; other != nil && os.SameFile(theirs, other) {
			return true
		}
	}
	return false
}

// ancestor is the node whose first process is an ancestor of another.
func (p *programs) ancestor(pid int) string {
	for pid > 1 {
		for node, m := range p.marks {
			if m.first == pid {
				return node
			}
		}
		_, pid = readStat(fmt.Sprintf("/proc/%d/stat", pid))
	}
	return ""
}

// replaced says whether an exec was made by the first process of a node that was known by then, so that it replaced itself. Otherwise it was the
// beginning of that process, or a child's.
func (p *programs) replaced(node string, e procevents.Exec) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.marks[node].first == e.PID && e.At > p.marks[node].since
}

// note takes down how long after its exec a process was skewed.
func (p *programs) note(pid int, late time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.late == nil {
		p.late = make(map[int]time.Duration)
	}
	p.late[pid] = late
}

// skewed says how long after its exec a process was skewed; false if its exec was not told of.
func (p *programs) skewed(pid int) (late time.Duration, told bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	late, told = p.late[pid]
	return late, told
}

// spaceOf is a namespace of a process; nil if it cannot be read.
func spaceOf(pid int, space string) os.FileInfo {
	info, err := os.Stat(fmt.Sprintf("/proc/%d/ns/%s", pid, space))
	if err != nil {
		return nil
	}
	return info
}

// cgroupOf are the control groups of a process; nil if they cannot be read.
func cgroupOf(pid int) []byte {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return nil
	}
	return b
}
