package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// readyPause is how often a starting node is asked whether it is ready.
const readyPause = 50 * time.Millisecond

// A launch is a node that has just been started.
type launch struct {
	replica
	command *exec.Cmd
	process *process
	logged  int64 // bytes that the log already had
}

// start starts the node's program in a session of its own, so that it survives this program, its
// terminal and a Ctrl-C there.
func (r replica) start(program string, join []string) (*launch, error) {
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the node's folder: %w", err)
	}
	log, err := os.OpenFile(r.logFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	defer log.Close()
	info, err := log.Stat()
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	args := []string{"-id", r.alias, "-haddr", r.http, "-raddr", r.rpc}
	if len(join) > 0 {
		args = append(args, "-join", strings.Join(join, ","))
	}
	l := &launch{replica: r, logged: info.Size(), command: exec.Command(program, append(args, r.data())...)}
	l.command.Dir = r.dir
	l.command.Stdout, l.command.Stderr = log, log
	l.command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := l.command.Start(); err != nil {
		return nil, err
	}
	if l.process, err = openProcess(l.command.Process.Pid); err == nil {
		err = writePID(r.pidFile(), l.process.pid)
	}
	if err != nil {
		_ = l.command.Process.Kill()
		_ = l.command.Wait()
		return nil, err
	}
	return l, nil
}

// awaitReady returns nil once the node can serve. Otherwise it says what is wrong, and which line of
// the log tells more.
func (l *launch) awaitReady(ctx context.Context, c *client) error {
	defer l.process.close()
	tick := time.NewTicker(readyPause)
	defer tick.Stop()
	why := errors.New("it was not asked yet")
	for {
		if l.process.ended() {
			_ = l.command.Wait() // how it ended stands in ProcessState
			_ = os.Remove(l.pidFile())
			return fmt.Errorf("%s: the node ended (%s)%s", l.alias, l.command.ProcessState, l.clue())
		}
		err := c.ready(ctx, l.replica)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			end := "when the time was up"
			if errors.Is(ctx.Err(), context.Canceled) {
				end = "when start was interrupted"
			}
			return fmt.Errorf("%s: not ready %s, process %d goes on: %w%s", l.alias, end, l.process.pid, why, l.clue())
		}
		why = err
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// telling is what a log line has that says why a node does not work.
var telling = regexp.MustCompile(`^(?:panic|fatal error|node): |level=(?:ERROR|WARN)|"level":"(?:ERROR|WARN)"`)

// maxLog bounds the bytes of a log that are searched for a clue, and maxLine those that are shown.
const (
	maxLog  = 4 << 20
	maxLine = 500
)

// clue is the last telling line that the node has logged since it was started, or its last one.
func (l *launch) clue() string {
	f, err := os.Open(l.logFile())
	if err != nil {
		return ""
	}
	defer f.Close()
	before, err := io.ReadAll(io.LimitReader(f, l.logged)) // for the number of the line
	if err != nil {
		return ""
	}
	since, err := io.ReadAll(io.LimitReader(f, maxLog))
	if err != nil {
		return ""
	}
	first := strings.Count(string(before), "\n") + 1
	found, number, told := "", 0, false
	for i, line := range strings.Split(string(since), "\n") {
		if tells := telling.MatchString(line); strings.TrimSpace(line) != "" && (tells || !told) {
			found, number, told = line, first+i, tells
		}
	}
	if found == "" {
		return fmt.Sprintf("\n  %s has no new line", l.logFile())
	}
	return fmt.Sprintf("\n  %s:%d: %s", l.logFile(), number, found[:min(len(found), maxLine)])
}

// addressesFree says which address of the node cannot be listened at: better now, with the name of the
// field, than in the node's log.
func (r replica) addressesFree() error {
	for _, a := range []struct{ field, address string }{{"http_address", r.http}, {"rpc_address", r.rpc}} {
		listener, err := net.Listen("tcp", a.address)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", r.alias, a.field, err)
		}
		listener.Close()
	}
	return nil
}
