package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"rift/nemesis/lossyfs"
)

// A lab is a node, alone in its cluster, whose data lies on a disk that fails as it is told.
type lab struct {
	*testing.T
	disk *lossyfs.FS
	dir  string
	bug  string
	args []string // further ones for the node
	node *process
	in   *lossyfs.Armed // what is wrong with the disk; nil if nothing is
}

func newLab(t *testing.T, bug string, args ...string) *lab {
	t.Helper()
	if err := unix.Access("/dev/fuse", unix.R_OK|unix.W_OK); err != nil || os.Geteuid() != 0 {
		if os.Getenv("RIFT_REQUIRE_DOCKER") == "1" {
			t.Fatalf("needs root and /dev/fuse: %v", err)
		}
		t.Skipf("needs root and /dev/fuse: %v", err)
	}
	l := &lab{T: t, dir: filepath.Join(t.TempDir(), "data"), bug: bug, args: args}
	backing := filepath.Join(t.TempDir(), "disk")
	if err := errors.Join(os.Mkdir(l.dir, 0o755), os.Mkdir(backing, 0o755)); err != nil {
		t.Fatal(err)
	}
	var err error
	if l.disk, err = lossyfs.Mount(lossyfs.Options{Backing: backing, Mountpoint: l.dir}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.node.kill()
		if err := l.disk.Close(); err != nil {
			t.Error(err)
		}
	})
	l.start()
	return l
}

func (l *lab) start() {
	l.Helper()
	args := append([]string{"-id", "n1"}, l.args...)
	if l.bug != "" {
		args = append(args, "-bug", l.bug)
	}
	l.node = launch(l.T, append(args, filepath.Join(l.dir, "n1"))...)
}

// arm has the disk do something wrong.
func (l *lab) arm(f lossyfs.Faults) {
	l.Helper()
	var err error
	if l.in, err = l.disk.Arm(f); err != nil {
		l.Fatal(err)
	}
}

// mend makes the disk a good one again.
func (l *lab) mend() {
	if l.in != nil {
		l.in.Disarm()
		l.in = nil
	}
}

// powerCut kills the node, and takes what was not synced.
func (l *lab) powerCut() {
	l.Helper()
	l.node.kill()
	l.mend()
	if _, err := l.disk.PowerFail(lossyfs.All, nil); err != nil {
		l.Fatal(err)
	}
	if err := l.disk.Remount(); err != nil {
		l.Fatal(err)
	}
	l.start()
}

var always = lossyfs.Chance{Share: 1}

// diskScenarios tell whether the node breaks a promise when its disk does what it may. A bug must show in the one of its name,
// sooner or later, and a healthy node never.
var diskScenarios = map[string]func(l *lab) (broken bool){
	"no-fsync": func(l *lab) bool {
		l.node.must("PUT", "/v1/kv/x", "there")
		l.powerCut()
		return l.node.read("x") != "there"
	},

	"fsync-eio-continue": func(l *lab) bool {
		l.node.must("PUT", "/v1/kv/x", "there")
		l.arm(lossyfs.Faults{FsyncError: always})
		_, code := l.node.request("PUT", "/v1/kv/y", "new")
		if l.bug == "" {
			l.node.refused("node: write the log entries")
		}
		l.powerCut()
		if l.node.read("x") != "there" {
			l.Error("what was stored before the disk failed is lost")
		}
		return code == "" && l.node.read("y") != "new"
	},

	"ignore-enospc": func(l *lab) bool {
		l.node.must("PUT", "/v1/kv/x", "there")
		l.arm(lossyfs.Faults{NoSpace: always})
		_, code := l.node.request("PUT", "/v1/kv/y", "new")
		if l.bug == "" {
			if code == "" {
				l.Error("a write that finds no space is acknowledged")
			}
			l.node.refused("no space left on device")
			l.start()
			l.node.refused("no space left on device")
		}
		l.node.kill()
		l.mend()
		l.start()
		if l.node.read("x") != "there" {
			l.Error("what was stored before the disk was full is lost")
		}
		return code == "" && l.node.read("y") != "new"
	},

	"torn-snapshot": func(l *lab) bool {
		for i := range 10 {
			l.node.must("PUT", fmt.Sprintf("/v1/kv/k%d", i), "a value of some length, so that most bits belong to values")
		}
		was := l.node.must("GET", "/v1/kv?prefix=k", "")
		l.node.must("POST", "/v1/snapshot", "")
		l.node.kill()
		if _, err := l.disk.FlipAtRest("state.bin", rand.New(rand.NewPCG(rand.Uint64(), 0))); err != nil {
			l.Fatal(err)
		}
		l.start()
		if l.bug == "" {
			l.node.refused(": CRC mismatch")
			return false
		}
		select {
		case <-l.node.gone:
			return false // the flip is where even a trusting node notices
		default:
			answer, code := l.node.request("GET", "/v1/kv?prefix=k&consistency=stale", "")
			return code == "" && answer != was
		}
	},
}

