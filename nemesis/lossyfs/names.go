package lossyfs

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// past is what a folder durably holds under a name that has changed since.
type past struct {
	was   *node // nil: nothing
	since time.Time
}

// note keeps what a folder holds under a name, nil for nothing, before the name changes. The volume is locked.
func (v *volume) note(dir *node, name string, was *node) {
	if _, known := dir.names[name]; known {
		return // a change that is not durable changes again
	}
	if dir.names == nil {
		dir.names = make(map[string]past)
	}
	dir.names[name] = past{was: was, since: time.Now()}
	v.changed[dir] = struct{}{}
	if was != nil {
		was.refs++
	}
}

// keep gives a file that is about to lose a name a link aside, if it may have to come back. A folder needs none: its descriptor
// tells its mode and owner, and its names were noted as they were removed. The volume is locked.
func (v *volume) keep(n *node) error {
	if n.mode == unix.S_IFDIR || n.refs == 0 || n.aside {
		return nil
	}
	if err := link(n, int(v.aside.Fd()), n.asideName()); err != nil {
		return err
	}
	n.aside = true
	return nil
}

// tie lets the names of two folders become durable only together, since a folder moved between them. Otherwise it could durably
// lie in both. The volume is locked.
func tie(a, b *node) {
	for _, n := range []*node{a, b} {
		if n.tied == nil {
			n.tied = make(map[*node]struct{})
		}
	}
	a.tied[b], b.tied[a] = struct{}{}, struct{}{}
}

// commitNames makes all names as they are durable. The volume is locked.
func (v *volume) commitNames() {
	for len(v.changed) > 0 {
		for dir := range v.changed {
			v.commitFolder(dir)
		}
	}
}

// commitFolder makes a folder's names durable, and those of the folders tied to it, directly or not. The volume is locked.
func (v *volume) commitFolder(dir *node) {
	group := []*node{dir}
	seen := map[*node]bool{dir: true}
	for i := 0; i < len(group); i++ {
		for other := range group[i].tied {
			if !seen[other] {
				seen[other] = true
				group = append(group, other)
			}
		}
	}
	for _, n := range group {
		v.dropNames(n)
	}
}

// dropNames forgets what a folder durably held. The volume is locked.
func (v *volume) dropNames(dir *node) {
	names := dir.names
	for other := range dir.tied {
		delete(other.tied, dir)
	}
	dir.names, dir.tied = nil, nil
	delete(v.changed, dir)
	for _, p := range names {
		if p.was != nil {
			p.was.refs--
			v.settle(p.was)
		}
	}
	v.settle(dir)
}

// oldestName is when the first of the changes that are not durable was made; far in the future if there is none.
func (v *volume) oldestName() time.Time {
	oldest := time.Now().Add(time.Hour)
	for dir := range v.changed {
		for _, p := range dir.names {
			if p.since.Before(oldest) {
				oldest = p.since
			}
		}
	}
	return oldest
}

// lostNames lists the paths whose live entry is not the durable one, sorted, and where the nodes lie that would come back.
func (v *volume) lostNames() (lost []string, where map[*node]string) {
	where = make(map[*node]string)
	for dir := range v.changed {
		for name, p := range dir.names {
			var st unix.Stat_t
			err := unix.Fstatat(dir.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW)
			if live := err == nil; live == (p.was != nil) && (!live || st.Ino == p.was.ino) {
				continue
			}
			where[p.was] = name
			if path := v.path(dir); path != "" {
				where[p.was] = filepath.Join(path, name)
			}
			lost = append(lost, where[p.was])
		}
	}
	slices.Sort(lost)
	return lost, where
}

// rebuild puts the durable tree in the place of the live one, in one step: whoever dies in the middle leaves one of the two.
func (v *volume) rebuild() error {
	tree := filepath.Join(v.aside.Name(), "tree")
	if err := v.copyFolder(v.root, unix.AT_FDCWD, tree); err != nil {
		return fmt.Errorf("rebuild the durable tree: %w", err)
	}
	if err := unix.Renameat2(unix.AT_FDCWD, tree, unix.AT_FDCWD, v.options.Backing, unix.RENAME_EXCHANGE); err != nil {
		return fmt.Errorf("put the durable tree in its place: %w", err)
	}
	return nil
}

// copyFolder makes, under a name in another folder, the durable form of a folder, from hard links.
func (v *volume) copyFolder(dir *node, into int, name string) error {
	if err := unix.Mkdirat(into, name, 0o700); err != nil {
		return err
	}
	fd, err := unix.Openat(into, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	st := dir.stat()
	times := []unix.Timespec{st.Atim, st.Mtim}
	children, err := v.durableNames(dir)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(children)) {
		switch n := children[name]; {
		case n == nil:
			err = unix.Linkat(dir.fd, name, fd, name, 0)
		case n.mode == unix.S_IFDIR:
			err = v.copyFolder(n, fd, name)
			v.settle(n)
		default:
			err = link(n, fd, name)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return errors.Join(
		unix.Fchown(fd, int(st.Uid), int(st.Gid)),
		unix.Fchmod(fd, st.Mode&0o7777),
		unix.UtimesNanoAt(into, name, times, unix.AT_SYMLINK_NOFOLLOW),
	)
}

// durableNames is what a folder durably holds. A file whose name did not change is nil: it is found by that name.
func (v *volume) durableNames(dir *node) (map[string]*node, error) {
	children := make(map[string]*node)
	for name, p := range dir.names {
		if p.was != nil {
			children[name] = p.was
		}
	}
	if dir.removed {
		return children, nil
	}
	entries, err := list(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if _, changed := dir.names[e.Name]; changed || e.Name == "." || e.Name == ".." {
			continue
		}
		children[e.Name] = nil
		if e.Mode != unix.S_IFDIR && e.Mode != 0 { // 0: a backing file system that does not tell
			continue
		}
		if children[e.Name], err = v.child(dir, e.Name); err != nil {
			return nil, err
		}
	}
	return children, nil
}

// list reads a folder's live entries, "." and ".." included.
func list(dir *node) ([]fuse.DirEntry, error) {
	f, err := os.Open(dir.proc())
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []fuse.DirEntry
	buf := make([]byte, 1<<15)
	for {
		n, err := unix.Getdents(int(f.Fd()), buf)
		if n == 0 || err != nil {
			return all, err
		}
		for rest := buf[:n]; len(rest) > 0; {
			var e fuse.DirEntry
			rest = rest[e.Parse(rest):]
			all = append(all, e)
		}
	}
}

// link gives a node another name.
func link(n *node, dir int, name string) error {
	return unix.Linkat(unix.AT_FDCWD, n.proc(), dir, name, unix.AT_SYMLINK_FOLLOW)
}
