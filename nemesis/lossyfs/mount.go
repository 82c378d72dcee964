package lossyfs

import (
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

const (
	fsType   = "fuse.lossyfs"
	maxWrite = 1 << 20 // bytes in one request, which is what Linux allows by default

	// answerTime bounds how long Sweep waits for a mount to show that somebody serves it.
	answerTime = time.Second
)

// mount puts the volume on its mount point and begins to serve it. The library's own way to mount leaves /dev/fuse open in every
// program that is started later, which would keep a dead harness's mount hanging instead of failing; so this does it by hand.
func (v *volume) mount() error {
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open /dev/fuse: %w", err)
	}
	data := fmt.Sprintf("fd=%d,rootmode=%o,user_id=%d,group_id=%d,max_read=%d,allow_other,default_permissions",
		fd, unix.S_IFDIR, os.Geteuid(), os.Getegid(), maxWrite)
	if err := unix.Mount(v.options.Tag, v.options.Mountpoint, fsType, unix.MS_NOSUID|unix.MS_NODEV, data); err != nil {
		return errors.Join(err, unix.Close(fd))
	}
	v.server, err = fuse.NewServer(v, fmt.Sprintf("/dev/fd/%d", fd), &fuse.MountOptions{
		MaxWrite:      maxWrite,
		MaxBackground: 64,
		// Only this mount changes the files, so the kernel need not drop its pages whenever a file's time has moved.
		ExplicitDataCacheControl: true,
		DisableReadDirPlus:       true,
		DisableXAttrs:            true,
		Logger:                   log.New(library{v}, "", 0),
	})
	if err != nil {
		return errors.Join(err, unmount(v.options.Mountpoint))
	}
	v.running.Go(v.server.Serve)
	if v.options.DurableAfter > 0 {
		v.running.Go(v.writeBack)
	}
	if err := refusePolls(v.options.Mountpoint); err != nil {
		return errors.Join(err, v.abort())
	}
	return nil
}

// library is where the FUSE library writes its complaints.
type library struct{ *volume }

// Write logs one complaint; but none of a connection that breaks when it was to break.
func (v library) Write(text []byte) (int, error) {
	select {
	case <-v.gone:
	default:
		v.options.Log.Warn("serve a lossy file system", "mountpoint", v.options.Mountpoint, "library", strings.TrimSpace(string(text)))
	}
	return len(text), nil
}

// refusePolls has the kernel ask once whether the file system knows of poll(2), and never again after the answer. Go's os package polls each file that
// it opens, in a way that stops the very threads that are to answer if this process opens a file of its own mount. The name is one that the library keeps for this.
func refusePolls(mountpoint string) error {
	fd, err := unix.Open(filepath.Join(mountpoint, ".go-fuse-epoll-hack"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("ask for the first file: %w", err)
	}
	_, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	return errors.Join(err, unix.Close(fd))
}

// abort ends the mount whoever uses it, in whatever namespace: each call on it that has not returned fails. Nothing reaches the
// volume after it.
func (v *volume) abort() error {
	v.end.Do(func() { close(v.gone) })
	if err := unmount(v.options.Mountpoint); err != nil {
		return fmt.Errorf("abort the mount: %w", err)
	}
	v.running.Wait()
	return nil
}

// unmount ends the connection behind a FUSE mount and detaches the mount. Without force, a container that has the mount in its own namespace
// would keep it alive.
func unmount(path string) error {
	return unix.Unmount(path, unix.MNT_FORCE|unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
}

// syncfs has the kernel write back all that it holds of the file system at path.
func syncfs(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("write back mapped pages: %w", err)
	}
	defer dir.Close()
	if err := unix.Syncfs(int(dir.Fd())); err != nil {
		return fmt.Errorf("write back mapped pages: %w", err)
	}
	return nil
}

// Sweep detaches the mounts whose tag begins with prefix and whose harness has died, and returns where they were. Mounts that somebody
// serves stay; one that does not answer within a second stays too, and is an error. Do it before a container starts: Docker
// stumbles over dead mounts.
func Sweep(prefix string) ([]string, error) {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("sweep lossy file systems: %w", err)
	}
	var swept []string
	var errs []error
	for _, m := range parseMounts(string(table)) {
		if m.fsType != fsType || !strings.HasPrefix(m.source, prefix) {
			continue
		}
		dead, err := isDead(m.path)
		if dead {
			err = unmount(m.path)
		}
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
			continue // another sweep was faster
		}
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("sweep lossy file system %s (%s): %w", m.path, m.source, err))
		case dead:
			swept = append(swept, m.path)
		}
	}
	return swept, errors.Join(errs...)
}

// isDead says whether nobody serves the FUSE mount at path any more.
func isDead(path string) (bool, error) {
	answer := make(chan error, 1)
	go func() {
		var st unix.Statfs_t
		answer <- unix.Statfs(path, &st)
	}()
	select {
	case err := <-answer:
		return errors.Is(err, unix.ENOTCONN), nil
	case <-time.After(answerTime):
		return false, fmt.Errorf("no answer within %v; is its harness stopped?", answerTime)
	}
}

// mounted is one line of the table of mounts.
type mounted struct{ path, fsType, source string }

// parseMounts reads a table in the form of /proc/PID/mountinfo (proc_pid_mountinfo(5)). It skips lines that have another form.
func parseMounts(table string) []mounted {
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	var all []mounted
	for line := range strings.Lines(table) {
		before, after, ok := strings.Cut(line, " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !ok || len(left) < 6 || len(right) < 2 {
			continue
		}
		all = append(all, mounted{unescape.Replace(left[4]), right[0], unescape.Replace(right[1])})
	}
	return all
}