func TestWhatDisksMayDo(t *testing.T) {
	const times = 20 // a flipped bit may lie where it changes no value
	for name, scenario := range diskScenarios {
		t.Run(name+"/healthy", func(t *testing.T) {
			t.Parallel()
			if scenario(newLab(t, "", "-trailing-logs", "1")) {
				t.Error("a healthy node breaks its promise")
			}
		})
		t.Run(name+"/buggy", func(t *testing.T) {
			t.Parallel()
			shown := false
			for try := 0; !shown && try < times; try++ {
				t.Run(fmt.Sprint(try), func(t *testing.T) { shown = scenario(newLab(t, name, "-trailing-logs", "1")) })
			}
			if !shown {
				t.Error("the bug does not show")
			}
		})
	}
}

// TestDisksThatFailOtherwise holds that a node which cannot read or write ends and says why, and has lost nothing.
func TestDisksThatFailOtherwise(t *testing.T) {
	for name, faults := range map[string]lossyfs.Faults{
		"write": {WriteError: always, Path: "raft.db"},
		"sync":  {FsyncError: lossyfs.Chance{Nth: 2}, Path: "raft.db"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, "")
			l.node.must("PUT", "/v1/kv/x", "there")
			l.arm(faults)
			for code := ""; code != "broken"; {
				_, code = l.node.request("PUT", "/v1/kv/y", "new")
			}
			l.node.refused("input/output error")
			l.powerCut()
			if l.node.read("x") != "there" {
				t.Error("what was stored before the disk failed is lost")
			}
		})
	}
}

// TestADamagedSnapshotIsNotMissed starts a node from its log alone, when no snapshot is whole and the log has everything.
func TestADamagedSnapshotIsNotMissed(t *testing.T) {
	l := newLab(t, "")
	l.node.must("PUT", "/v1/kv/x", "there")
	l.node.must("POST", "/v1/snapshot", "")
	l.node.kill()
	if _, err := l.disk.TruncateTail("state.bin", 64, rand.New(rand.NewPCG(1, 2))); err != nil {
		t.Fatal(err)
	}
	l.start()
	if l.node.read("x") != "there" {
		t.Error("what was stored is lost")
	}
	l.node.must("POST", "/v1/snapshot", "")
	l.node.kill()
	l.start()
	if l.node.read("x") != "there" {
		t.Error("what was stored is lost after another snapshot")
	}
}

// TestASnapshotThatCannotBeSynced ends the node, which then has the log as before.
func TestASnapshotThatCannotBeSynced(t *testing.T) {
	l := newLab(t, "")
	l.node.must("PUT", "/v1/kv/x", "there")
	l.arm(lossyfs.Faults{FsyncError: always, Path: "state.bin"})
	l.node.request("POST", "/v1/snapshot", "")
	l.node.refused("node: write a snapshot: ")
	l.powerCut()
	if l.node.read("x") != "there" {
		t.Error("what was stored is lost")
	}
}

// TestADiskThatIsFullNowAndThen has every few writes find no space, again and again, and fails the power between: what was acknowledged
// stays, and the log is never destroyed.
func TestADiskThatIsFullNowAndThen(t *testing.T) {
	l := newLab(t, "")
	l.node.must("PUT", "/v1/kv/first", "there")
	acknowledged := []string{"first"}
	for round := range 4 {
		l.arm(lossyfs.Faults{NoSpace: lossyfs.Chance{Share: 0.1}, Path: "raft.db", Seed: uint64(round)})
		for i, code := 0, ""; code != "broken"; i++ {
			key := fmt.Sprintf("k%d.%d", round, i)
			if _, code = l.node.request("PUT", "/v1/kv/"+key, "there"); code == "" {
				acknowledged = append(acknowledged, key)
			}
		}
		l.node.refused("no space left on device")
		l.powerCut()
	}
	for _, key := range acknowledged {
		if l.node.read(key) != "there" {
			t.Errorf("%s is lost", key)
		}
	}
}
