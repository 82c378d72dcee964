package sim

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"
)

// TestPowerFailure compares the disk with one that keeps whole copies: the file as it was at each fsync, and as it was written since.
func TestPowerFailure(t *testing.T) {
	for _, how := range []loss{"all", "random-pages", "torn-sectors"} {
		for seed := range uint64(200) {
			r := rand.New(rand.NewPCG(seed, 1))
			d := newDisk(time.Millisecond)
			f := d.newFile(false)
			d.set(d.root, "log", f)
			d.sync(f)
			var durable, live []byte
			for range 40 {
				switch r.IntN(4) {
				case 0:
					d.sync(f)
					durable = bytes.Clone(live)
				case 1:
					size := r.IntN(3 * pageSize)
					d.resize(f, size)
					live = append(live, make([]byte, max(0, size-len(live)))...)[:size:size]
				default:
					at, b := r.IntN(3*pageSize), make([]byte, r.IntN(pageSize))
					for i := range b {
						b[i] = byte(1 + r.IntN(255))
					}
					d.write(f, b, at)
					live = append(live, make([]byte, max(0, at+len(b)-len(live)))...)
					copy(live[at:], b)
				}
				if !bytes.Equal(f.data, live) {
					t.Fatalf("%s, seed %d: the file does not hold what was written", how, seed)
				}
			}
			d.powerFail(how, r)
			check(t, how, f.data, durable, live)
		}
	}
}

// check holds what is left after a power failure against what was durable, and what was there before.
func check(t *testing.T, how loss, left, durable, live []byte) {
	t.Helper()
	if how == "all" {
		if !bytes.Equal(left, durable) {
			t.Fatalf("all: %d bytes are left, and they are not the %d that were durable", len(left), len(durable))
		}
		return
	}
	if len(left) < len(durable) {
		t.Fatalf("%s: %d bytes are left of %d that were durable", how, len(left), len(durable))
	}
	at := func(b []byte, i int) byte {
		if i < len(b) {
			return b[i]
		}
		return 0
	}
	for i, b := range left {
		if b != at(durable, i) && b != at(live, i) {
			t.Fatalf("%s: byte %d is %d, neither what was durable (%d) nor what was written (%d)", how, i, b, at(durable, i), at(live, i))
		}
	}
}

func TestNamesComeBackTogether(t *testing.T) {
	d := newDisk(time.Millisecond)
	a, b := d.newFile(false), d.newFile(false)
	d.set(d.root, "a", a)
	d.sync(a)
	d.set(d.root, "b", b)
	d.set(d.root, "a", nil)
	d.powerFail("all", rand.New(rand.NewPCG(1, 1)))
	if names := d.root.list(); len(names) != 1 || names[0] != "a" {
		t.Errorf("%v is there, a wanted", names)
	}
	d.set(d.root, "b", b)
	d.sync(a)
	d.powerFail("all", rand.New(rand.NewPCG(1, 1)))
	if names := d.root.list(); len(names) != 2 {
		t.Errorf("%v is there, a and b wanted: an fsync of any file makes names durable", names)
	}
}

// A failed fsync gives its pages up: a later one that succeeds does not bring them to the disk, unless they are written again.
func TestAFailedSyncLosesItsPages(t *testing.T) {
	for _, again := range []bool{false, true} {
		d := newDisk(time.Millisecond)
		f := d.newFile(false)
		d.set(d.root, "log", f)
		d.write(f, []byte("old"), 0)
		d.sync(f)
		d.write(f, []byte("new"), 0)
		f.giveUp()
		if again {
			d.write(f, []byte("new"), 0)
		}
		d.sync(f)
		d.powerFail("random-pages", rand.New(rand.NewPCG(1, 1)))
		want := map[bool]string{false: "old", true: "new"}[again]
		if string(f.data) != want {
			t.Errorf("written again %t: the disk holds %q, %q wanted", again, f.data, want)
		}
	}
}
