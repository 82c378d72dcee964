package lossyfs

import (
	"bytes"
	"errors"
	"math/bits"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// file makes a file with something durable in it.
func file(t testing.TB, f *FS, name string, content []byte) *os.File {
	t.Helper()
	file, err := os.OpenFile(f.at(name), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	if _, err := file.WriteAt(content, 0); err != nil {
		t.Fatal(err)
	}
	if err := file.Sync(); err != nil {
		t.Fatal(err)
	}
	return file
}

// set has the faults be the only ones.
func set(t testing.TB, f *FS, faults Faults) *Armed {
	t.Helper()
	f.faults.clear()
	a, err := f.Arm(faults)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func wantError(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func TestErrorsBite(t *testing.T) {
	f := mount(t, Options{})
	wal, other := file(t, f, "wal", []byte("old")), file(t, f, "other", []byte("old"))
	write := func(file *os.File) error { _, err := file.WriteAt([]byte("new"), 0); return err }
	read := func(file *os.File) error { _, err := file.ReadAt(make([]byte, 3), 0); return err }

	set(t, f, Faults{FsyncError: Chance{Nth: 2}})
	wantError(t, "first fsync", wal.Sync(), nil)
	wantError(t, "second fsync", wal.Sync(), unix.EIO)
	wantError(t, "third fsync", wal.Sync(), nil)

	set(t, f, Faults{NoSpace: Chance{Share: 1}})
	wantError(t, "write to a full disk", write(wal), unix.ENOSPC)
	wantError(t, "mkdir on a full disk", os.Mkdir(f.at("dir"), 0o755), unix.ENOSPC)

	set(t, f, Faults{WriteError: Chance{Share: 1}, Path: "w*"})
	wantError(t, "write that fails", write(wal), unix.EIO)
	wantError(t, "write to another file", write(other), nil)

	set(t, f, Faults{ReadError: Chance{Share: 1}})
	wantError(t, "read that fails", read(wal), unix.EIO)

	set(t, f, Faults{})
	wantError(t, "write to a healthy disk", write(wal), nil)
	got := f.Counts()
	if got.FsyncErrors != 1 || got.NoSpace != 2 || got.WriteErrors != 1 || got.ReadErrors == 0 {
		t.Errorf("counted %+v", got)
	}
}

// TestFaultsOverlap puts faults in besides others, as lanes do that know nothing of each other.
func TestFaultsOverlap(t *testing.T) {
	f := mount(t, Options{})
	wal, other := file(t, f, "wal", []byte("old")), file(t, f, "other", []byte("old"))
	arm := func(faults Faults) *Armed {
		a, err := f.Arm(faults)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	first := arm(Faults{FsyncError: Chance{Nth: 2}})
	wantError(t, "first fsync", wal.Sync(), nil)
	second := arm(Faults{FsyncError: Chance{Nth: 2}, Path: "other"})
	select {
	case <-first.Bitten():
		t.Error("it has bitten before the second fsync")
	default:
	}
	wantError(t, "fsync that is the second since the first fault", other.Sync(), unix.EIO)
	<-first.Bitten()
	first.Disarm()
	first.Disarm()
	wantError(t, "fsync that no fault concerns", wal.Sync(), nil)
	wantError(t, "fsync that is the first to get as far as the second fault", other.Sync(), nil)
	wantError(t, "fsync that is the second", other.Sync(), unix.EIO)
	second.Disarm()
	wantError(t, "fsync on a healthy disk", other.Sync(), nil)
	if got, want := first.Counts(), (Counts{Fsyncs: 2, FsyncErrors: 1}); got != want {
		t.Errorf("the first fault counted %+v, want %+v", got, want)
	}
	if got, want := second.Counts(), (Counts{Fsyncs: 3, FsyncErrors: 1}); got != want {
		t.Errorf("the second fault counted %+v, want %+v", got, want)
	}
	if n := f.Counts().FsyncErrors; n != 2 {
		t.Errorf("%d failed fsyncs counted in all", n)
	}
}

func TestShareIsDrawnFromTheSeed(t *testing.T) {
	f := mount(t, Options{})
	file := file(t, f, "file", []byte("old"))
	draw := func(seed uint64) string {
		set(t, f, Faults{FsyncError: Chance{Share: 0.3}, Seed: seed})
		var drawn strings.Builder
		for range 200 {
			if file.Sync() == nil {
				drawn.WriteByte('.')
			} else {
				drawn.WriteByte('E')
			}
		}
		return drawn.String()
	}
	a, b, c := draw(1), draw(1), draw(2)
	if a != b || a == c {
		t.Errorf("seeds 1, 1 and 2 drew\n%s\n%s\n%s", a, b, c)
	}
	if n := strings.Count(a, "E"); n < 30 || n > 90 {
		t.Errorf("%d of 200 calls failed, at a share of 0.3", n)
	}
}

// TestFailedFsyncLosesForGood is a program that takes an fsync after a failed one for an answer.
func TestFailedFsyncLosesForGood(t *testing.T) {
	f := mount(t, Options{})
	file := file(t, f, "file", bytes.Repeat([]byte("o"), 2*pageSize))
	if _, err := file.WriteAt([]byte("new"), 0); err != nil {
		t.Fatal(err)
	}
	set(t, f, Faults{FsyncError: Chance{Nth: 1}})
	wantError(t, "fsync", file.Sync(), unix.EIO)
	if _, err := file.WriteAt([]byte("new"), pageSize); err != nil {
		t.Fatal(err)
	}
	wantError(t, "fsync again", file.Sync(), nil)
	failPower(t, f)
	got, err := os.ReadFile(f.at("file"))
	if err != nil {
		t.Fatal(err)
	}
	if string(got[:3]) != "ooo" || string(got[pageSize:pageSize+3]) != "new" {
		t.Errorf("first page %q, second %q; want the old and the new", got[:3], got[pageSize:pageSize+3])
	}
}

func TestFlips(t *testing.T) {
	f := mount(t, Options{})
	want := bytes.Repeat([]byte("o"), 2*pageSize)
	file(t, f, "file", want)
	read := func() (differ int) {
		got, err := os.ReadFile(f.at("file"))
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			differ += bits.OnesCount8(got[i] ^ want[i])
		}
		return differ
	}
	set(t, f, Faults{FlipRead: Chance{Nth: 1}})
	if n, flips := read(), f.Counts().Flips; n != 1 || flips != 1 {
		t.Errorf("a read that flips: %d bits differ, %d flips counted", n, flips)
	}
	set(t, f, Faults{FlipRead: Chance{Nth: 1000}}) // which drops what the kernel has read
	if n := read(); n != 0 {
		t.Errorf("the disk itself: %d bits differ", n)
	}
	r := rand.New(rand.NewPCG(1, 2))
	damage, err := f.FlipAtRest("f*", r)
	if err != nil {
		t.Fatal(err)
	}
	if n := read(); n != 1 || damage.Path != "file" {
		t.Errorf("after %+v: %d bits differ", damage, n)
	}
	failPower(t, f)
	if n := read(); n != 1 {
		t.Errorf("after a power failure: %d bits differ", n)
	}
	_, err = f.FlipAtRest("nothing", r)
	wantError(t, "flip in a file that is not there", err, ErrNoFile)
}

// TestDamageReachesWhatIsDurable damages a page that was overwritten without an fsync: the damage is still there when the old page comes back.
func TestDamageReachesWhatIsDurable(t *testing.T) {
	f := mount(t, Options{})
	old := bytes.Repeat([]byte("o"), pageSize)
	file := file(t, f, "file", old)
	if _, err := file.WriteAt(bytes.Repeat([]byte("n"), pageSize), 0); err != nil {
		t.Fatal(err)
	}
	d, err := f.FlipAtRest("file", rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		t.Fatal(err)
	}
	failPower(t, f)
	got, err := os.ReadFile(f.live("file"))
	if err != nil {
		t.Fatal(err)
	}
	old[d.Offset] ^= 1 << d.Bit
	if !bytes.Equal(got, old) {
		t.Errorf("after %+v, %d: %q there", d, d.Offset, got[d.Offset])
	}
}

func TestTruncateTail(t *testing.T) {
	f := mount(t, Options{})
	file := file(t, f, "file", bytes.Repeat([]byte("o"), 3*pageSize))
	if _, err := file.WriteAt([]byte("new"), 0); err != nil {
		t.Fatal(err)
	}
	d, err := f.TruncateTail("file", pageSize, rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		t.Fatal(err)
	}
	if d.Bytes < 1 || d.Bytes > pageSize || d.Offset+d.Bytes != 3*pageSize {
		t.Errorf("%+v", d)
	}
	for _, when := range []string{"at once", "after a power failure"} {
		st, err := os.Stat(f.at("file"))
		if err != nil {
			t.Fatal(err)
		}
		if st.Size() != d.Offset {
			t.Errorf("%s: %d bytes, want %d", when, st.Size(), d.Offset)
		}
		failPower(t, f)
	}
	if _, err := f.TruncateTail("file", 0, nil); err == nil || !strings.Contains(err.Error(), "at least 1") {
		t.Errorf("nothing to cut: %v", err)
	}
}

// TestHeldCallsEnd kills programs in the middle of a stall and of a long fsync, and lets others go on when the fault ends.
func TestHeldCallsEnd(t *testing.T) {
	f := mount(t, Options{})
	for _, c := range []struct {
		name   string
		faults Faults
		bitten func(Counts) int
	}{
		{"stall", Faults{Stall: true}, func(c Counts) int { return c.Stalls }},
		{"delay", Faults{FsyncDelay: time.Hour}, func(c Counts) int { return c.Delays }},
	} {
		t.Run(c.name, func(t *testing.T) {
			killed, goesOn := start(t, "sync", f.at("a")), start(t, "sync", f.at("b"))
			killed.expect(t, "synced")
			goesOn.expect(t, "synced")
			before := c.bitten(f.Counts())
			set(t, f, c.faults)
			eventually(t, "both programs to be held", func() bool { return c.bitten(f.Counts()) >= before+2 })
			if err := goesOn.Process.Signal(unix.SIGURG); err != nil { // which Go programs send themselves
				t.Fatal(err)
			}
			killed.kill(t)
			synced := f.Counts().Fsyncs
			set(t, f, Faults{})
			eventually(t, "the other program to go on", func() bool { return f.Counts().Fsyncs > synced+3 })
			goesOn.kill(t)
		})
	}
	t.Run("power failure", func(t *testing.T) {
		// As in a container, the program has the mount in a namespace of its own.
		c := startWith(t, &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}, "sync", f.at("c"))
		c.expect(t, "synced")
		before := f.Counts().Stalls
		set(t, f, Faults{Stall: true})
		eventually(t, "the program to be held", func() bool { return f.Counts().Stalls > before })
		failPower(t, f)
		set(t, f, Faults{})
		for range c.lines { // it ends by itself: its disk is gone
		}
	})
}

func TestFsyncDelay(t *testing.T) {
	f := mount(t, Options{})
	file := file(t, f, "file", []byte("old"))
	const delay = 50 * time.Millisecond
	slow := set(t, f, Faults{FsyncDelay: delay})
	began := time.Now()
	wantError(t, "slow fsync", file.Sync(), nil)
	if took := time.Since(began); took < delay {
		t.Errorf("fsync took %v, less than the delay of %v", took, delay)
	}
	if c := slow.Counts(); c.Delays != 1 || c.Held < delay {
		t.Errorf("counted %d delays, %v in all", c.Delays, c.Held)
	}
}

func TestFaultsAreValidated(t *testing.T) {
	for want, faults := range map[string]Faults{
		"Path: ":          {Path: "["},
		"NoSpace.Share":   {NoSpace: Chance{Share: 1.5}},
		"FsyncError.Nth":  {FsyncError: Chance{Nth: -1}},
		"FsyncDelay: -1s": {FsyncDelay: -time.Second},
	} {
		if err := faults.Validate(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", faults, err, want)
		}
	}
}

// eventually waits until something is so, which nobody tells.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
