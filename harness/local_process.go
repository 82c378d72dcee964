package harness

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"rift/nemesis/netspace"
	"rift/nemesis/vdso"
)

// localProcess is one life of a local node. All its methods may be called on nil, which is a node that was never started.
type localProcess struct {
	pid   int
	os    *os.Process
	ended chan struct{} // closed when it has been reaped
}

// startLocal starts a node's program inside its namespace. The kernel ends it if this program dies.
func startLocal(namespace string, n *localNode, logPath string, log *slog.Logger) (*localProcess, error) {
	output, err := os.OpenFile(logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer output.Close()
	cmd := exec.Command(n.launch.Program, n.launch.Args...)
	// Not its data directory, which may lie on a mount of this program's own: nobody answers for that between fork and exec.
	cmd.Dir = filepath.Dir(n.Data)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, n.launch.Env...)
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:   true, // Ctrl-C on the terminal is for the harness alone
		Pdeathsig: syscall.SIGKILL,
	}
	p := &localProcess{ended: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		defer close(p.ended)
		// The parent's death is, for the kernel, the end of the thread that forked: this one, which is kept until the child's end.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := netspace.Inside(netspace.Path(namespace), cmd.Start)
		started <- err
		if err == nil {
			// While a clock fault traces the node, whose parent this is, a wait would take its stops for its end.
			_ = vdso.AwaitEnd(cmd.Process.Pid)
			_ = cmd.Wait() // how it ended stands in ProcessState
			log.Info("process ended", "node", n.Name, "pid", cmd.Process.Pid, "state", cmd.ProcessState.String())
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	p.pid, p.os = cmd.Process.Pid, cmd.Process
	return p, nil
}

// runs says whether the process has not ended.
func (p *localProcess) runs() bool {
	if p == nil {
		return false
	}
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// terminate asks the process to shut down.
func (p *localProcess) terminate() {
	if p.runs() {
		_ = p.os.Signal(unix.SIGTERM) // one that has just ended needs no asking
	}
}

// wait returns when the process has been reaped or the context ends.
func (p *localProcess) wait(ctx context.Context) error {
	if p == nil {
		return nil
	}
	select {
	case <-p.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for process %d to end: %w", p.pid, ctx.Err())
	}
}

// kill ends the process with SIGKILL and returns when it has been reaped.
func (p *localProcess) kill(ctx context.Context) error {
	if !p.runs() {
		return nil
	}
	if err := p.os.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return p.wait(ctx)
}

// killInside ends all processes whose network namespace is the named one, and returns when they are gone. It says which it found.
func killInside(ctx context.Context, namespace string) (found []int, err error) {
	for {
		pids, err := processesInside(namespace)
		if err != nil || len(pids) == 0 {
			return found, err
		}
		found = append(found, pids...)
		for _, pid := range pids {
			if err := killIfInside(ctx, pid, namespace); err != nil {
				return found, err
			}
		}
	}
}

func killIfInside(ctx context.Context, pid int, namespace string) error {
	p, err := openProcess(pid)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	defer p.close()
	if !inside(pid, namespace) { // another process may have got the number before it was held
		return nil
	}
	if err := unix.PidfdSendSignal(p.fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill process %d: %w", pid, err)
	}
	return p.wait(ctx)
}

// processesInside lists the processes whose network namespace is the named one. This program is never among them,
// though a thread of it may be there for a moment.
func processesInside(namespace string) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err == nil && pid != os.Getpid() && inside(pid, namespace) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

func inside(pid int, namespace string) bool {
	theirs, err := os.Stat(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return false
	}
	named, err := os.Stat(netspace.Path(namespace))
	return err == nil && os.SameFile(theirs, named)
}
