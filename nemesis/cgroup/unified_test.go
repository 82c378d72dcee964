package cgroup

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// newUnified is a group of a made-up hierarchy of version 2, whose files are plain files.
func newUnified(t *testing.T, files map[string]string) (g Group, folder string) {
	t.Helper()
	dir := t.TempDir()
	tree := Tree{[]mount{{point: dir, root: "/", unified: true}}}
	folder = filepath.Join(dir, "rift0a1b2c", "n1")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(files[name]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	g, err := tree.Group("/rift0a1b2c/n1")
	if err != nil {
		t.Fatal(err)
	}
	return g, folder
}

func checkFile(t *testing.T, folder, name, want string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil || string(b) != want {
		t.Errorf("%s holds %q, error %v; want %q", name, b, err, want)
	}
}

func TestUnifiedCPU(t *testing.T) {
	g, folder := newUnified(t, map[string]string{
		"cpu.max": "max 100000\n", "cpu.stat": "usage_usec 2500\nuser_usec 1\nnr_periods 9\nnr_throttled 7\nthrottled_usec 12\n",
	})
	limit, err := g.CPULimit()
	if err != nil || limit != (CPULimit{-1, 100 * time.Millisecond}) || limit.String() != "no limit" {
		t.Errorf("limit %+v (%s), error %v", limit, limit, err)
	}
	if err := g.SetCPULimit(CPULimit{time.Millisecond, 50 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	checkFile(t, folder, "cpu.max", "1000 50000")
	if limit, err = g.CPULimit(); err != nil || limit != (CPULimit{time.Millisecond, 50 * time.Millisecond}) || limit.String() != "2% of a CPU" {
		t.Errorf("limit %+v (%s), error %v", limit, limit, err)
	}
	if err := g.SetCPULimit(CPULimit{-1, 100 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	checkFile(t, folder, "cpu.max", "max 100000")
	stops, err := g.Throttled()
	used, usedErr := g.CPUTime()
	if err != nil || usedErr != nil || stops != 7 || used != 2500*time.Microsecond {
		t.Errorf("stopped in %d periods, used %s; errors %v, %v", stops, used, err, usedErr)
	}
}

func TestUnifiedMemory(t *testing.T) {
	g, folder := newUnified(t, map[string]string{
		"memory.max": "max\n", "memory.current": "9000\n", "memory.stat": "anon 1\nfile 4000\nshmem 500\n",
		"memory.events": "low 0\nhigh 0\nmax 31\noom 2\noom_kill 1\n",
	})
	if limit, err := g.MemoryLimit(); err != nil || limit != Unlimited {
		t.Errorf("limit %d, error %v", limit, err)
	}
	if err := g.SetMemoryLimit(1 << 20); err != nil {
		t.Fatal(err)
	}
	checkFile(t, folder, "memory.max", "1048576")
	if limit, err := g.MemoryLimit(); err != nil || limit != 1<<20 {
		t.Errorf("limit %d, error %v", limit, err)
	}
	if err := g.SetMemoryLimit(Unlimited); err != nil {
		t.Fatal(err)
	}
	checkFile(t, folder, "memory.max", "max")
	held, err := g.MemoryHeld()
	hits, hitsErr := g.MemoryHits()
	kills, killsErr := g.MemoryKills()
	if err != nil || hitsErr != nil || killsErr != nil || held != 5500 || hits != 31 || kills != 1 {
		t.Errorf("holds %d, met the limit %d times, %d killed; errors %v, %v, %v", held, hits, kills, err, hitsErr, killsErr)
	}
}

func TestUnifiedFreezer(t *testing.T) {
	g, folder := newUnified(t, map[string]string{"cgroup.freeze": "0\n", "cgroup.events": "populated 1\nfrozen 0\n"})
	if err := g.Freeze(); err != nil {
		t.Fatal(err)
	}
	checkFile(t, folder, "cgroup.freeze", "1")
	if frozen, err := g.Frozen(); frozen || err != nil {
		t.Errorf("the kernel says that it is not frozen yet; got %t, error %v", frozen, err)
	}
	if err := os.WriteFile(filepath.Join(folder, "cgroup.events"), []byte("populated 1\nfrozen 1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if frozen, err := g.Frozen(); !frozen || err != nil {
		t.Errorf("the kernel says that it is frozen; got %t, error %v", frozen, err)
	}
	if !g.Still('S') || g.Still('D') || g.Still('R') {
		t.Error("version 2 keeps frozen threads in an interruptible sleep")
	}
	if err := g.Thaw(); err != nil {
		t.Fatal(err)
	}
	checkFile(t, folder, "cgroup.freeze", "0")
}

func TestUnifiedGroupsGetTheControllersOfTheGroupAbove(t *testing.T) {
	g, folder := newUnified(t, nil)
	above := filepath.Dir(folder)
	for name, text := range map[string]string{"cgroup.controllers": "cpuset cpu io memory pids\n", "cgroup.subtree_control": ""} {
		if err := os.WriteFile(filepath.Join(above, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Make(); err != nil {
		t.Fatal(err)
	}
	checkFile(t, above, "cgroup.subtree_control", "+memory") // the last that was written: the kernel's file takes one after the other
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	g, _ := newUnified(t, map[string]string{"cpu.max": "soon 100000", "memory.stat": "anon 1\n", "memory.current": "5"})
	for what, do := range map[string]func() error{
		"the group has gone, or the controller is not enabled in it": func() error { return g.Able(Memory) },
		"read the CPU limit of /rift0a1b2c/n1":                       func() error { return g.Able(CPU) },
		"it has no file":                                             func() error { _, err := g.MemoryHeld(); return err },
		"cgroup.events":                                              func() error { return g.Able(Freezer) },
		"cpu.stat":                                                   func() error { return g.Able(Accounting) },
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%v, want %s", err, what)
		}
	}
	nowhere, err := Tree{}.Group("/n1")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range controllers {
		if err := nowhere.Able(c); err == nil || !strings.Contains(err.Error(), "no hierarchy of control groups has "+string(c)) {
			t.Errorf("%s: %v", c, err)
		}
	}
	if err := nowhere.Make(); err == nil {
		t.Error("a group was made where none can be")
	}
}
