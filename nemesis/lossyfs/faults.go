package lossyfs

import (
	"fmt"
	"path"
	"time"

	"golang.org/x/sys/unix"
)

// Faults is what a disk does wrong while it is in use. The zero value is a healthy disk.
type Faults struct {
	// Path limits the faults to the files whose path below the mount point, or the last part of it, matches a pattern as path.Match takes it.
	// A change of a name belongs to the folder that holds it; "." is the topmost. "" is everything.
	Path string
	// Seed is what the shares are drawn from, and the bits that flip.
	Seed uint64

	FsyncError Chance // fsync fails with EIO, and gives its pages up
	ReadError  Chance // a read fails with EIO
	WriteError Chance // a write fails with EIO
	NoSpace    Chance // a write, or making a file or folder, fails with ENOSPC
	FlipRead   Chance // one bit of what a read returns is flipped; on the disk it is right

	FsyncDelay time.Duration // each fsync takes this much longer
	Stall      bool          // nothing that needs the disk returns, until the fault is taken out or the caller is killed
}

// Chance says which calls are hit: of all calls since the faults were put in that no earlier fault hit, the Nth (1 is the first), and besides it each with the
// probability Share (0 to 1). The zero value hits none. The kernel repeats a failed read once if it was reading ahead, so that a program may
// not see the Nth.
type Chance struct {
	Nth   int
	Share float64
}

// Counts is what has happened: calls that reached the disk, and faults that bit. Reads that the kernel answers from memory
// do not reach it.
type Counts struct {
	Reads, Writes, Creates, Fsyncs                               int
	FsyncErrors, ReadErrors, WriteErrors, NoSpace, Flips, Delays int
	Stalls                                                       int           // calls that had to wait for the end of a stall
	Held                                                         time.Duration // how long all the calls together were kept that are kept no longer
}

// Arm puts faults in, besides those that are in already; where several would hit a call, the earliest does. They stay over power failures, until
// they are taken out. If reads are to fail or flip, the kernel's memory of the files is dropped, as if it had been short of memory, so that
// reads reach the disk.
func (f *FS) Arm(faults Faults) (*Armed, error) {
	if err := faults.Validate(); err != nil {
		return nil, fmt.Errorf("put faults in: %w", err)
	}
	a := f.faults.arm(faults)
	if faults.ReadError == (Chance{}) && faults.FlipRead == (Chance{}) || faults.Stall {
		return a, nil
	}
	f.life.Lock()
	defer f.life.Unlock()
	if f.volume != nil {
		f.volume.dropCaches()
	}
	return a, nil
}

// Counts returns what has happened since Mount.
func (f *FS) Counts() Counts {
	f.faults.mu.Lock()
	defer f.faults.mu.Unlock()
	return f.faults.counts
}

// Validate says which field is out of its range, and what is allowed.
func (f Faults) Validate() error {
	if _, err := path.Match(f.Path, ""); err != nil {
		return notAllowed("Path", f.Path, "a pattern as path.Match takes it")
	}
	for _, c := range []struct {
		field string
		Chance
	}{
		{"FsyncError", f.FsyncError},
		{"ReadError", f.ReadError},
		{"WriteError", f.WriteError},
		{"NoSpace", f.NoSpace},
		{"FlipRead", f.FlipRead},
	} {
		if c.Nth < 0 {
			return notAllowed(c.field+".Nth", c.Nth, "at least 0")
		}
		if !(c.Share >= 0 && c.Share <= 1) {
			return notAllowed(c.field+".Share", c.Share, "0 to 1")
		}
	}
	if f.FsyncDelay < 0 {
		return notAllowed("FsyncDelay", f.FsyncDelay, "at least 0")
	}
	return nil
}

// dropCaches has the kernel forget the content of all files.
func (v *volume) dropCaches() {
	v.mu.Lock()
	var ids []uint64
	for id, n := range v.byID {
		if n.mode == unix.S_IFREG {
			ids = append(ids, id)
		}
	}
	v.mu.Unlock()
	for _, id := range ids {
		v.server.InodeNotify(id, 0, 0) // fails only if the kernel knows nothing of it
	}
}
