// Package lossyfs is a file system that forgets, when the power fails, what was not synced. Mounted under a node's data folder, it shows
// whether a program that says "stored" has stored, without touching the program.
//
// The one idea behind it is to write through and remember how to undo. The backing folder always holds the live tree, plain files
// that anybody can read; memory holds only what has to be put back: for each file the pages that were overwritten since its last fsync
// and its durable length, for each folder the names that changed. A file whose last name is removed keeps a hard link aside
// until its removal is durable. PowerFail aborts the mount, puts back the pages, and rebuilds the folders from hard links; if
// the process that serves the mount dies instead, the live tree simply stays.
//
// What is durable is a model, chosen by Options.Model, so no real flush is needed: an fsync costs a round trip through FUSE.
//
//   - Ext4: fsync of a file makes its content durable, and, as it commits the journal, every change of a name made before it.
//   - Strict: names are durable only once their folder was synced, which is all that POSIX promises. It shows what a program takes for granted.
//
// Modes, owners and times are durable at once. sync(2) and syncfs(2) make nothing durable, since the kernel does not tell a FUSE file
// system of them; O_SYNC and O_DSYNC do. A failed fsync leaves its pages clean but unwritten, as Linux does: a later fsync succeeds, and they
// are lost all the same unless they were written again.
//
// Order matters: kill the programs, then fail the power, mount again, and only then start them. A process must not touch its own
// mounts through mmap, nor start programs whose binary or working folder lies on one: the thread that serves the page may be the
// one that waits for it.
//
// It needs /dev/fuse and the right to mount, and was measured on Linux 6.18.
package lossyfs

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Model says when a change of a name is durable.
type Model string

// The models; see the package's documentation.
const (
	Ext4   Model = "ext4"
	Strict Model = "strict"
)

// Options say what is mounted where.
type Options struct {
	// Backing is the folder that holds the live tree. It is no mount point, and hard links work in it. A hidden folder beside it keeps removed
	// files while the file system is in use.
	Backing string
	// Mountpoint is an existing folder, neither inside Backing nor around it.
	Mountpoint string
	// Tag names the mount in the table of mounts, for Sweep. "" means "lossyfs".
	Tag string
	// Model is Ext4 or Strict; "" means Ext4.
	Model Model
	// DurableAfter is after how long a change becomes durable without an fsync, as a kernel writes back on its own; 0 means never.
	// It is looked at four times in that span.
	DurableAfter time.Duration
	// Log takes what goes wrong while serving; nil discards it.
	Log *slog.Logger
}

// FS is a lossy file system, mounted from Mount on until Close, except between PowerFail and Remount. Its methods may be
// called from several goroutines.
type FS struct {
	options Options
	faults  injector

	life   sync.Mutex // guards what follows: one change of it at a time
	aside  *os.File   // the folder of removed files, locked against a second FS on the same backing folder; nil once closed
	volume *volume    // nil while not mounted
}

