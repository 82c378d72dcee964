package nemesis

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rift/harness/history"
	"rift/nemesis/lossyfs"
)

var diskKinds = []Kind{powerKind, diskErrorKind, diskFullKind, diskSlowKind, bitFlipKind, truncateKind}

func TestPowerTakesWhatWasNotSynced(t *testing.T) {
	for _, loss := range losses {
		t.Run(loss, func(t *testing.T) {
			c := newDiskCluster(t, 3)
			c.env = func(node string) string { return writingProgram + "=" + mends + c.disks[node].Mountpoint() }
			before := pids(c.processCluster)
			f := makeFault(t, powerKind, history.PlannedFault{Target: All, Args: map[string]string{argLoss: loss}})
			e := inject(t, f, c)
			if !e.Proven || len(e.Nodes) != 3 || e.Measures["lost_bytes"] <= 0 || e.Applied <= 0 {
				t.Errorf("inject: %+v", e)
			}
			for _, node := range c.Nodes() {
				if _, up := c.Host(node); up || c.Disk(node).Mounted() || c.board.Free(node) {
					t.Errorf("%s: up %t, mounted %t", node, up, c.Disk(node).Mounted())
				}
				if n := c.size(node, syncedFile); n < 100 {
					t.Errorf("%s: what was synced has %d bytes", node, n)
				}
				// Its name was durable with the first fsync of the other file, its content never.
				if n := c.size(node, looseFile); loss == string(lossyfs.All) && n != 0 {
					t.Errorf("%s: what was never synced has %d bytes", node, n)
				}
			}
			if healed := heal(t, f, c); !healed.Proven || len(healed.Nodes) != 3 {
				t.Errorf("heal: %+v", healed)
			}
			for i, pid := range pids(c.processCluster) {
				if pid == 0 || pid == before[i] {
					t.Errorf("n%d: process %d before and %d after", i+1, before[i], pid)
				}
			}
			c.awaitWrites()
			if again := heal(t, f, c); !again.Skipped || c.board.Taken() != nil {
				t.Errorf("heal again: %+v, board %v", again, c.board.Taken())
			}
		})
	}
}

// halfDisks is a cluster in which one disk is not to be had.
type halfDisks struct{ *diskCluster }

func (c halfDisks) Disk(node string) *lossyfs.FS {
	if node == "n1" {
		return nil
	}
	return c.diskCluster.Disk(node)
}

func TestPowerThatFailsHalfwayHeals(t *testing.T) {
	c := newDiskCluster(t, 2)
	f := makeFault(t, powerKind, history.PlannedFault{Target: All})
	e, err := f.Inject(t.Context(), halfDisks{c}, random())
	if err == nil || e.Proven {
		t.Errorf("inject: %+v, error %v", e, err)
	}
	if healed := heal(t, f, c); !healed.Proven {
		t.Errorf("heal: %+v", healed)
	}
	c.awaitWrites()
}

