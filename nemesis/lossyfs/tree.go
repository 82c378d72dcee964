package lossyfs

import (
	"errors"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// forever is how long the kernel may believe what it was told: only it changes the tree.
const forever = time.Hour

// Lookup finds a name.
func (v *volume) Lookup(_ <-chan struct{}, h *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.enter(v.byID[h.NodeId], name, out)
}

// Mknod makes a file without opening it, a socket or a pipe.
func (v *volume) Mknod(cancel <-chan struct{}, in *fuse.MknodIn, name string, out *fuse.EntryOut) fuse.Status {
	return v.add(cancel, &in.InHeader, name, out, func(dir int) error {
		return unix.Mknodat(dir, name, in.Mode, int(in.Rdev))
	})
}

// Mkdir makes a folder.
func (v *volume) Mkdir(cancel <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	return v.add(cancel, &in.InHeader, name, out, func(dir int) error {
		if err := unix.Mkdirat(dir, name, in.Mode); err != nil {
			return err
		}
		return unix.Fchmodat(dir, name, in.Mode, 0) // despite this process's umask
	})
}

// Symlink makes a symbolic link.
func (v *volume) Symlink(cancel <-chan struct{}, h *fuse.InHeader, target, name string, out *fuse.EntryOut) fuse.Status {
	return v.add(cancel, h, name, out, func(dir int) error {
		return unix.Symlinkat(target, dir, name)
	})
}

// Link gives a file another name.
func (v *volume) Link(cancel <-chan struct{}, in *fuse.LinkIn, name string, out *fuse.EntryOut) fuse.Status {
	dir := v.node(in.NodeId)
	if status := v.admit(callName, dir, &in.InHeader, cancel); status != fuse.OK {
		return status
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.note(dir, name, nil)
	if err := link(v.byID[in.Oldnodeid], dir.fd, name); err != nil {
		return fuse.ToStatus(err)
	}
	return v.enter(dir, name, out)
}

// add makes something new in a folder, owned by the caller.
func (v *volume) add(cancel <-chan struct{}, h *fuse.InHeader, name string, out *fuse.EntryOut, create func(dir int) error) fuse.Status {
	dir := v.node(h.NodeId)
	if status := v.admit(callCreate, dir, h, cancel); status != fuse.OK {
		return status
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.addLocked(dir, h, name, out, create)
}

func (v *volume) addLocked(dir *node, h *fuse.InHeader, name string, out *fuse.EntryOut, create func(dir int) error) fuse.Status {
	v.note(dir, name, nil)
	if err := create(dir.fd); err != nil {
		return fuse.ToStatus(err)
	}
	gid := int(h.Gid)
	if dir.stat().Mode&unix.S_ISGID != 0 {
		gid = -1 // inherited
	}
	if err := unix.Fchownat(dir.fd, name, int(h.Uid), gid, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fuse.ToStatus(err)
	}
	return v.enter(dir, name, out)
}

// enter tells the kernel of what a folder holds under a name. The volume is locked.
func (v *volume) enter(dir *node, name string, out *fuse.EntryOut) fuse.Status {
	n, err := v.child(dir, name)
	if err != nil {
		return fuse.ToStatus(err)
	}
	n.lookups++
	out.NodeId = n.id
	out.SetEntryTimeout(forever)
	out.SetAttrTimeout(forever)
	n.attributes(&out.Attr)
	return fuse.OK
}

// Unlink removes a name of a file.
func (v *volume) Unlink(cancel <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	return v.remove(cancel, h, name, 0)
}

// Rmdir removes an empty folder.
func (v *volume) Rmdir(cancel <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	return v.remove(cancel, h, name, unix.AT_REMOVEDIR)
}

func (v *volume) remove(cancel <-chan struct{}, h *fuse.InHeader, name string, flags int) fuse.Status {
	dir := v.node(h.NodeId)
	if status := v.admit(callName, dir, h, cancel); status != fuse.OK {
		return status
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	n, err := v.child(dir, name)
	if err != nil {
		return fuse.ToStatus(err)
	}
	defer v.settle(n)
	v.note(dir, name, n)
	if err := v.keep(n); err != nil {
		return fuse.ToStatus(err)
	}
	if err := unix.Unlinkat(dir.fd, name, flags); err != nil {
		return fuse.ToStatus(err)
	}
	n.removed = n.mode == unix.S_IFDIR
	return fuse.OK
}

// Rename moves a name, or exchanges two.
func (v *volume) Rename(cancel <-chan struct{}, in *fuse.RenameIn, from, to string) fuse.Status {
	if in.Flags&^(unix.RENAME_NOREPLACE|unix.RENAME_EXCHANGE) != 0 {
		return fuse.EINVAL
	}
	fromDir, toDir := v.node(in.NodeId), v.node(in.Newdir)
	if status := v.admit(callName, fromDir, &in.InHeader, cancel); status != fuse.OK {
		return status
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	moved, err := v.child(fromDir, from)
	if err != nil {
		return fuse.ToStatus(err)
	}
	defer v.settle(moved)
	there, err := v.child(toDir, to)
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fuse.ToStatus(err)
	}
	v.note(fromDir, from, moved)
	v.note(toDir, to, there)
	replaced := there != nil && in.Flags&unix.RENAME_EXCHANGE == 0
	if there != nil {
		defer v.settle(there)
	}
	if replaced {
		if err := v.keep(there); err != nil {
			return fuse.ToStatus(err)
		}
	}
	if err := unix.Renameat2(fromDir.fd, from, toDir.fd, to, uint(in.Flags)); err != nil {
		return fuse.ToStatus(err)
	}
	if replaced {
		there.removed = there.mode == unix.S_IFDIR
	}
	if fromDir != toDir && (moved.mode == unix.S_IFDIR || there != nil && there.mode == unix.S_IFDIR) {
		tie(fromDir, toDir)
	}
	return fuse.OK
}

// Readlink reads a symbolic link.
func (v *volume) Readlink(_ <-chan struct{}, h *fuse.InHeader) ([]byte, fuse.Status) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(v.node(h.NodeId).fd, "", buf)
	if err != nil {
		return nil, fuse.ToStatus(err)
	}
	return buf[:n], fuse.OK
}

// OpenDir begins to read a folder.
func (v *volume) OpenDir(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.lastID++
	out.Fh = v.lastID
	return fuse.OK
}

// ReadDir reads on in a folder. An offset is an index into the entries as they were when the reading began.
func (v *volume) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	v.mu.Lock()
	defer v.mu.Unlock()
	if in.Offset == 0 {
		entries, err := list(v.byID[in.NodeId])
		if err != nil {
			return fuse.ToStatus(err)
		}
		v.listings[in.Fh] = entries
	}
	entries := v.listings[in.Fh]
	for i := in.Offset; i < uint64(len(entries)); i++ {
		e := entries[i]
		e.Off = i + 1
		if !out.AddDirEntry(e) {
			break
		}
	}
	return fuse.OK
}

// ReleaseDir ends the reading of a folder.
func (v *volume) ReleaseDir(in *fuse.ReleaseIn) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.listings, in.Fh)
}

// FsyncDir makes names durable.
func (v *volume) FsyncDir(cancel <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	dir := v.node(in.NodeId)
	if status := v.admit(callFsync, dir, &in.InHeader, cancel); status != fuse.OK {
		return status
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.options.Model == Ext4 {
		v.commitNames()
	} else {
		v.commitFolder(dir)
	}
	return fuse.OK
}