// Mount mounts a lossy file system. What Backing holds already is durable.
func Mount(o Options) (*FS, error) {
	o, err := o.resolved()
	if err != nil {
		return nil, fmt.Errorf("mount a lossy file system: %w", err)
	}
	f := &FS{options: o}
	if f.aside, err = lockAside(o.Backing); err != nil {
		return nil, fmt.Errorf("mount a lossy file system: %w", err)
	}
	if err := f.Remount(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Remount mounts the tree again after PowerFail. The faults that are in stay in.
func (f *FS) Remount() error {
	f.life.Lock()
	defer f.life.Unlock()
	switch {
	case f.aside == nil:
		return fmt.Errorf("remount %s: it is closed", f.options.Mountpoint)
	case f.volume != nil:
		return fmt.Errorf("remount %s: it is mounted", f.options.Mountpoint)
	}
	v, err := newVolume(&f.options, &f.faults, f.aside)
	if err != nil {
		return fmt.Errorf("mount %s: %w", f.options.Mountpoint, err)
	}
	if err := v.mount(); err != nil {
		return errors.Join(fmt.Errorf("mount %s: %w", f.options.Mountpoint, err), v.close())
	}
	f.volume = v
	return nil
}

// Mountpoint is where it is mounted, as an absolute path.
func (f *FS) Mountpoint() string { return f.options.Mountpoint }

// Mounted says whether it is mounted: not between PowerFail and Remount, nor after Close.
func (f *FS) Mounted() bool {
	f.life.Lock()
	defer f.life.Unlock()
	return f.volume != nil
}

// Close ends all faults, writes back what programs hold in mapped pages, and unmounts, also under programs that still run. The live
// tree stays in the backing folder, with nothing beside it. Closing twice does nothing.
func (f *FS) Close() error {
	f.faults.clear()
	f.life.Lock()
	defer f.life.Unlock()
	if f.aside == nil {
		return nil
	}
	var err error
	if f.volume != nil {
		err = errors.Join(syncfs(f.options.Mountpoint), f.volume.abort(), f.volume.close())
		f.volume = nil
	}
	err = errors.Join(err, os.RemoveAll(f.aside.Name()), f.aside.Close())
	f.aside = nil
	if err != nil {
		return fmt.Errorf("close %s: %w", f.options.Mountpoint, err)
	}
	return nil
}

// resolved is the options with defaults and plain absolute paths, or what is wrong with them.
func (o Options) resolved() (Options, error) {
	o.Tag = cmp.Or(o.Tag, "lossyfs")
	o.Model = cmp.Or(o.Model, Ext4)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if o.Model != Ext4 && o.Model != Strict {
		return o, notAllowed("Model", o.Model, fmt.Sprintf("%s or %s", Ext4, Strict))
	}
	if o.DurableAfter < 0 {
		return o, notAllowed("DurableAfter", o.DurableAfter, "at least 0")
	}
	var err error
	if o.Backing, err = folder("Backing", o.Backing); err != nil {
		return o, err
	}
	if o.Mountpoint, err = folder("Mountpoint", o.Mountpoint); err != nil {
		return o, err
	}
	if within(o.Backing, o.Mountpoint) || within(o.Mountpoint, o.Backing) {
		return o, notAllowed("Mountpoint", o.Mountpoint, "a folder apart from Backing, "+o.Backing+",")
	}
	var in, around unix.Stat_t
	if err := errors.Join(unix.Stat(o.Backing, &in), unix.Stat(filepath.Dir(o.Backing), &around)); err != nil {
		return o, fmt.Errorf("look at Backing: %w", err)
	}
	if in.Dev != around.Dev {
		return o, notAllowed("Backing", o.Backing, "a folder that is no mount point")
	}
	return o, nil
}

// notAllowed is the error of a field that is out of its range.
func notAllowed(field string, given any, allowed string) error {
	return fmt.Errorf("%s: %v given, %s allowed", field, given, allowed)
}

// folder is the absolute path, without symbolic links, of an existing folder.
func folder(field, path string) (string, error) {
	// The kernel may know a dead mount's folder by heart, but not the room in it.
	if err := unix.Statfs(path, new(unix.Statfs_t)); errors.Is(err, unix.ENOTCONN) {
		return "", fmt.Errorf("%s: a dead FUSE mount lies on %s; Sweep detaches it: %w", field, path, err)
	}
	st, err := os.Stat(path)
	switch {
	case err != nil:
		return "", fmt.Errorf("%s: %w", field, err)
	case !st.IsDir():
		return "", notAllowed(field, path, "a folder")
	}
	if path, err = filepath.Abs(path); err != nil {
		return "", fmt.Errorf("%s: %w", field, err)
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", fmt.Errorf("%s: %w", field, err)
	}
	return path, nil
}

// within says whether path is dir or lies in it. Both are absolute.
func within(dir, path string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// lockAside opens the folder beside backing in which removed files are kept, as long as their removal is not durable. What a dead
// predecessor left in it goes when the next volume begins.
func lockAside(backing string) (*os.File, error) {
	path := filepath.Join(filepath.Dir(backing), "."+filepath.Base(backing)+".lossyfs")
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of removed files: %w", err)
	}
	dir, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the folder of removed files: %w", err)
	}
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another lossy file system has %s as its Backing: %w", backing, err), dir.Close())
	}
	return dir, nil
}

// emptyAside removes all that the folder of removed files holds.
func emptyAside(dir *os.File) error {
	entries, err := os.ReadDir(dir.Name())
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir.Name(), e.Name())))
	}
	return err
}