func TestDisksMalfunction(t *testing.T) {
	for name, fault := range map[string]struct {
		kind Kind
		args map[string]string
		dies bool // the store ends by itself under it
	}{
		"nth fsync fails":  {diskErrorKind, map[string]string{argNth: "3"}, true},
		"nth write fails":  {diskErrorKind, map[string]string{argOp: "write", argNth: "2", argPath: syncedFile}, true},
		"some reads fail":  {diskErrorKind, map[string]string{argOp: "read", argShare: "1"}, true},
		"disk full":        {diskFullKind, nil, true},
		"disk full, some":  {diskFullKind, map[string]string{argShare: "0.2"}, true},
		"slow fsyncs":      {diskSlowKind, map[string]string{argDelay: "30ms"}, false},
		"stall":            {diskSlowKind, map[string]string{argMode: slowStall}, false},
		"bits flip, reads": {bitFlipKind, map[string]string{argMode: flipRead, argNth: "1"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := newDiskCluster(t, 3)
			before, _ := c.Host("n2")
			f := makeFault(t, fault.kind, history.PlannedFault{Target: Leader, Args: fault.args, For: history.Duration(10 * time.Second)})
			e := inject(t, f, c)
			if !e.Proven || !slices.Equal(e.Nodes, []string{"n2"}) || e.Measures["calls"] < 1 {
				t.Fatalf("inject: %+v", e)
			}
			if fault.dies && !seen(t.Context(), func() bool { _, up := c.Host("n2"); return !up }) {
				t.Error("the store goes on")
			}
			healed := heal(t, f, c)
			if !healed.Proven || strings.Contains(healed.Summary, "was started again") != fault.dies {
				t.Errorf("heal: %+v", healed)
			}
			if after, up := c.Host("n2"); !up || (after.PID != before.PID) != fault.dies {
				t.Errorf("n2 is up %t, with process %d before and %d after", up, before.PID, after.PID)
			}
			c.awaitWrites()
			if again := heal(t, f, c); !again.Skipped || c.board.Taken() != nil {
				t.Errorf("heal again: %+v, board %v", again, c.board.Taken())
			}
		})
	}
}

func TestFaultsOfOneDiskOverlap(t *testing.T) {
	c := newDiskCluster(t, 1)
	slow := makeFault(t, diskSlowKind, history.PlannedFault{ID: 1, Target: All, Args: map[string]string{argMode: slowStall}, For: history.Duration(10 * time.Second)})
	full := makeFault(t, diskFullKind, history.PlannedFault{ID: 2, Target: All, For: history.Duration(10 * time.Millisecond)})
	if e := inject(t, slow, c); !e.Proven {
		t.Errorf("stall: %+v", e)
	}
	if e := inject(t, full, c); e.Proven || e.Measures["refused"] != 0 {
		t.Errorf("a disk that stalls was found full: %+v", e)
	}
	killing := makeFault(t, killKind, history.PlannedFault{ID: 3, Target: All})
	if e := inject(t, killing, c); !e.Proven {
		t.Errorf("kill during a stall: %+v", e)
	}
	heal(t, slow, c)
	heal(t, full, c)
	if e := heal(t, killing, c); !e.Proven {
		t.Errorf("heal: %+v", e)
	}
	c.awaitWrites()
}

func TestMalfunctionThatNobodyMeetsIsNotProven(t *testing.T) {
	c := newDiskCluster(t, 1)
	f := makeFault(t, diskErrorKind, history.PlannedFault{
		Target: All, Args: map[string]string{argNth: "1", argPath: "no-such-file"}, For: history.Duration(20 * time.Millisecond),
	})
	const want = "disk of n1 is bad: on n1 0 of 0 fsyncs failed with EIO"
	if e := inject(t, f, c); e.Proven || e.Summary != want {
		t.Errorf("inject: %+v, want not proven, and %q", e, want)
	}
	heal(t, f, c)
}

func TestDamageIsMetAtTheStart(t *testing.T) {
	for name, fault := range map[string]struct {
		kind Kind
		args map[string]string
	}{
		"flipped":   {bitFlipKind, map[string]string{argPath: syncedFile}},
		"truncated": {truncateKind, map[string]string{argBytes: "99", argPath: syncedFile}},
	} {
		t.Run(name, func(t *testing.T) {
			c := newDiskCluster(t, 3)
			f := makeFault(t, fault.kind, history.PlannedFault{ID: 1, Target: One, Args: fault.args})
			e := inject(t, f, c)
			if !e.Proven || len(e.Nodes) != 1 || !strings.Contains(e.Summary, syncedFile+" of "+e.Nodes[0]) {
				t.Fatalf("inject: %+v", e)
			}
			hit := e.Nodes[0]
			if c.size(hit, syncedFile)%100 == 0 && fault.kind.Name == "truncate" {
				t.Error("nothing was cut off")
			}
			healed := heal(t, f, c)
			if want := hit + " stays down: " + refuses; !healed.Proven || !strings.Contains(healed.Summary, want) {
				t.Errorf("heal: %+v, want %q", healed, want)
			}
			if _, up := c.Host(hit); up || c.board.Free(hit) || !c.board.Damaged(hit) {
				t.Errorf("%s: up %t, board %v", hit, up, c.board.Taken())
			}
			again := makeFault(t, fault.kind, history.PlannedFault{ID: 2, Target: One, Args: fault.args})
			if e := inject(t, again, c); !e.Skipped || !strings.Contains(e.Summary, "1 of 3 nodes is damaged") {
				t.Errorf("a second node was damaged: %+v", e)
			}
			for _, node := range c.Nodes() {
				if _, up := c.Host(node); up != (node != hit) {
					t.Errorf("%s: up %t", node, up)
				}
			}
		})
	}
}

