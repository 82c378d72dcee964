package lossyfs

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

// TestStoresKeepWhatTheyAcknowledged kills a store and fails its disk's power again and again: each time it opens, is
// consistent, and has every key that it acknowledged. The two could hardly differ more: one file that is mapped and overwritten in place, and
// many files that are appended to, renamed and removed.
func TestStoresKeepWhatTheyAcknowledged(t *testing.T) {
	for _, store := range []string{"bolt", "pebble"} {
		for _, model := range []Model{Ext4, Strict} {
			t.Run(store+" "+string(model), func(t *testing.T) {
				t.Parallel() // each has programs and a disk of its own
				checkKeepsKeys(t, mount(t, Options{Model: model}), store)
			})
		}
	}
}

func checkKeepsKeys(t *testing.T, f *FS, store string) {
	t.Helper()
	r := rand.New(rand.NewPCG(*seed, 0))
	acked, announced, losses := 0, 0, 0
	for round := range *rounds / 2 {
		c := start(t, store, f.at("db"))
		has := readKeys(t, c, round)
		if has < acked || has > announced {
			t.Fatalf("round %d: keys up to %d, of which %d were acknowledged and %d put", round, has, acked, announced)
		}
		if round == 0 && store == "bolt" {
			syncFolder(t, f.options.Mountpoint) // which bbolt leaves to its user
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
			t.Fatalf("round %d: %s has put nothing", round, store)
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
	t.Logf("%d keys acknowledged over %d power failures, which took something of %d files", acked, *rounds/2, losses)
	if losses == 0 {
		t.Error("no power failure took anything")
	}
}

// readKeys reads what a store has after its start: the keys from 1 to the one that is returned.
func readKeys(t *testing.T, c *child, round int) (has int) {
	t.Helper()
	for line := range c.lines {
		if line == "ready" {
			return has
		}
		key, err := strconv.Atoi(strings.TrimPrefix(line, "has "))
		if err != nil || key != has+1 {
			t.Fatalf("round %d: %q after key %d", round, line, has)
		}
		has = key
	}
	t.Fatalf("round %d: the store did not open", round)
	return 0
}
