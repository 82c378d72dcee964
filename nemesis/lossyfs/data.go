package lossyfs

import (
	"errors"
	"io"
	"os"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// GetAttr tells a node's state.
func (v *volume) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.byID[in.NodeId].attributes(&out.Attr)
	out.SetTimeout(forever)
	return fuse.OK
}

// attributes are the node's state as programs are to see it: a link aside is none of their business. The volume is
// locked.
func (n *node) attributes(out *fuse.Attr) {
	st := n.stat()
	*out = fuse.Attr{
		Ino: st.Ino, Mode: st.Mode, Nlink: uint32(st.Nlink), Rdev: uint32(st.Rdev),
		Size: uint64(st.Size), Blocks: uint64(st.Blocks), Blksize: uint32(st.Blksize),
		Owner: fuse.Owner{Uid: st.Uid, Gid: st.Gid},
		Atime: uint64(st.Atim.Sec), Atimensec: uint32(st.Atim.Nsec),
		Mtime: uint64(st.Mtim.Sec), Mtimensec: uint32(st.Mtim.Nsec),
		Ctime: uint64(st.Ctim.Sec), Ctimensec: uint32(st.Ctim.Nsec),
	}
	if n.aside {
		out.Nlink--
	}
}

// SetAttr changes a node's length, mode, owner or times.
func (v *volume) SetAttr(cancel <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	n := v.node(in.NodeId)
	if status := v.admit(callName, n, &in.InHeader, cancel); status != fuse.OK {
		return status
	}
	if err := n.setAttributes(in); err != nil {
		return fuse.ToStatus(err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	n.attributes(&out.Attr)
	out.SetTimeout(forever)
	return fuse.OK
}

func (n *node) setAttributes(in *fuse.SetAttrIn) error {
	if mode, ok := in.GetMode(); ok {
		if err := unix.Fchmodat(unix.AT_FDCWD, n.proc(), mode, 0); err != nil {
			return err
		}
	}
	uid, setUID := in.GetUID() // all bits set, which changes nothing, if not given
	gid, setGID := in.GetGID()
	if setUID || setGID {
		if err := unix.Fchownat(n.fd, "", int(int32(uid)), int(int32(gid)), unix.AT_EMPTY_PATH); err != nil {
			return err
		}
	}
	if size, ok := in.GetSize(); ok {
		if err := n.truncate(int64(size)); err != nil {
			return err
		}
	}
	atime, setAtime := in.GetATime()
	mtime, setMtime := in.GetMTime()
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Nsec: unix.UTIME_OMIT}}
	if setAtime {
		times[0] = unix.NsecToTimespec(atime.UnixNano())
	}
	if setMtime {
		times[1] = unix.NsecToTimespec(mtime.UnixNano())
	}
	if setAtime || setMtime {
		return unix.UtimesNanoAt(unix.AT_FDCWD, n.proc(), times, 0)
	}
	return nil
}

// truncate gives the file another length.
func (n *node) truncate(size int64) error {
	file, err := n.acquire()
	if err != nil {
		return err
	}
	defer n.release()
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.content.resize(file, n.size(), size, time.Now()); err != nil {
		return err
	}
	return file.Truncate(size)
}

// acquire opens the backing file, once for all who have it open. Always for reading and writing, since what is overwritten must be read
// first, and without O_APPEND and O_SYNC: the kernel says where to write, and durability is modelled.
func (n *node) acquire() (*os.File, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.opens == 0 {
		file, err := n.open()
		if err != nil {
			return nil, err
		}
		n.file = file
	}
	n.opens++
	return n.file, nil
}

// opened is the backing file of a node that is open.
func (n *node) opened() *os.File {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.file
}

// release takes an acquire back.
func (n *node) release() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.opens--; n.opens == 0 {
		n.file.Close() // nothing is buffered in it
		n.file = nil
	}
}

