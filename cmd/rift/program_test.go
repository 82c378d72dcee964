package main

import (
	"bytes"
	"errors"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// program is a process of rift's that a test has started.
type program struct {
	cmd *exec.Cmd
	mu  sync.Mutex
	out bytes.Buffer
}

func start(t *testing.T, args ...string) *program {
	t.Helper()
	p := &program{cmd: exec.Command(args[0], args[1:]...)}
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.cmd.WaitDelay = 100 * time.Millisecond
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// Write takes down what the program says.
func (p *program) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

func (p *program) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// wait returns when the program has ended. What it has started may still hold its output, and is not waited for.
func (p *program) wait() error {
	if err := p.cmd.Wait(); !errors.Is(err, exec.ErrWaitDelay) {
		return err
	}
	return nil
}

// killAfter kills the program at a moment of its life, unless it has ended before.
func (p *program) killAfter(moment time.Duration) {
	timer := time.AfterFunc(moment, func() { _ = p.cmd.Process.Signal(syscall.SIGKILL) }) // fails if it has ended
	defer timer.Stop()
	_ = p.wait() // it was killed
}

// tags adds the tag that a run has said it carries.
func (p *program) tags(all map[string]bool) {
	if m := regexp.MustCompile(`tag (rift[0-9a-f]{6})`).FindStringSubmatch(p.output()); m != nil {
		all[m[1]] = true
	}
}

// phase is the last thing that the program said.
func (p *program) phase() string {
	lines := strings.Split(strings.TrimSpace(p.output()), "\n")
	return lines[len(lines)-1]
}
