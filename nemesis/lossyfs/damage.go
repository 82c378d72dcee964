package lossyfs

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Damage is what was done to a file at rest: the evidence.
type Damage struct {
	Path   string // below the mount point
	Offset int64  // of the byte whose bit was flipped, or from which on the file was cut off
	Bit    int    // that was flipped, 0 to 7
	Byte   byte   // what the byte whose bit was flipped has become
	Bytes  int64  // how many were cut off
}

// ErrNoFile is of damage for which no file was found.
var ErrNoFile = errors.New("no file that holds anything matches")

// FlipAtRest flips one bit, durably, of a file that r chooses among those that match a pattern (see Faults.Path) and are not empty. On a mounted file
// system the kernel's memory of the file is dropped, so that programs see it.
func (f *FS) FlipAtRest(pattern string, r *rand.Rand) (Damage, error) {
	d, err := f.damage(pattern, r, func(d *Damage, file *os.File, c *content, size int64) error {
		d.Offset, d.Bit = r.Int64N(size), r.IntN(8)
		var b [1]byte
		if _, err := file.ReadAt(b[:], d.Offset); err != nil {
			return err
		}
		b[0] ^= 1 << d.Bit
		d.Byte = b[0]
		c.damage(d.Offset/pageSize, func(before *page) { before[d.Offset%pageSize] ^= 1 << d.Bit })
		_, err := file.WriteAt(b[:], d.Offset)
		return err
	})
	if err != nil {
		return Damage{}, fmt.Errorf("flip a bit at rest of %q in %s: %w", pattern, f.options.Mountpoint, err)
	}
	return d, nil
}

// TruncateTail cuts 1 to most bytes, durably, off the end of a file that r chooses as FlipAtRest does. most is at least 1.
func (f *FS) TruncateTail(pattern string, most int64, r *rand.Rand) (Damage, error) {
	if most < 1 {
		return Damage{}, fmt.Errorf("truncate the tail of %q: most: %d given, at least 1 allowed", pattern, most)
	}
	d, err := f.damage(pattern, r, func(d *Damage, file *os.File, c *content, size int64) error {
		d.Bytes = 1 + r.Int64N(min(most, size))
		d.Offset = size - d.Bytes
		c.cut(d.Offset)
		return file.Truncate(d.Offset)
	})
	if err != nil {
		return Damage{}, fmt.Errorf("truncate the tail of %q in %s: %w", pattern, f.options.Mountpoint, err)
	}
	return d, nil
}

// damage chooses a file and does something to it, its live length being size, while nobody writes to it.
func (f *FS) damage(pattern string, r *rand.Rand, do func(d *Damage, file *os.File, c *content, size int64) error) (Damage, error) {
	f.life.Lock()
	defer f.life.Unlock()
	paths, err := f.files(pattern)
	if err != nil {
		return Damage{}, err
	}
	if len(paths) == 0 {
		return Damage{}, ErrNoFile
	}
	d := Damage{Path: paths[r.IntN(len(paths))]}
	file, err := os.OpenFile(filepath.Join(f.options.Backing, d.Path), os.O_RDWR|unix.O_NOFOLLOW, 0)
	if err != nil {
		return d, err
	}
	defer file.Close()
	n := &node{}
	if f.volume != nil {
		if n, err = f.volume.nodeOf(file); err != nil {
			return d, err
		}
		defer f.volume.server.InodeNotify(n.id, 0, 0) // fails only if the kernel knows nothing of it
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	st, err := file.Stat()
	if err != nil {
		return d, err
	}
	if st.Size() == 0 {
		return d, ErrNoFile
	}
	return d, do(&d, file, &n.content, st.Size())
}

// nodeOf is the node of a file of the backing folder.
func (v *volume) nodeOf(file *os.File) (*node, error) {
	fd, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", file.Fd()), unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.adopt(fd)
}

// files lists the files that match a pattern and are not empty, sorted by path.
func (f *FS) files(pattern string) ([]string, error) {
	wanted := Faults{Path: pattern}
	if err := wanted.Validate(); err != nil {
		return nil, err
	}
	var paths []string
	err := filepath.WalkDir(f.options.Backing, func(p string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(f.options.Backing, p)
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err == nil && info.Size() > 0 && wanted.concern(func() string { return rel }) {
			paths = append(paths, rel)
		}
		return err
	})
	return paths, err
}