func TestDamageWithoutAFileHeals(t *testing.T) {
	c := newDiskCluster(t, 3)
	f := makeFault(t, truncateKind, history.PlannedFault{Target: One, Args: map[string]string{argBytes: "1", argPath: "no-such-file"}})
	if _, err := f.Inject(t.Context(), c, random()); err == nil || !strings.Contains(err.Error(), "no-such-file") {
		t.Errorf("inject: %v", err)
	}
	if e := heal(t, f, c); !e.Proven || c.board.Taken() != nil {
		t.Errorf("heal: %+v, board %v", e, c.board.Taken())
	}
}

func TestDiskFaultsNeedALossyDisk(t *testing.T) {
	c := newProcessCluster(t, 1)
	for _, k := range diskKinds {
		if err := k.Able(c); err == nil || !strings.Contains(err.Error(), "--disk") {
			t.Errorf("%s without a lossy disk: %v", k.Name, err)
		}
	}
	on := newDiskCluster(t, 1)
	if err := ableDisk(on); err != nil {
		t.Error(err)
	}
	able := Setting{OwnDisk: true, Abilities: []string{"membership", "transfer", "snapshot"}}
	for _, k := range Kinds {
		plan := []history.PlannedFault{{Kind: "kill"}, {Kind: k.Name}}
		ours := slices.ContainsFunc(diskKinds, func(d Kind) bool { return d.Name == k.Name })
		if NeedsDisk(plan) != ours || ours != (Fit(plan, able) != nil) {
			t.Errorf("%s: needs a lossy disk %t, want %t", k.Name, NeedsDisk(plan), ours)
		}
	}
}

func TestDiskFaultsRefuseBadPlans(t *testing.T) {
	for _, bad := range []struct {
		kind    Kind
		target  string
		args    string // name=value ...
		mention string
	}{
		{powerKind, "everything", "", "target of power"},
		{powerKind, One, "loss=some", "argument loss of power"},
		{diskErrorKind, One, "", "nth and share of disk-error"},
		{diskErrorKind, One, "nth=1 share=0.1", "nth and share of disk-error"},
		{diskErrorKind, One, "nth=0", "argument nth of disk-error"},
		{diskErrorKind, One, "share=2", "argument share of disk-error"},
		{diskErrorKind, One, "op=mmap nth=1", "argument op of disk-error"},
		{diskErrorKind, One, "nth=1 path=[", "argument path of disk-error"},
		{diskErrorKind, One, "nth=1 delay=1s", "argument of disk-error"},
		{diskFullKind, One, "share=0", "argument share of disk-full"},
		{diskSlowKind, One, "", "argument delay of disk-slow"},
		{diskSlowKind, One, "mode=stall delay=1s", "argument of disk-slow"},
		{diskSlowKind, One, "mode=crawl", "argument mode of disk-slow"},
		{bitFlipKind, All, "", "target of bit-flip"},
		{bitFlipKind, All, "mode=read nth=1", "target of bit-flip"},
		{bitFlipKind, One, "mode=write", "argument mode of bit-flip"},
		{bitFlipKind, One, "nth=1", "argument of bit-flip"},
		{truncateKind, One, "", "argument bytes of truncate"},
		{truncateKind, One, "bytes=-1", "argument bytes of truncate"},
	} {
		p := history.PlannedFault{Kind: bad.kind.Name, Target: bad.target, Args: make(map[string]string)}
		for _, arg := range strings.Fields(bad.args) {
			name, value, _ := strings.Cut(arg, "=")
			p.Args[name] = value
		}
		if _, err := bad.kind.New(p); err == nil || !strings.Contains(err.Error(), bad.mention) {
			t.Errorf("%s %s %s: %v, which should mention %q", p.Kind, bad.target, bad.args, err, bad.mention)
		}
	}
}

