package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// impostor starts a process that plays a role and goes by a command line, as the node of r would.
func impostor(t *testing.T, role string, r replica, args ...string) *exec.Cmd {
	t.Helper()
	c := &exec.Cmd{Path: os.Args[0], Args: append([]string{"node"}, args...), Env: append(os.Environ(), roleVariable+"="+role, noRaceSleep)}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the process did not get ready: %q, %v", line, err)
	}
	if err := os.MkdirAll(r.data(), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := writePID(r.pidFile(), c.Process.Pid); err != nil {
		t.Fatal(err)
	}
	return c
}

func testReplica(t *testing.T) replica {
	return replica{alias: "n1", http: "127.0.0.1:1", rpc: "127.0.0.1:2", dir: filepath.Join(t.TempDir(), "n1")}
}

func TestFindProcess(t *testing.T) {
	r := testReplica(t)
	elsewhere := filepath.Join(filepath.Dir(r.dir), "n2", "data")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(filepath.Dir(r.dir), link); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		args []string
		want bool
	}{
		{"the node", []string{"-id", "n1", "-haddr", r.http, r.data()}, true},
		{"the node, by another path", []string{"-id", "n1", "-haddr", r.http, filepath.Join(link, "n1", "data")}, true},
		{"another node", []string{"-id", "n2", "-haddr", r.http, elsewhere}, false},
		{"a node of the same name elsewhere", []string{"-id", "n1", "-haddr", r.http, elsewhere}, false},
		{"an editor of its data", []string{r.data()}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := impostor(t, "obedient", r, test.args...)
			p, err := findProcess(r)
			if err != nil {
				t.Fatal(err)
			}
			if (p != nil) != test.want {
				t.Fatalf("found %v, want a process: %t", p, test.want)
			}
			if p == nil {
				return
			}
			defer p.close()
			if p.pid != c.Process.Pid || p.ended() {
				t.Errorf("found process %d, ended: %t", p.pid, p.ended())
			}
		})
	}
}

func TestFindProcessOfFiles(t *testing.T) {
	gone := exec.Command(os.Args[0])
	gone.Env = append(os.Environ(), roleVariable+"=clusterctl", noRaceSleep) // prints its help
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, file, problem string }{
		{"ended", strconv.Itoa(gone.Process.Pid), ""},
		{"another program", strconv.Itoa(os.Getpid()) + "\n", ""},
		{"empty", "", `node.pid: "" given, the number of a process expected`},
		{"a word", "seven", `node.pid: "seven" given, the number of a process expected`},
		{"all processes", "-1", `node.pid: "-1" given, the number of a process expected`},
		{"the own group", "0", `node.pid: "0" given, the number of a process expected`},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := testReplica(t)
			if err := os.MkdirAll(r.dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if p, err := findProcess(r); p != nil || err != nil {
				t.Fatalf("found %v without a PID file, %v", p, err)
			}
			if err := os.WriteFile(r.pidFile(), []byte(test.file), 0o644); err != nil {
				t.Fatal(err)
			}
			p, err := findProcess(r)
			if p != nil {
				t.Fatalf("found process %d", p.pid)
			}
			if test.problem == "" && err != nil || test.problem != "" && (err == nil || !strings.Contains(err.Error(), test.problem)) {
				t.Errorf("got the error %v, want %q", err, test.problem)
			}
		})
	}
}

func TestStopOneNode(t *testing.T) {
	for _, test := range []struct {
		role, want string
		timeout    time.Duration
	}{
		{"obedient", "stopped (process ", time.Minute},
		{"stubborn", "killed, for it had not ended after 50ms (process ", 50 * time.Millisecond},
	} {
		t.Run(test.role, func(t *testing.T) {
			r := testReplica(t)
			impostor(t, test.role, r, "-id", "n1", "-haddr", r.http, r.data())
			outcome, err := r.stop(t.Context(), test.timeout)
			if err != nil || !strings.HasPrefix(outcome, test.want) {
				t.Fatalf("got %q, %v; want %q", outcome, err, test.want)
			}
			if _, err := os.Stat(r.pidFile()); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the PID file is still there: %v", err)
			}
			if outcome, err := r.stop(t.Context(), test.timeout); outcome != "was not running" || err != nil {
				t.Errorf("stopped again: %q, %v", outcome, err)
			}
		})
	}
}

// A process that is not the node is left alone, whatever the PID file says.
func TestStopSparesOtherProcesses(t *testing.T) {
	r := testReplica(t)
	c := impostor(t, "obedient", r, "-id", "n2", "-haddr", r.http, r.data())
	if outcome, err := r.stop(t.Context(), time.Minute); outcome != "was not running" || err != nil {
		t.Fatalf("got %q, %v", outcome, err)
	}
	p, err := openProcess(c.Process.Pid)
	if err != nil || p == nil {
		t.Fatalf("the process has gone: %v", err)
	}
	defer p.close()
	if p.ended() {
		t.Error("the process has ended")
	}
}

// Wait can be given up, and then be done again.
func TestWaitIsInterrupted(t *testing.T) {
	r := testReplica(t)
	c := impostor(t, "obedient", r, "-id", "n1", "-haddr", r.http, r.data())
	p, err := openProcess(c.Process.Pid)
	if err != nil || p == nil {
		t.Fatalf("got %v, %v", p, err)
	}
	defer p.close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.wait(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := p.wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := p.wait(t.Context()); err != nil || !p.ended() {
		t.Fatalf("got %v", err)
	}
}

func TestLockIsExclusive(t *testing.T) {
	dir := t.TempDir()
	unlock, err := lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock(dir); err == nil || !strings.Contains(err.Error(), "another clusterctl is starting or stopping nodes in "+dir) {
		t.Errorf("got %v", err)
	}
	unlock()
	unlock, err = lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

// The followers are stopped before the leader, whoever that is by now.
func TestStopsLeaderLast(t *testing.T) {
	path, c := writeConfig(t, 3, t.TempDir())
	for i, state := range []string{"follower", "leader", "follower"} {
		r := c.replicas[i]
		listener, err := net.Listen("tcp", r.http)
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"id":%q,"state":%q,"term":2}`, r.alias, state)
		})}
		served := make(chan error, 1)
		go func() { served <- server.Serve(listener) }()
		t.Cleanup(func() { server.Close(); <-served })
		impostor(t, "obedient", r, "-id", r.alias, "-haddr", r.http, r.data())
	}
	got := ctl(t, "stop", "-c", path)
	got.want(t, exitDone)
	var order []string
	for line := range strings.Lines(got.out) {
		alias, _, _ := strings.Cut(line, ": stopped (process ")
		order = append(order, alias)
	}
	if want := []string{"node1", "node3", "node2"}; !slices.Equal(order, want) {
		t.Errorf("stopped %q, want %q", order, want)
	}
}
