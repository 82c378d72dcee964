package system

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"rift/harness"
	"rift/harness/history"
)

// The ports of a reference node; every node has an address of its own.
const (
	referenceHTTP = 8080
	referenceRaft = 7000
)

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

// PeerPort is the raft port.
func (Reference) PeerPort() uint16 { return referenceRaft }

// Launch starts the first node alone, and has the others join it. A node that has data goes on with it.
func (s Reference) Launch(n harness.Node, all []harness.Node, t history.Test) (harness.Launch, error) {
	program, err := s.program()
	if err != nil {
		return harness.Launch{}, err
	}
	args := []string{
		"-id", n.Name, "-haddr", address(n, referenceHTTP), "-raddr", address(n, referenceRaft),
		"--cluster-id", "rift", "--snapshot-threshold", option(t, "snapshot-threshold", "2000"),
		"--trailing-logs", option(t, "trailing-logs", "4000"), "--snapshot-interval", "2s",
	}
	if n.Name != all[0].Name {
		args = append(args, "-join", address(all[0], referenceHTTP))
	}
	if len(t.Bugs) > 0 {
		args = append(args, "--bug", strings.Join(t.Bugs, ","))
	}
	return harness.Launch{Program: program, Args: append(args, n.Data)}, nil
}

func (s Reference) program() (string, error) {
	if s.Bin != "" {
		return s.Bin, nil
	}
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("look for the node's program: %w", err)
	}
	for _, path := range []string{filepath.Join(filepath.Dir(self), "node"), filepath.Join("bin", "node")} {
		if _, err := os.Stat(path); err == nil {
			return filepath.Abs(path)
		}
	}
	return "", errors.New("the node's program is neither beside rift nor in bin/: build it with `make build`, or name it with --bin")
}

func address(n harness.Node, port int) string {
	return net.JoinHostPort(n.IP.String(), fmt.Sprint(port))
}

func option(t history.Test, name, otherwise string) string {
	if v, ok := t.Options[name]; ok {
		return v
	}
	return otherwise
}

// Form waits until every node knows the same leader, every node has a vote, and every node answers a linearizable read.
func (s Reference) Form(ctx context.Context, all []harness.Node) error {
	const between = 100 * time.Millisecond
	for {
		missing := s.Missing(ctx, all)
		if missing == "" {
			return nil
		}
		select {
		case <-time.After(between):
		case <-ctx.Done():
			return fmt.Errorf("wait for the nodes to form a cluster: %s: %w", missing, ctx.Err())
		}
	}
}

// Missing says what keeps the nodes from being one cluster that serves; empty if nothing does.
func (s Reference) Missing(ctx context.Context, all []harness.Node) string {
	leader := ""
	for _, n := range all {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		v, err := s.View(ctx, n)
		switch {
		case err != nil:
			return fmt.Sprintf("%s does not answer: %v", n.Name, err)
		case v.Leader == "":
			return n.Name + " knows no leader"
		case leader != "" && v.Leader != leader:
			return fmt.Sprintf("%s follows %s, others follow %s", n.Name, v.Leader, leader)
		case len(v.Voters) < len(all): // more if some stay down for good
			return fmt.Sprintf("%s knows %d voters of %d", n.Name, len(v.Voters), len(all))
		}
		leader = v.Leader
		c := s.client(n, history.Test{})
		defer c.Close()
		if _, err := c.read(ctx, "rift-form"); err != nil {
			return fmt.Sprintf("%s does not serve: %v", n.Name, err)
		}
	}
	return ""
}

// Over is the same system with the requests of its clients carried by what a function gives for each node.
func (s Reference) Over(transport func(n harness.Node) http.RoundTripper) harness.Simulated {
	s.Transport = transport
	return s
}

// ClientPort is where nodes serve clients.
func (Reference) ClientPort() uint16 { return referenceHTTP }
