package harness

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"rift/nemesis/netspace"
)

// Enclosure is a set of namespaces of its own for a program: of mounts and networks always, so that whatever the program makes there ends with
// it, also if it is killed.
type Enclosure struct {
	User      bool // a user namespace too, in which the program is root: how somebody who is not can make the others
	Processes bool // a PID namespace too: the program is its first process, and the kernel ends all others there with it
}

// Attributes start a program in the enclosure. It is killed when the thread that starts it ends.
func (e Enclosure) Attributes() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if e.Processes {
		a.Cloneflags |= unix.CLONE_NEWPID
	}
	if e.User {
		a.Cloneflags |= unix.CLONE_NEWUSER
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	return a
}

// Furnish is the first thing that a program in an enclosure does: it gives itself a /run of its own, for the names of network namespaces, a /proc that
// shows its own processes, a loopback device that is up, and sees to it that its mounts stay its own.
func (e Enclosure) Furnish() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep mounts apart: %w", err)
	}
	if err := unix.Mount("rift", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
		return fmt.Errorf("mount a /run of its own: %w", err)
	}
	if e.Processes {
		if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
			return fmt.Errorf("mount a /proc of its own: %w", err)
		}
	}
	return errors.Join(bringLoopbackUp(), netspace.Able())
}
