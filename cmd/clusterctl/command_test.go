package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestBadUsage(t *testing.T) {
	path, _ := writeConfig(t, 3, t.TempDir())
	missing := filepath.Join(t.TempDir(), "no.yaml")
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"strat"}, `command: "strat" given; did you mean "start"?`},
		{[]string{"members", "remov"}, `command: "remov" given; did you mean "remove"?`},
		{[]string{"start", "-c", missing}, "config: open " + missing + ": no such file or directory"},
		{[]string{"start", "-c", t.TempDir()}, "is a directory"},
		{[]string{"start", "-c", path}, "bin_path: there is no "},
		{[]string{"start", "-c", path, "--timeout", "0s"}, "timeout: 0s given, more than 0 and at most 1h allowed"},
		{[]string{"start", "-c", path, "--timeout", "soon"}, `invalid argument "soon"`},
		{[]string{"stop", "-c", path, "nod3"}, `alias: "nod3" given; did you mean "node3"? allowed: node1, node2, node3`},
		{[]string{"get", "-c", path, "k", "--node", "x"}, `alias: "x" given; allowed: node1, node2, node3`},
		{[]string{"get", "-c", path, "k", "--node", ""}, `alias: "" given`},
		{[]string{"get", "-c", path, "k", "--timeout", "2m"}, "timeout: 2m0s given, 1ms to 1m0s allowed"},
		{[]string{"get", "-c", path}, "KEY: missing"},
		{[]string{"put", "-c", path, "k"}, "VALUE: missing"},
		{[]string{"delete", "-c", path, "a", "b"}, `arguments: ["a" "b"] given, 1 expected`},
		{[]string{"status", "-c", path, "node1"}, `arguments: ["node1"] given, 0 expected`},
		{[]string{"status", "-c", path, "--jsn"}, "unknown flag: --jsn"},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			ctl(t, test.args...).want(t, exitUsage, test.want)
		})
	}
}

func TestNothingRuns(t *testing.T) {
	path, _ := writeConfig(t, 2, t.TempDir())
	ctl(t, "status", "-c", path).want(t, exitFailed, "ALIAS", "down", "no node leads", "connection refused")
	ctl(t, "status", "-c", path, "--json").want(t, exitFailed, `"healthy": false`, `"state": "down"`)
	ctl(t, "get", "-c", path, "k").want(t, exitFailed, "no node could answer")
	ctl(t, "put", "-c", path, "k", "v").want(t, exitFailed, "certainly did not happen")
	ctl(t, "members", "-c", path).want(t, exitFailed, "no node could answer")
	ctl(t, "stop", "-c", path).want(t, exitDone, "no node was ever started")
}

// Something that takes a change and answers nonsense may have carried it out.
func TestNonsenseForAnAnswer(t *testing.T) {
	path, c := writeConfig(t, 1, t.TempDir())
	listener, err := net.Listen("tcp", c.replicas[0].http)
	if err != nil {
		t.Fatal(err)
	}
	nonsense := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }))
	nonsense.Listener.Close()
	nonsense.Listener = listener
	nonsense.Start()
	defer nonsense.Close()
	ctl(t, "put", "-c", path, "k", "v").want(t, exitUnknown, "put: outcome unknown", `read the answer "<html>"`)
	ctl(t, "get", "-c", path, "k").want(t, exitFailed, `read the answer "<html>"`)
	ctl(t, "status", "-c", path).want(t, exitFailed, "node1: read its status", "no node leads")
}

// Every command explains itself, with examples that name the command.
func TestHelp(t *testing.T) {
	var commands func(*cobra.Command)
	commands = func(c *cobra.Command) {
		if c.Short == "" || c.Long == "" || !strings.Contains(c.Example, c.CommandPath()) {
			t.Errorf("%s lacks help or examples", c.CommandPath())
		}
		for _, below := range c.Commands() {
			commands(below)
		}
	}
	commands((&app{}).root())
	ctl(t, "help").want(t, exitDone, "Exit codes: 0 done", "Examples:", "members")
	ctl(t).want(t, exitDone, "Available Commands:")
}

func TestCompletion(t *testing.T) {
	path, _ := writeConfig(t, 3, t.TempDir())
	ctl(t, "completion", "bash").want(t, exitDone, "bash completion")
	got := ctl(t, "__complete", "-c", path, "stop", "node2", "").out
	if !strings.HasPrefix(got, "node1\nnode3\n:4") {
		t.Errorf("completed to %q", got)
	}
	if got := ctl(t, "__complete", "-c", path, "get", "k", "--node", "").out; !strings.HasPrefix(got, "node1\nnode2\nnode3\n") {
		t.Errorf("completed to %q", got)
	}
}
