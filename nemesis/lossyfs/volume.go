package lossyfs

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// volume is the file system between one mount and its end. Its exported methods answer the kernel's requests.
type volume struct {
	fuse.RawFileSystem // answers ENOSYS to every request that has no method here
	options            *Options
	faults             *injector
	aside              *os.File
	root               *node
	device             uint64 // that the backing folder lies on
	server             *fuse.Server
	running            sync.WaitGroup // the server and the write-back
	gone               chan struct{}  // closed when the mount is about to end; no request waits any longer
	end                sync.Once

	mu       sync.Mutex // guards what follows, and every change of a name; taken before a node's
	lastID   uint64
	byID     map[uint64]*node
	byIno    map[uint64]*node
	changed  map[*node]struct{} // the folders that have names which are not durable
	listings map[uint64][]fuse.DirEntry
}

// node is one file, folder or other thing of the backing folder. It lives as long as the kernel knows it, or something about it
// is not durable; its descriptor keeps the inode number from being used again meanwhile.
type node struct {
	id   uint64 // what the kernel calls it
	ino  uint64
	mode uint32 // its type, as in stat(2)
	fd   int    // opened with O_PATH

	// Guarded by the volume's mutex.
	lookups uint64             // how often the kernel was told of it, and has not forgotten
	refs    int                // how many names it durably has, among the names that changed
	aside   bool               // it has a link in the folder of removed files
	removed bool               // a folder that is in the live tree no more
	names   map[string]past    // of a folder: the names that changed
	tied    map[*node]struct{} // of a folder: the folders whose names become durable with its own

	mu      sync.Mutex // guards what follows
	opens   int
	file    *os.File // open for reading and writing while opens is above 0
	content content  // of a regular file
}

// newVolume prepares a volume in which the whole backing folder is durable.
func newVolume(o *Options, faults *injector, aside *os.File) (*volume, error) {
	if err := emptyAside(aside); err != nil {
		return nil, fmt.Errorf("empty the folder of removed files: %w", err)
	}
	v := &volume{
		RawFileSystem: fuse.NewDefaultRawFileSystem(),
		options:       o,
		faults:        faults,
		aside:         aside,
		gone:          make(chan struct{}),
		byID:          make(map[uint64]*node),
		byIno:         make(map[uint64]*node),
		changed:       make(map[*node]struct{}),
		listings:      make(map[uint64][]fuse.DirEntry),
	}
	fd, err := unix.Open(o.Backing, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open the backing folder: %w", err)
	}
	if v.root, err = v.adopt(fd); err != nil {
		return nil, err
	}
	v.root.lookups = 1 // the kernel never forgets it
	return v, nil
}

// String names the file system to the library.
func (v *volume) String() string { return "lossyfs" }

// close lets go of all that the volume holds open. Nothing is served any more.
func (v *volume) close() error {
	err := emptyAside(v.aside)
	for _, n := range v.byID {
		err = errors.Join(err, unix.Close(n.fd))
		if n.file != nil {
			err = errors.Join(err, n.file.Close())
		}
	}
	clear(v.byID)
	return err
}

// node is the one that the kernel means; it names only what it was told of.
func (v *volume) node(id uint64) *node {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.byID[id]
}

// child finds what a folder holds under a name, or fails with ENOENT. The volume is locked.
func (v *volume) child(dir *node, name string) (*node, error) {
	fd, err := unix.Openat(dir.fd, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return v.adopt(fd)
}

// adopt finds or makes the node of an inode, and takes the descriptor over. The volume is locked, or not yet served.
func (v *volume) adopt(fd int) (*node, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	if v.root == nil {
		v.device = st.Dev
	}
	if st.Dev != v.device {
		return nil, errors.Join(unix.EXDEV, unix.Close(fd)) // inode numbers mean nothing across devices
	}
	if n := v.byIno[st.Ino]; n != nil {
		return n, unix.Close(fd)
	}
	v.lastID++ // the root is the first, and FUSE_ROOT_ID is 1
	n := &node{id: v.lastID, ino: st.Ino, mode: st.Mode & unix.S_IFMT, fd: fd, content: content{size: st.Size}}
	v.byID[n.id], v.byIno[n.ino] = n, n
	return n, nil
}

// settle lets go of what nobody needs any longer about a node: its link aside, the names in a removed folder, itself. It may have been
// let go already. The volume is locked.
func (v *volume) settle(n *node) {
	if n.refs > 0 || v.byID[n.id] == nil {
		return
	}
	if n.aside {
		n.aside = false
		if err := unix.Unlinkat(int(v.aside.Fd()), n.asideName(), 0); err != nil {
			v.options.Log.Error("remove a removed file", "inode", n.ino, "error", err)
		}
	}
	if n.removed && len(n.names) > 0 {
		v.dropNames(n)
		return // which has settled it
	}
	n.mu.Lock()
	needed := n.lookups > 0 || n.opens > 0 || len(n.names) > 0 || !n.content.clean() && n.links() > 0
	n.mu.Unlock()
	if needed {
		return
	}
	delete(v.byID, n.id)
	delete(v.byIno, n.ino)
	if err := unix.Close(n.fd); err != nil {
		v.options.Log.Error("close a forgotten file", "inode", n.ino, "error", err)
	}
}

// Forget is the kernel's word that it knows a node no more.
func (v *volume) Forget(id, lookups uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if n := v.byID[id]; n != nil && n != v.root {
		n.lookups -= min(lookups, n.lookups)
		v.settle(n)
	}
}

// writeBack makes old changes durable, as a kernel does on its own, until the mount ends.
func (v *volume) writeBack() {
	tick := time.NewTicker(max(v.options.DurableAfter/4, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			v.expire(now)
		case <-v.gone:
			return
		}
	}
}

// expire makes durable what has been changed for Options.DurableAfter. Names go all together, as a journal commits them.
func (v *volume) expire(now time.Time) {
	if v.options.DurableAfter == 0 {
		return
	}
	before := now.Add(-v.options.DurableAfter)
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.oldestName().Before(before) {
		v.commitNames()
	}
	for _, n := range v.byID {
		n.mu.Lock()
		if !n.content.clean() {
			n.content.expire(before, n.size())
		}
		n.mu.Unlock()
		v.settle(n)
	}
}

// proc is a path that leads to the node whatever its names are.
func (n *node) proc() string { return "/proc/self/fd/" + strconv.Itoa(n.fd) }

// asideName is the node's name in the folder of removed files.
func (n *node) asideName() string { return strconv.FormatUint(n.ino, 10) }

// open opens the backing file anew.
func (n *node) open() (*os.File, error) { return os.OpenFile(n.proc(), os.O_RDWR, 0) }

// stat is the node's state in the backing folder. It cannot fail on an open descriptor.
func (n *node) stat() (st unix.Stat_t) {
	if err := unix.Fstat(n.fd, &st); err != nil {
		panic(fmt.Sprintf("stat an open descriptor: %v", err))
	}
	return st
}

// size is the live length in bytes.
func (n *node) size() int64 { return n.stat().Size }

// links counts the node's links, the one aside included.
func (n *node) links() uint64 { return uint64(n.stat().Nlink) }

// path is where the node lies below the backing folder, or "" if it has no name left there.
func (v *volume) path(n *node) string {
	target, err := os.Readlink(n.proc())
	if err != nil {
		return ""
	}
	var st unix.Stat_t
	if err := unix.Lstat(target, &st); err != nil || st.Ino != n.ino {
		return "" // the name by which it was found is gone
	}
	if target == v.options.Backing {
		return "."
	}
	path, _ := strings.CutPrefix(target, v.options.Backing+"/")
	return path
}
