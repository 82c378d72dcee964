//go:build linux && amd64

package vdso

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// AwaitEnd waits for a child of this program to end, and leaves it to be collected. A program that starts the processes whose clocks it
// skews must call it before os.Process.Wait or exec.Cmd.Wait: those take any stop of a child that the same program traces
// for its end (waitid(2) reports "ptrace'd stopped tasks regardless of options").
func AwaitEnd(pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return fmt.Errorf("await the end of process %d: %w", pid, err)
	}
	defer unix.Close(fd)
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
		if n > 0 {
			return nil
		}
		if err != unix.EINTR {
			return fmt.Errorf("await the end of process %d: %w", pid, err)
		}
	}
}
