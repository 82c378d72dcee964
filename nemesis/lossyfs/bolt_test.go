package lossyfs

import (
	"os"
	"strconv"
	"testing"
	"time"
)

// TestBoltWithoutSyncIsCaught is the counter-check: the same program, told not to sync, loses what it acknowledged.
func TestBoltWithoutSyncIsCaught(t *testing.T) {
	f := mount(t, Options{})
	c := start(t, "bolt", f.at("db"), "without sync")
	c.expect(t, "acked ")
	c.kill(t)
	failPower(t, f)
	c = start(t, "bolt", f.at("db"))
	for line := range c.lines {
		if line == "ready" {
			return
		}
		t.Errorf("the database %s", line)
	}
	t.Error("bbolt did not start")
}

func syncFolder(t testing.TB, path string) {
	t.Helper()
	dir, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkBolt is one bbolt transaction, on the file system and on the disk below it.
func BenchmarkBolt(b *testing.B) {
	run := func(b *testing.B, dir string) {
		c := start(b, "commit", dir, strconv.Itoa(b.N))
		took, err := strconv.ParseInt(c.expect(b, "took "), 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(b.N)/time.Duration(took).Seconds(), "txn/s")
	}
	b.Run("disk", func(b *testing.B) { run(b, b.TempDir()) })
	b.Run("lossyfs", func(b *testing.B) { run(b, mount(b, Options{}).options.Mountpoint) })
}

// BenchmarkPowerFail is a power failure and the remount after it, in a tree of 100 files in which 1 MB was not synced and a name has changed.
func BenchmarkPowerFail(b *testing.B) {
	f := mount(b, Options{})
	for i := range 100 {
		if err := os.WriteFile(f.live("file"+strconv.Itoa(i)), make([]byte, 64<<10), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	data := make([]byte, 1<<20)
	for b.Loop() {
		b.StopTimer()
		if err := os.WriteFile(f.at("file0"), data, 0o644); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(f.at("new"), data, 0o644); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if failPower(b, f).Bytes() == 0 {
			b.Fatal("nothing was lost")
		}
	}
}
