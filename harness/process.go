package harness

import (
	"context"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"

	"rift/harness/history"
	"rift/nemesis"
)

// process is a process that runs, held by a PID file descriptor, so that its end is noticed and its number is never
// mistaken for that of a later process.
type process struct {
	pid int
	fd  int
}

func openProcess(pid int) (*process, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, fmt.Errorf("open process %d: %w", pid, err)
	}
	return &process{pid: pid, fd: fd}, nil
}

// ended says whether the process is gone.
func (p *process) ended() bool { return p.poll(0) }

func (p *process) poll(milliseconds int) bool {
	fds := []unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, milliseconds)
		if err == unix.EINTR {
			continue
		}
		return err != nil || n > 0
	}
}

// wait returns when the process is gone or the context ends.
func (p *process) wait(ctx context.Context) error {
	const step = 50 // milliseconds between looks at the context
	for !p.poll(step) {
		if ctx.Err() != nil {
			return fmt.Errorf("wait for process %d to end: %w", p.pid, ctx.Err())
		}
	}
	return nil
}

func (p *process) close() { unix.Close(p.fd) }

// host is the process as faults see it.
func (p *process) host(n Node) nemesis.Host {
	return nemesis.Host{Node: n.Name, PID: p.pid, NetNS: fmt.Sprintf("/proc/%d/ns/net", p.pid), IP: n.IP}
}

// nodeLog is the path of a node's log in the run's folder.
func nodeLog(dir, node string) string {
	return filepath.Join(dir, history.NodesDir, node+".log")
}
