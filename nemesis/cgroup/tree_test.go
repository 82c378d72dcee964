package cgroup

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The mounts of three machines: with version 1 and an empty version 2 beside it, with version 2 alone, and inside a container.
const (
	hybrid = `23 1 0:21 / / rw - overlay overlay rw
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
`
	unified   = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
	container = `32 31 0:29 /docker/0123 /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu
35 31 0:32 /docker/0123 /odd\040place/memory rw - cgroup cgroup rw,memory
`
)

func TestGroupsAreFoundWhereTheirControllersAre(t *testing.T) {
	for _, test := range []struct {
		mounts, group string
		folders       map[Controller]string
		unified       []Controller
	}{
		{hybrid, "/rift0a1b2c/n1", map[Controller]string{
			CPU: "/sys/fs/cgroup/cpu,cpuacct/rift0a1b2c/n1", Accounting: "/sys/fs/cgroup/cpu,cpuacct/rift0a1b2c/n1",
			Memory: "/sys/fs/cgroup/memory/rift0a1b2c/n1", Freezer: "/sys/fs/cgroup/unified/rift0a1b2c/n1",
		}, []Controller{Freezer}},
		{unified, "docker/ffff", map[Controller]string{
			CPU: "/sys/fs/cgroup/docker/ffff", Accounting: "/sys/fs/cgroup/docker/ffff",
			Memory: "/sys/fs/cgroup/docker/ffff", Freezer: "/sys/fs/cgroup/docker/ffff",
		}, controllers},
		{container, "/docker/0123/inner", map[Controller]string{CPU: "/sys/fs/cgroup/cpu/inner", Memory: "/odd place/memory/inner"}, nil},
		{container, "/docker/4567", nil, nil},
		{container, "/docker/01234", nil, nil},
		{"", "/n1", nil, nil},
	} {
		tree, err := parse(strings.NewReader(test.mounts))
		if err != nil {
			t.Fatal(err)
		}
		g, err := tree.Group(test.group)
		if err != nil {
			t.Fatal(err)
		}
		if len(g.homes) != len(test.folders) {
			t.Errorf("%s: found %v, want %v", test.group, g.homes, test.folders)
		}
		for c, folder := range test.folders {
			if h := g.homes[c]; h.folder != folder || h.unified != slices.Contains(test.unified, c) {
				t.Errorf("%s of %s: %+v, want %s", c, test.group, h, folder)
			}
		}
	}
}

func TestTheRootIsNoGroup(t *testing.T) {
	for _, path := range []string{"", "/", "..", "/docker/.."} {
		if _, err := (Tree{}).Group(path); err == nil {
			t.Errorf("%q was taken", path)
		}
	}
}

func TestPathContaining(t *testing.T) {
	const processes = "9:name=systemd:/\n4:memory:/system.slice/docker-0123:a.scope\n0::/system.slice/docker-0123:a.scope\n"
	if got := pathContaining(processes, "0123"); got != "/system.slice/docker-0123:a.scope" {
		t.Errorf("got %q", got)
	}
	for _, nobody := range []string{processes, "", "garbage"} {
		if got := pathContaining(nobody, "4567"); got != "" {
			t.Errorf("a process that is in no such group is in %q", got)
		}
	}
}

func TestChildrenOfAllHierarchies(t *testing.T) {
	dir := t.TempDir()
	tree := Tree{[]mount{{point: dir + "/cpu", root: "/", options: []string{"cpu"}}, {point: dir + "/v2", root: "/", unified: true}}}
	for _, folder := range []string{"cpu/a/x", "v2/a/y", "v2/b", "elsewhere/c"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(dir+"/v2/cgroup.procs", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for group, want := range map[string]string{"/": "a b", "/a": "x y", "/b": "", "/nothing": ""} {
		if got := strings.Join(tree.Children(group), " "); got != want {
			t.Errorf("%s: %q, want %q", group, got, want)
		}
	}
}
