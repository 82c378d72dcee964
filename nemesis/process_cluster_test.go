package nemesis

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"testing"
)

// idleProgram makes this test binary idle, with a child that idles too, until its standard input ends.
const idleProgram = "RIFT_TEST_IDLE"

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(writingProgram) != "":
		if err := store(os.Getenv(writingProgram)); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	case os.Getenv(idleProgram) != "":
		idle()
		return
	}
	os.Exit(m.Run())
}

func idle() {
	child := exec.Command("/proc/self/exe")
	child.Env = []string{idleProgram + "=child"}
	if os.Getenv(idleProgram) == "parent" {
		child.Stdin = os.Stdin
		if err := child.Start(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("ready")
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// processCluster is a cluster of idle child processes of the test.
type processCluster struct {
	t      *testing.T
	leader string
	board  Board
	env    func(node string) string // that makes this test binary be a node; nil: one that idles

	mu    sync.Mutex
	nodes map[string]*idleNode
}

type idleNode struct {
	cmd   *exec.Cmd
	stdin io.Closer
}

func newProcessCluster(t *testing.T, n int) *processCluster {
	c := &processCluster{t: t, leader: "n2", nodes: make(map[string]*idleNode)}
	for i := range n {
		name := fmt.Sprintf("n%d", i+1)
		c.nodes[name] = nil
		if err := c.Start(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		for _, node := range c.Nodes() {
			if _, up := c.Host(node); up {
				_ = c.Kill(context.Background(), node)
			}
		}
	})
	return c
}

func (c *processCluster) Nodes() []string {
	var names []string
	for range c.nodes {
		names = append(names, fmt.Sprintf("n%d", len(names)+1))
	}
	return names
}

func (c *processCluster) Host(node string) (Host, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.nodes[node]
	if n == nil {
		return Host{}, false
	}
	p, err := openProcess(n.cmd.Process.Pid)
	if err != nil {
		return Host{}, false
	}
	defer p.close()
	return Host{Node: node, PID: p.pid}, !p.ended(context.Background(), 0)
}

func (c *processCluster) Start(_ context.Context, node string) error {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), idleProgram+"=parent")
	if c.env != nil {
		cmd.Env = append(os.Environ(), c.env(node))
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || line != "ready\n" {
		stdin.Close()
		_ = cmd.Wait()
		return fmt.Errorf("%w: it said %q", ErrEndedAtOnce, line)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.nodes[node]; old != nil { // it ended by itself
		old.stdin.Close()
		_ = old.cmd.Wait()
	}
	c.nodes[node] = &idleNode{cmd, stdin}
	return nil
}

// Kill ends the process; its child follows, as its standard input ends.
func (c *processCluster) Kill(_ context.Context, node string) error {
	c.mu.Lock()
	n := c.nodes[node]
	c.nodes[node] = nil
	c.mu.Unlock()
	if n == nil {
		return errors.New("it is down")
	}
	err := n.cmd.Process.Kill()
	n.stdin.Close()
	_ = n.cmd.Wait()
	return err
}

func (c *processCluster) Leader(context.Context) (string, error) {
	if c.leader == "" {
		return "", errors.New("nobody leads")
	}
	return c.leader, nil
}

func (c *processCluster) Peer(string) netip.AddrPort { return netip.AddrPort{} }
func (c *processCluster) Bridge() string             { return "" }
func (c *processCluster) Tag() string                { return "rifttest" }
func (c *processCluster) Board() *Board              { return &c.board }
