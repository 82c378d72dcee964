package cgroup

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"
)

// machineTrees are the hierarchies of this machine as they are, and that of version 2 alone, if it is mounted.
func machineTrees(t *testing.T) map[string]Tree {
	t.Helper()
	tree, err := Mounted()
	if err != nil {
		t.Fatal(err)
	}
	trees := map[string]Tree{"all": tree}
	for _, m := range tree.mounts {
		if m.unified {
			trees["unified"] = Tree{[]mount{m}}
		}
	}
	return trees
}

// newGroup makes a group of the test's own, and removes it with all that is in it.
func newGroup(t *testing.T, tree Tree) Group {
	t.Helper()
	above := fmt.Sprintf("/cgroup-test-%d", os.Getpid())
	g, err := tree.Group(above + "/n1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if _, err := g.Clear(ctx); err != nil {
			t.Error(err)
		}
		for _, path := range []string{g.Path, above} {
			made, err := tree.Group(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := made.Remove(ctx); err != nil || made.Exists() {
				t.Errorf("remove %s: %v", path, err)
			}
		}
	})
	if err := g.Make(); err != nil {
		if os.Getenv("RIFT_REQUIRE_DOCKER") == "1" {
			t.Fatal(err)
		}
		t.Skip("NOT TESTED with control groups: ", err)
	}
	return g
}

// startIn starts a process in a group.
func startIn(t *testing.T, g Group, program string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(program, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	if err := g.Join(cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// eventually waits for what the kernel tells nobody of.
func eventually(t *testing.T, what string, so func() (bool, error)) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		is, err := so()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if is {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after 20 s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestFrozenProcessesAreClearedAway(t *testing.T) {
	for name, tree := range machineTrees(t) {
		t.Run(name, func(t *testing.T) {
			g := newGroup(t, tree)
			if err := g.Able(Freezer); err != nil {
				t.Skip(err)
			}
			cmd := startIn(t, g, "sleep", "1000")
			if pids, err := g.Processes(); err != nil || !slices.Equal(pids, []int{cmd.Process.Pid}) {
				t.Fatalf("processes %v, error %v; want %d", pids, err, cmd.Process.Pid)
			}
			for range 2 { // frozen, thawed, frozen again
				if err := g.Freeze(); err != nil {
					t.Fatal(err)
				}
				eventually(t, "frozen", g.Frozen)
				if err := g.Thaw(); err != nil {
					t.Fatal(err)
				}
				eventually(t, "thawed", func() (bool, error) { frozen, err := g.Frozen(); return !frozen, err })
			}
			if err := g.Freeze(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "frozen", g.Frozen)
			found, err := g.Clear(t.Context())
			if err != nil || !slices.Equal(found, []int{cmd.Process.Pid}) {
				t.Errorf("found %v, error %v; want %d", found, err, cmd.Process.Pid)
			}
			if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != -1 {
				t.Errorf("the process ended with %v, want by a signal", err)
			}
			if err := g.Remove(t.Context()); err != nil || g.Exists() {
				t.Errorf("remove: %v", err)
			}
			if pids, err := g.Processes(); err != nil || pids != nil {
				t.Errorf("a group that has gone has processes %v, error %v", pids, err)
			}
		})
	}
}

func TestLimitsOfThisMachine(t *testing.T) {
	tree, err := Mounted()
	if err != nil {
		t.Fatal(err)
	}
	g := newGroup(t, tree)
	for _, c := range []Controller{CPU, Accounting, Memory} {
		if err := g.Able(c); err != nil {
			t.Skip(err)
		}
	}
	old, err := g.CPULimit()
	if err != nil || old.Quota >= 0 {
		t.Fatalf("a new group has the limit %s, error %v", old, err)
	}
	for _, limit := range []CPULimit{{time.Millisecond, 50 * time.Millisecond}, {200 * time.Millisecond, 100 * time.Millisecond}, {time.Millisecond, 10 * time.Millisecond}, old} {
		if err := g.SetCPULimit(limit); err != nil {
			t.Fatal(err)
		}
		if now, err := g.CPULimit(); err != nil || now != limit {
			t.Errorf("set %+v, got %+v, error %v", limit, now, err)
		}
	}
	if limit, err := g.MemoryLimit(); err != nil || limit != Unlimited {
		t.Fatalf("a new group has the limit %d, error %v", limit, err)
	}
	for _, limit := range []int64{64 << 20, 8 << 20, Unlimited} {
		if err := g.SetMemoryLimit(limit); err != nil {
			t.Fatal(err)
		}
		if now, err := g.MemoryLimit(); err != nil || now != limit {
			t.Errorf("set %d, got %d, error %v", limit, now, err)
		}
	}
	startIn(t, g, "sh", "-c", "while :; do :; done")
	eventually(t, "its CPU time counts", func() (bool, error) { used, err := g.CPUTime(); return used > 0, err })
	if held, err := g.MemoryHeld(); err != nil || held < 0 {
		t.Errorf("holds %d, error %v", held, err)
	}
	stops, err := g.Throttled()
	hits, hitsErr := g.MemoryHits()
	kills, killsErr := g.MemoryKills()
	if err != nil || hitsErr != nil || killsErr != nil || stops+hits+kills != 0 {
		t.Errorf("an idle group was stopped in %d periods, met its limit %d times, %d killed; errors %v, %v, %v", stops, hits, kills, err, hitsErr, killsErr)
	}
}