// Create makes and opens a file.
func (v *volume) Create(cancel <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	dir := v.node(in.NodeId)
	if status := v.admit(callCreate, dir, &in.InHeader, cancel); status != fuse.OK {
		return status
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	status := v.addLocked(dir, &in.InHeader, name, &out.EntryOut, func(dir int) error {
		fd, err := unix.Openat(dir, name, unix.O_CREAT|unix.O_EXCL|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
		if err != nil {
			return err
		}
		return errors.Join(unix.Fchmod(fd, in.Mode&0o7777), unix.Close(fd))
	})
	if status == fuse.Status(unix.EEXIST) && in.Flags&unix.O_EXCL == 0 {
		status = v.enter(dir, name, &out.EntryOut)
	}
	if status != fuse.OK {
		return status
	}
	_, err := v.byID[out.NodeId].acquire()
	out.OpenFlags = fuse.FOPEN_KEEP_CACHE
	return fuse.ToStatus(err)
}

// Open opens a file.
func (v *volume) Open(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	_, err := v.node(in.NodeId).acquire()
	out.OpenFlags = fuse.FOPEN_KEEP_CACHE
	return fuse.ToStatus(err)
}

// Release closes a file.
func (v *volume) Release(_ <-chan struct{}, in *fuse.ReleaseIn) {
	v.mu.Lock()
	defer v.mu.Unlock()
	n := v.byID[in.NodeId]
	n.release()
	v.settle(n)
}

// Flush is of no use here, and the kernel does not ask again.
func (v *volume) Flush(<-chan struct{}, *fuse.FlushIn) fuse.Status { return fuse.ENOSYS }

// Read reads from a file that is open.
func (v *volume) Read(cancel <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	n := v.node(in.NodeId)
	if status := v.admit(callRead, n, &in.InHeader, cancel); status != fuse.OK {
		return nil, status
	}
	count, err := n.opened().ReadAt(buf, int64(in.Offset))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fuse.ToStatus(err)
	}
	v.faults.flip(buf[:count], func() string { return v.path(n) })
	return fuse.ReadResultData(buf[:count]), fuse.OK
}

// Write writes to a file that is open.
func (v *volume) Write(cancel <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	n := v.node(in.NodeId)
	if status := v.admit(callWrite, n, &in.InHeader, cancel); status != fuse.OK {
		return 0, status
	}
	off, length := int64(in.Offset), int64(len(data))
	n.mu.Lock()
	defer n.mu.Unlock()
	now, live := time.Now(), n.size()
	if err := n.content.preserve(n.file, off, length, now); err != nil {
		return 0, fuse.ToStatus(err)
	}
	if err := n.content.resize(n.file, live, max(live, off+length), now); err != nil {
		return 0, fuse.ToStatus(err)
	}
	count, err := n.file.WriteAt(data, off)
	return uint32(count), fuse.ToStatus(err)
}

// Fallocate reserves room, or makes a hole, which changes a file as zeros do.
func (v *volume) Fallocate(cancel <-chan struct{}, in *fuse.FallocateIn) fuse.Status {
	const known = unix.FALLOC_FL_KEEP_SIZE | unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_ZERO_RANGE
	if in.Mode&^known != 0 {
		return fuse.ENOTSUP
	}
	n := v.node(in.NodeId)
	if status := v.admit(callWrite, n, &in.InHeader, cancel); status != fuse.OK {
		return status
	}
	off, length := int64(in.Offset), int64(in.Length)
	n.mu.Lock()
	defer n.mu.Unlock()
	now, live := time.Now(), n.size()
	if in.Mode&(unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_ZERO_RANGE) != 0 && off < live {
		if err := n.content.preserve(n.file, off, min(length, live-off), now); err != nil {
			return fuse.ToStatus(err)
		}
	}
	if in.Mode&unix.FALLOC_FL_KEEP_SIZE == 0 {
		if err := n.content.resize(n.file, live, max(live, off+length), now); err != nil {
			return fuse.ToStatus(err)
		}
	}
	return fuse.ToStatus(unix.Fallocate(int(n.file.Fd()), in.Mode, off, length))
}

// Lseek finds data and holes.
func (v *volume) Lseek(_ <-chan struct{}, in *fuse.LseekIn, out *fuse.LseekOut) fuse.Status {
	off, err := unix.Seek(int(v.node(in.NodeId).opened().Fd()), int64(in.Offset), int(in.Whence))
	out.Offset = uint64(off)
	return fuse.ToStatus(err)
}

// Fsync makes a file's content durable. What is written while it runs may be, too.
func (v *volume) Fsync(cancel <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	n := v.node(in.NodeId)
	status := v.admit(callFsync, n, &in.InHeader, cancel)
	v.mu.Lock()
	defer v.mu.Unlock()
	n.mu.Lock()
	switch status {
	case fuse.EIO:
		n.content.doom()
	case fuse.OK:
		n.content.commit(n.size())
	}
	n.mu.Unlock()
	if status == fuse.OK && v.options.Model == Ext4 {
		v.commitNames()
	}
	return status
}

// CopyFileRange is left to the kernel, which reads and writes instead.
func (v *volume) CopyFileRange(<-chan struct{}, *fuse.CopyFileRangeIn) (uint32, fuse.Status) {
	return 0, fuse.ENOSYS
}

// StatFs tells the room in the backing file system.
func (v *volume) StatFs(_ <-chan struct{}, _ *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	var st unix.Statfs_t
	if err := unix.Fstatfs(v.root.fd, &st); err != nil {
		return fuse.ToStatus(err)
	}
	*out = fuse.StatfsOut{
		Blocks: st.Blocks, Bfree: st.Bfree, Bavail: st.Bavail, Files: st.Files, Ffree: st.Ffree,
		Bsize: uint32(st.Bsize), Frsize: uint32(st.Frsize), NameLen: uint32(st.Namelen),
	}
	return fuse.OK
}
