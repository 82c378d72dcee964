package system

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"

	"rift/harness"
	"rift/harness/history"
)

// The ports of a reference node; every node has an address of its own.
const (
	referenceHTTP = 8080
	referenceRaft = 7000
)

// simulatedCommit is the commit time-out in a simulation, where an idle message costs as much to compute as any other.
const simulatedCommit = "50ms"

// Reference is Rift's own replicated key-value store, package node.
type Reference struct {
	Bin string // the node's program; empty: "node" beside rift's own program
	// Transport carries the requests of clients to a node; nil: HTTP over TCP.
	Transport func(n harness.Node) http.RoundTripper
}

// Name is "node".
func (Reference) Name() string { return "node" }

// Doc is a line for `rift list`.
func (Reference) Doc() string {
	return "Rift's reference node: a replicated key-value store on hashicorp/raft"
}

// Functions are what the client can do.
func (Reference) Functions() []string {
	return append([]string{"read", "write", "cas", "add", "list"}, slices.Sorted(maps.Keys(transactions))...)
}

// Options are what the node and its client can be told.
func (Reference) Options() []history.Option {
	return []history.Option{
		{Name: "consistency", Usual: "linearizable", Allowed: []string{"linearizable", "stale"}, Doc: "of reads"},
		{
			Name: "transactions", Usual: "server", Allowed: []string{"server", referenceOptimistic},
			Doc: "optimistic: one that reads and writes is two requests, the second on condition that nothing has changed",
		},
		{Name: "commit-timeout", Usual: "10ms", Doc: "after which followers hear of a commit, if no other message tells them; in a simulation it is " + simulatedCommit + " unless given"},
		{Name: "snapshot-threshold", Usual: "2000", Doc: "log entries after which a snapshot is taken"},
		{Name: "trailing-logs", Usual: "4000", Doc: "log entries that are kept behind a snapshot"},
	}
}

// PeerPort is the raft port.
func (Reference) PeerPort() uint16 { return referenceRaft }

// Launch starts the first node alone, and has the others join it. A node that has data goes on with it.
func (s Reference) Launch(n harness.Node, all []harness.Node, t history.Test) (harness.Launch, error) {
	var join []string
	if n.Name != all[0].Name {
		join = []string{"-join", address(all[0], referenceHTTP)}
	}
	return s.launch(n, n.Name, join, t)
}

// launch starts a node under an identity.
func (s Reference) launch(n harness.Node, identity string, join []string, t history.Test) (harness.Launch, error) {
	program, err := s.program()
	if err != nil {
		return harness.Launch{}, err
	}
	commit := optionOf(s, t, "commit-timeout")
	if _, given := t.Options["commit-timeout"]; !given && t.Cluster == history.Simulated {
		commit = simulatedCommit
	}
	args := append([]string{
		"-id", identity, "-haddr", address(n, referenceHTTP), "-raddr", address(n, referenceRaft),
		"--cluster-id", "rift", "--snapshot-threshold", optionOf(s, t, "snapshot-threshold"),
		"--trailing-logs", optionOf(s, t, "trailing-logs"), "--snapshot-interval", "2s", "--commit-timeout", commit,
	}, join...)
	if len(t.Bugs) > 0 {
		args = append(args, "--bug", strings.Join(t.Bugs, ","))
	}
	return harness.Launch{Program: program, Args: append(args, n.Data)}, nil
}

func (s Reference) program() (string, error) {
	if s.Bin != "" {
		return s.Bin, nil
	}
	folders, err := programFolders()
	if err != nil {
		return "", err
	}
	for _, folder := range folders {
		if program := filepath.Join(folder, "node"); isFile(program) {
			return program, nil
		}
	}
	return "", errors.New("the node's program is neither beside rift nor in bin/: build it with `make build`, or name it with --bin")
}

func address(n harness.Node, port int) string {
	return net.JoinHostPort(n.IP.String(), fmt.Sprint(port))
}

// Form waits until every node knows the same leader, every node has a vote, and every node answers a linearizable read.
func (s Reference) Form(ctx context.Context, all []harness.Node) error {
	return form(ctx, func(ctx context.Context) string { return s.Missing(ctx, all) })
}

// Missing says what keeps the nodes from being one cluster that serves; empty if nothing does.
func (s Reference) Missing(ctx context.Context, all []harness.Node) string {
	return disunity(ctx, s, all)
}

func (s Reference) serves(ctx context.Context, n harness.Node) error {
	c := s.client(n, history.Test{})
	defer c.Close()
	_, err := c.read(ctx, "rift-form")
	return err
}

// Over is the same system with the requests of its clients carried by what a function gives for each node.
func (s Reference) Over(transport func(n harness.Node) http.RoundTripper) harness.Simulated {
	s.Transport = transport
	return s
}

// ClientPort is where nodes serve clients.
func (Reference) ClientPort() uint16 { return referenceHTTP }
