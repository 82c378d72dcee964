package nemesis

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"rift/harness/history"
)

// snapshotCluster makes unfinished snapshots in a folder of the test's; the nodes know nothing of it.
type snapshotCluster struct {
	*processCluster
	folder   string
	snapshot func(n int) error // the n-th request, from 1
	lateFor  int               // that many kills come when the snapshot is done already

	asked int
	kills int
}

// Kill is late where the test wants it: the unfinished file has got its name.
func (c *snapshotCluster) Kill(ctx context.Context, node string) error {
	err := c.processCluster.Kill(ctx, node)
	if c.kills++; c.kills <= c.lateFor {
		err = errors.Join(err, os.Rename(filepath.Join(c.folder, "7-1.tmp"), filepath.Join(c.folder, "7-1")))
	}
	return err
}

func (c *snapshotCluster) Snapshot(context.Context, string) error {
	c.asked++
	return c.snapshot(c.asked)
}

func (c *snapshotCluster) Unfinished(string) (folder, pattern string, ok bool) {
	return c.folder, "*.tmp", true
}

func newSnapshotCluster(t *testing.T, snapshot func(folder string, n int) error) *snapshotCluster {
	folder := t.TempDir()
	return &snapshotCluster{
		processCluster: newProcessCluster(t, 3), folder: folder,
		snapshot: func(n int) error { return snapshot(folder, n) },
	}
}

func TestKillSnapshotKillsAtTheUnfinishedFile(t *testing.T) {
	c := newSnapshotCluster(t, func(folder string, n int) error {
		switch n {
		case 1:
			return errors.New("not ready")
		case 2:
			return os.WriteFile(filepath.Join(folder, "finished"), nil, 0o644)
		}
		return os.Mkdir(filepath.Join(folder, "7-1.tmp"), 0o755)
	})
	check(t, killSnapshotKind.Able(c))
	f := makeFault(t, killSnapshotKind, history.PlannedFault{Target: Leader})
	e := inject(t, f, c)
	if _, up := c.Host("n2"); !e.Proven || up || c.board.Free("n2") || e.Measures["kills"] != 1 || c.asked < 3 {
		t.Errorf("inject: %+v, up %t, asked %d times, board %v", e, up, c.asked, c.board.Taken())
	}
	if healed := heal(t, f, c); !healed.Proven || c.board.Taken() != nil {
		t.Errorf("heal: %+v, board %v", healed, c.board.Taken())
	}
}

// The file of a snapshot that is done before the kill has gone, so that the kill shows nothing; only one that stays does.
func TestKillSnapshotTriesAgainWhenItWasLate(t *testing.T) {
	for name, test := range map[string]struct {
		lateFor, kills int
	}{"twice late": {2, 3}, "always late": {1000, snapshotTries}} {
		t.Run(name, func(t *testing.T) {
			c := newSnapshotCluster(t, func(folder string, _ int) error {
				return os.WriteFile(filepath.Join(folder, "7-1.tmp"), nil, 0o644)
			})
			c.lateFor = test.lateFor
			f := makeFault(t, killSnapshotKind, history.PlannedFault{Target: Leader})
			e := inject(t, f, c)
			if e.Proven != (test.lateFor < snapshotTries) || int(e.Measures["kills"]) != test.kills {
				t.Errorf("inject: %+v, want %d kills", e, test.kills)
			}
			if healed := heal(t, f, c); !healed.Proven || c.board.Taken() != nil {
				t.Errorf("heal: %+v, board %v", healed, c.board.Taken())
			}
		})
	}
}

func TestKillSnapshotSkipsANodeThatWritesNone(t *testing.T) {
	c := newSnapshotCluster(t, func(string, int) error { return errors.New("nothing new") })
	before := pids(c.processCluster)
	f := makeFault(t, killSnapshotKind, history.PlannedFault{Target: Leader})
	if e := inject(t, f, c); !e.Skipped || e.Summary != "n2 wrote no snapshot: nothing new" || c.board.Taken() != nil || pids(c.processCluster)[1] != before[1] {
		t.Errorf("inject: %+v, board %v", e, c.board.Taken())
	}
	c.folder = filepath.Join(c.folder, "missing")
	if e := inject(t, f, c); !e.Skipped {
		t.Errorf("inject: %+v, want it skipped", e)
	}
	if e := heal(t, f, c); !e.Skipped {
		t.Errorf("heal: %+v", e)
	}
}

func TestKillSnapshotNeedsASystemThatWritesSnapshots(t *testing.T) {
	if err := killSnapshotKind.Able(newProcessCluster(t, 1)); err == nil {
		t.Error("a cluster that knows of no snapshots was found able")
	}
}
