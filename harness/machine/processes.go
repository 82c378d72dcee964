package machine

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// inode is that of a namespace; 0 if it is gone.
func inode(path string) uint64 {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return 0
	}
	return st.Ino
}

// processes lists the processes that run, and apart from them those that are stopped, by a signal or by a debugger. This program is not among them. The
// folder that a process works in tells whose it is.
func processes() ([]Thing, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var all []Thing
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		switch state(pid) {
		case 0, 'Z', 'X':
			continue
		case 'T', 't':
			all = append(all, Thing{Kind: Stopped, Name: e.Name(), Detail: about(pid), Remedy: "kill -CONT " + e.Name()})
		}
		all = append(all, Thing{Kind: Process, Name: e.Name(), Detail: about(pid), Remedy: "kill -KILL " + e.Name()})
	}
	return all, nil
}

// state is a process's state as proc(5) has it; 0 if the process is gone.
func state(pid int) byte {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if err != nil || len(fields) == 0 {
		return 0
	}
	return fields[0][0]
}

// about is a process's command, and the folder in which it works.
func about(pid int) string {
	command, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)) // empty if it has just ended, or is the kernel's
	folder, _ := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	return strings.TrimSpace(strings.ReplaceAll(string(command), "\x00", " ") + "in " + folder)
}

// cgroups lists the cgroups of all hierarchies, with the processes' states that are frozen there.
func cgroups() ([]Thing, error) {
	const root = "/sys/fs/cgroup"
	var all []Thing
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() || path == root {
			return nil // it has just been removed, or is a file
		}
		detail := ""
		for _, file := range []string{"freezer.state", "cgroup.freeze"} {
			if b, _ := os.ReadFile(filepath.Join(path, file)); strings.HasPrefix(string(b), "FROZEN") || string(b) == "1\n" {
				detail = "frozen"
			}
		}
		name := strings.TrimPrefix(path, root+"/")
		all = append(all, Thing{Kind: Cgroup, Name: name, Detail: detail, Remedy: "rmdir " + path})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list cgroups: %w", err)
	}
	return all, nil
}

// mounts lists what is mounted in this program's mount namespace.
func mounts() ([]Thing, error) {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("list mounts: %w", err)
	}
	var all []Thing
	for line := range strings.Lines(string(table)) {
		before, after, _ := strings.Cut(line, " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if len(left) < 5 || len(right) < 2 {
			continue
		}
		all = append(all, Thing{Kind: Mount, Name: left[4], Detail: right[0] + " " + right[1], Remedy: "umount -l " + left[4]})
	}
	return all, nil
}

// files lists what is in some folders. One that is not there holds nothing.
func files(folders []string) ([]Thing, error) {
	var all []Thing
	for _, folder := range folders {
		entries, err := os.ReadDir(folder)
		if err != nil && !os.IsNotExist(err) {
			return all, fmt.Errorf("look into %s: %w", folder, err)
		}
		for _, e := range entries {
			path := filepath.Join(folder, e.Name())
			all = append(all, Thing{Kind: Folder, Name: path, Remedy: "rm -r " + path})
		}
	}
	return all, nil
}
