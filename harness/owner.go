package harness

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"

	"golang.org/x/sys/unix"
)

// TagPrefix begins the name of everything that a run makes on the machine: containers, networks, bridges,
// namespaces, nft tables, data folders. The rest of the tag is the run's own.
const TagPrefix = "rift"

// Owner is a run's claim on the machine. Its tag (TagPrefix and six hexadecimal digits) is in the name of
// everything that the run makes, and as long as the process lives it holds a lock on the tag's file. So a sweep can tell, without trusting
// process numbers, whose owner is dead.
type Owner struct {
	Tag  string
	path string
	file *os.File
}

// Claim makes a new tag and locks it.
func Claim() (*Owner, error) {
	dir := ownersDir()
	if err := makeOwn(dir); err != nil {
		return nil, fmt.Errorf("claim a tag for the run: %w", err)
	}
	const most = 100 // tries, of which each fails only by a rare chance
	var err error
	for range most {
		var o *Owner
		if o, err = claim(dir); err == nil {
			return o, nil
		}
	}
	return nil, fmt.Errorf("claim a tag for the run: %w", err)
}

// unnamed ends the name of a tag's file until it is locked: a sweep that saw it under its own name before would take its run for dead.
const unnamed = ".new"

// claim tries one tag. It fails if a run has the tag, also a dead one, or if a sweep comes between.
func claim(dir string) (*Owner, error) {
	var random [3]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, err
	}
	tag := TagPrefix + hex.EncodeToString(random[:])
	path := filepath.Join(dir, tag)
	if _, err := os.Lstat(path); err == nil {
		return nil, fmt.Errorf("tag %s is taken", tag)
	}
	f, err := os.OpenFile(path+unnamed, os.O_CREATE|os.O_RDWR|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock tag %s: %w", tag, err), f.Close())
	}
	return &Owner{Tag: tag, path: path, file: f}, nil
}

// forgetUnnamed removes the files of claims whose program died before they had a name. One that is being made at this moment is tried anew.
func forgetUnnamed() error {
	paths, err := filepath.Glob(filepath.Join(ownersDir(), TagPrefix+"*"+unnamed))
	if err != nil {
		return err
	}
	var errs []error
	for _, path := range paths {
		errs = append(errs, forget(path))
	}
	return errors.Join(errs...)
}

// makeOwn makes a folder, and refuses one that is another user's: whoever can change what is in it can have things removed here.
func makeOwn(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return fmt.Errorf("look at %s: %w", dir, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR || int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s is not a folder of this user's: remove it, or set TMPDIR to a folder of your own", dir)
	}
	return nil
}

// Release gives the tag back; nothing with it must be left on the machine.
func (o *Owner) Release() error {
	err := os.Remove(o.path)
	return errors.Join(err, o.file.Close())
}

// DeadTags lists the tags whose runs have died without releasing them, sorted.
func DeadTags() ([]string, error) {
	entries, err := os.ReadDir(ownersDir())
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for earlier runs: %w", err)
	}
	var dead []string
	for _, e := range entries {
		if tagForm.FindString(e.Name()) == e.Name() && !Alive(e.Name()) {
			dead = append(dead, e.Name())
		}
	}
	sort.Strings(dead)
	return dead, nil
}

// Alive says whether the run with this tag is still going on. A tag whose file is gone is dead.
func Alive(tag string) bool {
	f, err := os.Open(filepath.Join(ownersDir(), tag))
	if err != nil {
		return false
	}
	defer f.Close()
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil
}

// Forget removes a dead run's tag, when nothing of it is left.
func Forget(tag string) error { return forget(filepath.Join(ownersDir(), tag)) }

// forget removes the file of a claim, unless somebody holds it: its owner, or another sweep that looks at it.
func forget(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		err = os.Remove(path)
	}
	if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// keeper says where claims are kept: on which machine, in which folder. A tag can be told dead only by those who share it. Another
// user's claims, or those of a container that shares the Docker engine, are elsewhere.
func keeper() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + ":" + ownersDir()
}
