package main

import (
	"bytes"
	"context"
	"encoding/json"
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

	"golang.org/x/sys/unix"
)

// patience bounds every wait of these tests. None of them takes that long unless something is broken.
const patience = 30 * time.Second

// TestCluster runs clusters of real nodes.
func TestCluster(t *testing.T) {
	bin := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", filepath.Join(bin, "node"), "rift/cmd/node")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the node: %v\n%s", err, out)
	}
	for name, test := range map[string]struct {
		nodes int
		run   func(*testing.T, testCluster)
	}{
		"walk-through":        {5, walkThrough},
		"members come and go": {3, membersComeAndGo},
		"starting fails":      {2, startingFails},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.run(t, newTestCluster(t, test.nodes, bin))
		})
	}
}

// A testCluster is a configuration of real nodes.
type testCluster struct {
	*config
	path string
}

// newTestCluster describes a cluster, of which nothing is left running after the test.
func newTestCluster(t *testing.T, nodes int, bin string) testCluster {
	t.Helper()
	path, c := writeConfig(t, nodes, bin)
	t.Cleanup(func() {
		for _, p := range processesOf(t, c) {
			t.Logf("process %d is still there", p.pid)
			_ = p.signal(unix.SIGKILL)
			_ = p.wait(context.Background()) // the test's own context has ended
			p.close()
		}
	})
	return testCluster{c, path}
}

// processesOf finds all processes that work on the cluster's data, whatever the PID files say.
func processesOf(t *testing.T, c *config) []*process {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []*process
	for _, line := range lines {
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(line)))
		if !slices.ContainsFunc(c.replicas, func(r replica) bool { return isNode(pid, r) }) {
			continue
		}
		p, err := openProcess(pid)
		if err != nil {
			t.Fatal(err)
		}
		if p != nil {
			found = append(found, p)
		}
	}
	return found
}

// call runs a command on the cluster.
func (c testCluster) call(t *testing.T, args ...string) call {
	t.Helper()
	return ctl(t, append([]string{"-c", c.path}, args...)...)
}

// until runs a command on the cluster until it ends with a code and prints a text. It is for what may
// fail for a moment: on a busy machine, leaders can change at any time.
func (c testCluster) until(t *testing.T, code int, text string, args ...string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%q: exit code %d and %q", args, code, text), func() bool {
		got := c.call(t, args...)
		return got.code == code && strings.Contains(got.out+got.err, text)
	})
}

// leader waits until one of the nodes leads, and returns its alias.
func (c testCluster) leader(t *testing.T) (leader string) {
	t.Helper()
	eventually(t, "a leader", func() bool {
		leader = currentLeader(survey(t.Context(), c.replicas))
		return leader != ""
	})
	return leader
}

// post writes with the original store's API.
func post(t *testing.T, r replica, pairs map[string]string) {
	t.Helper()
	body, err := json.Marshal(pairs)
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, http.MethodPost, r, "/key", body)
}

// value reads with the original store's API.
func value(t *testing.T, r replica, key string) string {
	t.Helper()
	answer := roundTrip(t, http.MethodGet, r, "/key/"+key, nil)
	var pairs map[string]string
	if err := json.Unmarshal(answer, &pairs); err != nil || len(pairs) != 1 {
		t.Fatalf("GET /key/%s at %s: %s", key, r.alias, answer)
	}
	return pairs[key]
}

// roundTrip asks a node, again and again while it answers that it cannot do that now.
func roundTrip(t *testing.T, method string, r replica, path string, body []byte) []byte {
	t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	var answer bytes.Buffer
	eventually(t, fmt.Sprintf("%s %s at %s", method, path, r.alias), func() bool {
		request, err := http.NewRequestWithContext(t.Context(), method, "http://"+r.http+path, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		answer.Reset()
		if _, err := answer.ReadFrom(response.Body); err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != http.StatusOK && response.StatusCode < 500 {
			t.Fatalf("%s %s at %s: %s: %s", method, path, r.alias, response.Status, &answer)
		}
		return response.StatusCode == http.StatusOK
	})
	return answer.Bytes()
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("%s: not after %s", what, patience)
		}
	}
}