func TestDiskFaultsAreDrawnAsTheyAreAllowed(t *testing.T) {
	r := random()
	for _, k := range diskKinds {
		args := make(map[string]bool)
		for range 500 {
			p := k.Draw(r, k.Targets)
			p.Kind = k.Name
			if _, err := k.New(p); err != nil {
				t.Fatalf("%s %v: %v", p, p.Args, err)
			}
			for name := range p.Args {
				args[name] = true
			}
		}
		t.Logf("%s draws %v", k.Name, slices.Sorted(maps.Keys(args)))
	}
}

// TestBoardKeepsDamageToAMinority tries every size of cluster.
func TestBoardKeepsDamageToAMinority(t *testing.T) {
	for nodes := 1; nodes <= 9; nodes++ {
		var b Board
		damaged := 0
		for i := range nodes {
			node := string(rune('a' + i))
			if b.Damage(node, 1, nodes) == nil {
				damaged++
				if err := b.Damage(node, 2, nodes); err != nil {
					t.Errorf("a damaged node was not damaged again: %v", err)
				}
			}
		}
		if 2*damaged >= nodes || 2*(damaged+1) < nodes {
			t.Errorf("%d of %d nodes could be damaged", damaged, nodes)
		}
	}
}

// TestBadDisksKeepAQuorum has a board that keeps one, over which a node is started again though none is left.
func TestBadDisksKeepAQuorum(t *testing.T) {
	c := newDiskCluster(t, 3)
	c.board.KeepQuorum(c.Nodes, func(node string) bool { _, up := c.Host(node); return up })
	f := makeFault(t, diskFullKind, history.PlannedFault{Target: All, For: history.Duration(10 * time.Second)})
	e := inject(t, f, c)
	if !e.Proven || len(e.Nodes) != 1 {
		t.Fatalf("inject: %+v, want one of three nodes", e)
	}
	other := c.Nodes()[0]
	if other == e.Nodes[0] {
		other = c.Nodes()[1]
	}
	check(t, c.Kill(t.Context(), other))
	if healed := heal(t, f, c); !strings.Contains(healed.Summary, e.Nodes[0]+" had ended by itself, and was started again") {
		t.Errorf("heal: %+v", healed)
	}
}

// TestHealedDiskLeavesNothing looks beside the data for what a fault may have left.
func TestHealedDiskLeavesNothing(t *testing.T) {
	c := newDiskCluster(t, 1)
	for id, k := range []Kind{powerKind, diskFullKind} {
		f := makeFault(t, k, history.PlannedFault{ID: id + 1, Target: All, For: history.Duration(time.Second)})
		inject(t, f, c)
		heal(t, f, c)
	}
	check(t, c.Kill(context.Background(), "n1"))
	entries, err := os.ReadDir(c.disks["n1"].Mountpoint())
	check(t, err)
	for _, e := range entries {
		if e.Name() != syncedFile && e.Name() != looseFile {
			t.Errorf("%s is left in the data", filepath.Join("n1", e.Name()))
		}
	}
}
