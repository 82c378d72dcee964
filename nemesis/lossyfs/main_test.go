package lossyfs

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var (
	rounds = flag.Int("rounds", 24, "power failures in each of the long tests")
	seed   = flag.Uint64("seed", 1, "what the long tests draw from")
)

// childVariable asks this binary to be a program under test instead.
const childVariable = "LOSSYFS_TEST_CHILD"

// children are the programs under test, by name. They do not touch the testing package.
var children = map[string]func(args []string) error{
	"bolt":   boltChild,
	"commit": commitChild,
	"hold":   holdChild,
	"mapped": mappedChild,
	"pebble": pebbleChild,
	"sync":   syncChild,
}

func TestMain(m *testing.M) {
	if name := os.Getenv(childVariable); name != "" {
		if err := children[name](os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, name+":", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// child is a program under test that runs.
type child struct {
	*exec.Cmd
	lines chan string // what it prints, closed when it has ended
	done  chan struct{}
}

// start runs one of the children. It is killed at the end of the test at the latest.
func start(t testing.TB, name string, args ...string) *child {
	t.Helper()
	return startWith(t, nil, name, args...)
}

func startWith(t testing.TB, attributes *syscall.SysProcAttr, name string, args ...string) *child {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	c := &child{Cmd: exec.CommandContext(ctx, os.Args[0], args...), lines: make(chan string, 1024), done: make(chan struct{})}
	c.Env = append(os.Environ(), childVariable+"="+name)
	c.Stderr = os.Stderr
	c.SysProcAttr = attributes
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.done)
		defer close(c.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			c.lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		cancel()
		for range c.lines {
		}
		c.Cmd.Wait()
	})
	return c
}

// expect reads the child's lines until one has this prefix, and returns the rest of it.
func (c *child) expect(t testing.TB, prefix string) string {
	t.Helper()
	for line := range c.lines {
		if rest, ok := strings.CutPrefix(line, prefix); ok {
			return strings.TrimSpace(rest)
		}
	}
	t.Fatalf("the child ended before it said %q", prefix)
	return ""
}

// kill ends the child with SIGKILL and waits until it is gone. What it had still said is in its lines.
func (c *child) kill(t testing.TB) (rest []string) {
	t.Helper()
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for line := range c.lines {
		rest = append(rest, line)
	}
	c.Cmd.Wait()
	return rest
}

// requireFUSE skips a test, loudly, where nothing can be mounted.
func requireFUSE(t testing.TB) {
	t.Helper()
	why := ""
	if os.Geteuid() != 0 {
		why = "needs root to mount"
	} else if err := unix.Access("/dev/fuse", unix.R_OK|unix.W_OK); err != nil {
		why = fmt.Sprintf("needs /dev/fuse: %v", err)
	}
	switch {
	case why == "":
	case os.Getenv("RIFT_REQUIRE_DOCKER") == "1":
		t.Fatal(why)
	default:
		t.Skip(why)
	}
}

// mount mounts a fresh file system for the length of a test.
func mount(t testing.TB, o Options) *FS {
	t.Helper()
	requireFUSE(t)
	if o.Backing == "" {
		dir := t.TempDir()
		o.Backing, o.Mountpoint = filepath.Join(dir, "live"), filepath.Join(dir, "mnt")
		mkdir(t, o.Backing)
		mkdir(t, o.Mountpoint)
	}
	o.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	f, err := Mount(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func mkdir(t testing.TB, path string) {
	t.Helper()
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
}

// at is a path below the mount point.
func (f *FS) at(path string) string { return filepath.Join(f.options.Mountpoint, path) }

// live is a path below the backing folder.
func (f *FS) live(path string) string { return filepath.Join(f.options.Backing, path) }

// failPower fails the power and mounts again.
func failPower(t testing.TB, f *FS) Lost {
	t.Helper()
	lost, err := f.PowerFail(All, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Remount(); err != nil {
		t.Fatal(err)
	}
	return lost
}