func (c testCluster) node(alias string) replica {
	return c.replicas[slices.Index(c.aliases(), alias)]
}

// walkThrough is the one of the original store's paper, with five real nodes.
func walkThrough(t *testing.T, c testCluster) {
	ctlProcess(t, "start", "-c", c.path).want(t, exitDone, "node1: ready at http://", "node5: ready at http://")
	for _, r := range c.replicas {
		pid, err := readPID(r.pidFile())
		if err != nil {
			t.Fatal(err)
		}
		if session, err := unix.Getsid(pid); err != nil || session != pid {
			t.Errorf("%s: process %d is in session %d, not in one of its own (%v)", r.alias, pid, session, err)
		}
	}
	c.until(t, exitDone, "leader", "status")
	c.until(t, exitDone, `"healthy": true`, "status", "--json")
	c.call(t, "start").want(t, exitFailed, "node1: already runs as process", "node5: already runs as process")
	c.call(t, "start", "node2").want(t, exitFailed, "node2: already runs as process")

	// Write on one node, read on every node.
	post(t, c.replicas[2], map[string]string{"user1": "batman", "user2": "robin"})
	for _, r := range c.replicas {
		if got := value(t, r, "user1"); got != "batman" {
			t.Errorf("%s: user1 is %q", r.alias, got)
		}
		c.until(t, exitDone, "robin\n", "get", "user2", "--node", r.alias)
	}
	roundTrip(t, http.MethodDelete, c.replicas[3], "/key/user1", nil)
	for _, r := range c.replicas {
		if got := value(t, r, "user1"); got != "" {
			t.Errorf("%s: user1 is still %q", r.alias, got)
		}
	}
	c.until(t, exitFailed, `there is no key "user1"`, "get", "user1")

	// Kill the leader; another one is elected, and the store goes on.
	killed := c.node(c.leader(t))
	kill(t, killed)
	if leader := c.leader(t); leader == killed.alias {
		t.Fatalf("the dead %s leads", leader)
	}
	c.call(t, "status").want(t, exitFailed, "down", killed.alias+": ", "connection refused")
	alive := slices.DeleteFunc(slices.Clone(c.replicas), func(r replica) bool { return r == killed })
	post(t, alive[0], map[string]string{"user1": "joker"})
	c.until(t, exitDone, "revision ", "put", "user3", "alfred")
	for _, r := range alive {
		if got := value(t, r, "user1"); got != "joker" {
			t.Errorf("%s: user1 is %q", r.alias, got)
		}
	}

	// The killed node comes back and has it all.
	ctlProcess(t, "start", "-c", c.path).want(t, exitDone, alive[0].alias+": already runs as process", killed.alias+": ready at http://")
	if got := value(t, killed, "user1"); got != "joker" {
		t.Errorf("%s: user1 is %q", killed.alias, got)
	}
	c.until(t, exitDone, "leader", "status")
	c.until(t, exitDone, "revision ", "delete", "user3")
	c.until(t, exitDone, "there was no such key", "delete", "user3")

	stopped := c.call(t, "stop")
	stopped.want(t, exitDone)
	if n := strings.Count(stopped.out, ": stopped (process "); n != 5 {
		t.Errorf("%d nodes were stopped, want 5", n)
	}
	c.wantNothing(t)
	c.call(t, "status").want(t, exitFailed, "no node leads")
	c.call(t, "stop").want(t, exitDone, "node1: was not running")
}

// wantNothing fails the test if a node runs, or if there is a PID file.
func (c testCluster) wantNothing(t *testing.T) {
	t.Helper()
	for _, p := range processesOf(t, c.config) {
		t.Errorf("process %d still runs", p.pid)
		p.close()
	}
	for _, r := range c.replicas {
		if _, err := os.Stat(r.pidFile()); !os.IsNotExist(err) {
			t.Errorf("%s is still there (%v)", r.pidFile(), err)
		}
	}
}

