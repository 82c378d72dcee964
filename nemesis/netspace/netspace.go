// Package netspace works inside network namespaces: it makes and removes named ones, runs a function inside one, and
// probes from inside one whether another host can be reached.
//
// The one idea behind it is that a socket belongs for ever to the namespace of the thread that made it. So a thread needs to be inside
// only for the moment of making it, nothing has to be installed in the namespace, and what is measured from there
// is what a program there would meet. Everything here needs root (CAP_SYS_ADMIN).
package netspace

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// Dir is where named namespaces are kept, as by ip-netns(8).
const Dir = "/run/netns"

// Path is the path of a named namespace.
func Path(name string) string { return filepath.Join(Dir, name) }

// Able says why this program cannot make network namespaces and name them; nil if it can. It makes one that has no name and ends at once.
func Able() error {
	err := os.MkdirAll(Dir, 0o755)
	if err == nil {
		err = unix.Access(Dir, unix.W_OK)
	}
	if err != nil {
		return fmt.Errorf("name network namespaces in %s: %w", Dir, err)
	}
	if err := away(func() error { return unix.Unshare(unix.CLONE_NEWNET) }, func() error { return nil }); err != nil {
		return fmt.Errorf("create a network namespace: %w", err)
	}
	return nil
}

// Create makes a new network namespace, with nothing in it but a loopback device that is down, and gives it a name.
func Create(name string) error {
	err := os.MkdirAll(Dir, 0o755)
	if err == nil {
		err = away(
			func() error { return unix.Unshare(unix.CLONE_NEWNET) },
			func() error { return keep(Path(name)) },
		)
	}
	if err != nil {
		return fmt.Errorf("create network namespace %s: %w", name, err)
	}
	return nil
}

// keep mounts the calling thread's network namespace on a path, so that it lasts without a process in it.
func keep(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o444)
	if err != nil {
		return err
	}
	f.Close()
	if err := unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, ""); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// Remove takes a namespace's name away; the namespace goes when no process or socket is left in it. It does nothing if there is
// no such name.
func Remove(name string) error {
	err := unix.Unmount(Path(name), unix.MNT_DETACH)
	if err == nil || errors.Is(err, unix.EINVAL) { // EINVAL: nothing is mounted there
		err = os.Remove(Path(name))
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove network namespace %s: %w", name, err)
	}
	return nil
}

// Inside runs f on a thread that is in the network namespace at path (/run/netns/NAME, /proc/PID/ns/net). Sockets that f
// makes stay in the namespace, as do processes that it starts. It runs on the calling goroutine.
func Inside(path string, f func() error) error {
	there, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("enter network namespace: %w", err)
	}
	defer there.Close()
	return away(func() error {
		if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter network namespace %s: %w", path, err)
		}
		return nil
	}, f)
}

// away takes the calling thread to another network namespace, runs f there, and brings it home. A thread that cannot come home
// stays locked to its goroutine, so that no other goroutine works in the wrong namespace, and ends with it.
func away(leave, f func() error) error {
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("hold this thread's network namespace: %w", err)
	}
	defer home.Close()
	if err := leave(); err != nil {
		runtime.UnlockOSThread()
		return err
	}
	err = f()
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		return errors.Join(err, fmt.Errorf("come back to this program's network namespace: %w", back))
	}
	runtime.UnlockOSThread()
	return err
}
