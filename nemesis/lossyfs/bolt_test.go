package lossyfs

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestBoltKeepsWhatItAcknowledged kills bbolt and fails its disk's power again and again: each time it opens, is
// consistent, and has every key that it acknowledged.
func TestBoltKeepsWhatItAcknowledged(t *testing.T) {
	for _, kind := range []Model{Ext4, Strict} {
		t.Run(string(kind), func(t *testing.T) {
			f := mount(t, Options{Model: kind})
			r := rand.New(rand.NewPCG(*seed, 0))
			acked, announced, losses := 0, 0, 0
			for round := range *rounds / 2 {
				c := start(t, "bolt", f.at("db"))
				has := 0
				for line := range c.lines {
					if line == "ready" {
						break
					}
					key, err := strconv.Atoi(strings.TrimPrefix(line, "has "))
					if err != nil || key != has+1 {
						t.Fatalf("round %d: %q after key %d", round, line, has)
					}
					has = key
				}
				if has < acked || has > announced {
					t.Fatalf("round %d: keys up to %d, of which %d were acknowledged and %d put", round, has, acked, announced)
				}
				if round == 0 && kind == Strict {
					syncFolder(t, f.options.Mountpoint) // bbolt leaves that to its user
				}
				note := func(line string) {
					if key, ok := strings.CutPrefix(line, "acked "); ok {
						acked, _ = strconv.Atoi(key)
					} else if key, ok := strings.CutPrefix(line, "puts "); ok {
						announced, _ = strconv.Atoi(key)
					}
				}
				acked, announced = has, has
				for range 2 + r.IntN(60) {
					note(<-c.lines)
				}
				for _, line := range c.kill(t) {
					note(line)
				}
				if acked == has && announced == has {
					t.Fatalf("round %d: bbolt has put nothing", round)
				}
				lost, err := f.PowerFail([]Loss{All, RandomPages, TornSectors}[round%3], r)
				if err != nil {
					t.Fatal(err)
				}
				losses += len(lost.Files)
				if err := f.Remount(); err != nil {
					t.Fatal(err)
				}
			}
			t.Logf("%d keys acknowledged over %d power failures, %d of which took something", acked, *rounds/2, losses)
			if losses == 0 {
				t.Error("no power failure took anything")
			}
		})
	}
}

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