// kill ends a node as kill -9 does.
func kill(t *testing.T, r replica) {
	t.Helper()
	p, err := findProcess(r)
	if err != nil || p == nil {
		t.Fatalf("%s does not run: %v", r.alias, err)
	}
	defer p.close()
	if err := p.signal(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := p.wait(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// membersComeAndGo: a cluster that was stopped goes on with its data, and nodes come and go one by one.
func membersComeAndGo(t *testing.T, c testCluster) {
	c.call(t, "start", "node2").want(t, exitFailed, "there is no cluster yet that a node could join: start node1 too")
	ctlProcess(t, "start", "-c", c.path).want(t, exitDone)
	c.until(t, exitDone, "revision ", "put", "k", "v")
	c.call(t, "stop").want(t, exitDone)
	ctlProcess(t, "start", "-c", c.path).want(t, exitDone)
	c.until(t, exitDone, "v\n", "get", "k")
	c.until(t, exitDone, `"value": "v"`, "get", "k", "--stale", "--json", "--node", "node3")

	c.until(t, exitDone, "node1  voter", "members")
	c.until(t, exitUsage, `member: "nod3" given; did you mean "node3"? allowed: node1, node2, node3`, "members", "remove", "nod3")
	c.call(t, "stop", "node3").want(t, exitDone, "node3: stopped")
	c.until(t, exitDone, "node2", "members", "remove", "node3")
	if got := c.call(t, "members", "--json").out; strings.Contains(got, "node3") {
		t.Error("node3 is still a member")
	}
	if err := os.RemoveAll(c.node("node3").data()); err != nil {
		t.Fatal(err)
	}
	ctlProcess(t, "start", "-c", c.path, "node3").want(t, exitDone, "node3: ready")

	// The leader of the configuration loses its data: it must not found a second cluster.
	c.call(t, "stop", "node1").want(t, exitDone)
	if err := os.RemoveAll(c.node("node1").data()); err != nil {
		t.Fatal(err)
	}
	ctlProcess(t, "start", "-c", c.path, "node1").want(t, exitDone, "node1: ready")
	c.until(t, exitDone, "v\n", "get", "k", "--node", "node1")
	c.until(t, exitDone, "leader", "status")
	c.call(t, "stop").want(t, exitDone)
	c.wantNothing(t)
}

// startingFails: what goes wrong is told with the field or the line of the log.
func startingFails(t *testing.T, c testCluster) {
	occupied, err := net.Listen("tcp", c.replicas[1].rpc)
	if err != nil {
		t.Fatal(err)
	}
	c.call(t, "start").want(t, exitFailed, "node2: rpc_address: listen tcp", "address already in use")
	c.wantNothing(t)
	occupied.Close()

	ctlProcess(t, "start", "-c", c.path).want(t, exitDone)
	c.call(t, "stop").want(t, exitDone)
	database := filepath.Join(c.replicas[1].data(), "raft.db")
	if err := os.WriteFile(database, bytes.Repeat([]byte("damage"), 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(c.replicas[1].logFile())
	if err != nil {
		t.Fatal(err)
	}
	failed := ctlProcess(t, "start", "-c", c.path, "node2")
	failed.want(t, exitFailed, "node2: the node ended (exit status 1)", fmt.Sprintf("node.log:%d: node: ", bytes.Count(log, []byte("\n"))+1), "raft.db")
	c.wantNothing(t)

	// One of two nodes has no majority: it runs, but never gets ready.
	ctlProcess(t, "start", "-c", c.path, "node1", "--timeout", "1s").want(t, exitFailed,
		"node1: not ready when the time was up, process ", "goes on: ")
	c.until(t, exitFailed, "certainly did not happen", "put", "k", "v", "--timeout", "100ms")
	c.call(t, "stop").want(t, exitDone, "node1: stopped", "node2: was not running")
	c.wantNothing(t)
}
