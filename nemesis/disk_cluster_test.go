package nemesis

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rift/nemesis/lossyfs"
)

// writingProgram makes this test binary a store in this folder, which writes until it is killed or something fails.
const writingProgram = "RIFT_TEST_WRITES"

// The files of a store.
const (
	syncedFile = "synced" // it grows, and is synced
	looseFile  = "loose"  // it grows, and is never synced
)

// mends before its folder has a store cut off what follows the last whole record, as one does that expects torn writes.
const mends = "mends:"

// store refuses to start on a file that holds anything but what it writes, and stops at the first call that fails.
func store(dir string) error {
	dir, mending := strings.CutPrefix(dir, mends)
	synced, err := os.OpenFile(filepath.Join(dir, syncedFile), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	loose, err := os.OpenFile(filepath.Join(dir, looseFile), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	record := bytes.Repeat([]byte("r"), 100)
	all, err := os.ReadFile(synced.Name())
	if err != nil {
		return err
	}
	if mending {
		whole := 0
		for bytes.HasPrefix(all[whole:], record) {
			whole += len(record)
		}
		if all = all[:whole]; synced.Truncate(int64(whole)) != nil {
			return errors.New("what is torn cannot be cut off")
		}
	}
	if len(all)%len(record) != 0 || len(bytes.Trim(all, "r")) != 0 {
		return errors.New("the data is damaged")
	}
	pace := time.NewTicker(2 * time.Millisecond)
	for ready := false; ; <-pace.C {
		for _, file := range []*os.File{loose, synced} {
			if _, err := file.Write(record); err != nil {
				return err
			}
		}
		if _, err := synced.ReadAt(record, 0); err != nil {
			return err
		}
		if err := synced.Sync(); err != nil {
			return err
		}
		if !ready {
			ready = true
			fmt.Println("ready")
		}
	}
}

// diskCluster is a cluster of stores on lossy disks.
type diskCluster struct {
	*processCluster
	disks map[string]*lossyfs.FS
	live  map[string]string // the folders that hold the disks' content
}

func newDiskCluster(t *testing.T, n int) *diskCluster {
	t.Helper()
	if os.Geteuid() != 0 {
		why := "mounting needs root"
		if os.Getenv("RIFT_REQUIRE_DOCKER") == "1" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	c := &diskCluster{
		processCluster: &processCluster{t: t, leader: "n2", nodes: make(map[string]*idleNode)},
		disks:          make(map[string]*lossyfs.FS), live: make(map[string]string),
	}
	c.env = func(node string) string { return writingProgram + "=" + c.disks[node].Mountpoint() }
	base := t.TempDir()
	t.Cleanup(func() {
		for _, node := range c.Nodes() {
			if c.nodes[node] != nil {
				_ = c.Kill(t.Context(), node)
			}
			check(t, c.disks[node].Close())
		}
	})
	for i := range n {
		node := fmt.Sprintf("n%d", i+1)
		data := filepath.Join(base, node)
		c.live[node] = data + ".disk"
		check(t, errors.Join(os.Mkdir(c.live[node], 0o755), os.Mkdir(data, 0o755)))
		var err error
		c.disks[node], err = lossyfs.Mount(lossyfs.Options{Backing: c.live[node], Mountpoint: data, Tag: c.Tag()})
		check(t, err)
		c.nodes[node] = nil
		check(t, c.Start(t.Context(), node))
	}
	return c
}

// Disk makes it a cluster with Disks.
func (c *diskCluster) Disk(node string) *lossyfs.FS { return c.disks[node] }

// size is the length of a file as the disk holds it.
func (c *diskCluster) size(node, file string) int64 {
	c.t.Helper()
	st, err := os.Stat(filepath.Join(c.live[node], file))
	check(c.t, err)
	return st.Size()
}

// awaitWrites waits until every node has synced again.
func (c *diskCluster) awaitWrites() {
	c.t.Helper()
	for _, node := range c.Nodes() {
		before := c.disks[node].Counts().Fsyncs
		if !seen(c.t.Context(), func() bool { return c.disks[node].Counts().Fsyncs > before }) {
			c.t.Errorf("%s does not write", node)
		}
	}
}
