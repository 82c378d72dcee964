package nemesis

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rift/nemesis/vdso"
)

// idleProgram makes this test binary idle, with a child that idles too, until its standard input ends. It accepts connections and
// keeps them.
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
	if os.Getenv(idleProgram) == "clock" {
		tellTime()
		return
	}
	child := exec.Command("/proc/self/exe")
	child.Env = []string{idleProgram + "=child"}
	if os.Getenv(idleProgram) == "parent" {
		child.Stdin = os.Stdin
		if err := child.Start(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		go keepConnections(l)
		fmt.Println("ready", l.Addr().(*net.TCPAddr).Port)
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// tellTime answers "now" with the time as this program sees it, "child" with the number of a child that it starts, and replaces itself on "exec".
func tellTime() {
	fmt.Println("ready")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		switch lines.Text() {
		case "now":
			fmt.Println(time.Now().UnixNano())
		case "exec":
			err := syscall.Exec("/proc/self/exe", os.Args, os.Environ())
			fmt.Println("it could not replace itself:", err)
		case "child":
			child := exec.Command("/proc/self/exe")
			child.Env = append(os.Environ(), idleProgram+"=child")
			stdin, err := child.StdinPipe()
			if err == nil {
				err = child.Start()
			}
			if err != nil {
				fmt.Println("it could not start a child:", err)
				return
			}
			defer stdin.Close()
			fmt.Println(child.Process.Pid)
		}
	}
}

// keepConnections accepts until the program ends, also when it has no descriptor for a while. What it accepts stays open as long as
// the other side keeps it.
func keepConnections(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			time.Sleep(5 * time.Millisecond)
			continue
		}
		go func() {
			_, _ = io.Copy(io.Discard, c)
			c.Close()
		}()
	}
}

// processCluster is a cluster of idle child processes of the test.
type processCluster struct {
	t       testing.TB
	leader  string
	board   Board
	program string                   // which of the test's programs the nodes are: "parent" or "clock"
	env     func(node string) string // that makes this test binary be a node; nil: the program
	groups  string                   // above the nodes' control groups; empty if they have none

	mu    sync.Mutex
	nodes map[string]*idleNode
}

type idleNode struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader
	port   uint16
}

func newProcessCluster(t *testing.T, n int) *processCluster {
	return newProgramCluster(t, n, "parent")
}

func newProgramCluster(t testing.TB, n int, program string) *processCluster {
	c := &processCluster{t: t, leader: "n2", program: program, nodes: make(map[string]*idleNode)}
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
	c.mu.Lock()
	defer c.mu.Unlock()
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
	h := Host{
		Node: node, PID: n.cmd.Process.Pid, NetNS: fmt.Sprintf("/proc/%d/ns/net", n.cmd.Process.Pid),
		IP: netip.AddrFrom4([4]byte{127, 0, 0, 1}), Port: n.port,
	}
	if c.groups != "" {
		h.Cgroup = c.groups + "/" + node
	}
	p, err := openProcess(h.PID)
	if err != nil {
		return Host{}, false
	}
	defer p.close()
	return h, !p.ended(context.Background(), 0)
}

func (c *processCluster) Start(_ context.Context, node string) error {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), idleProgram+"="+c.program)
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
	n := &idleNode{cmd: cmd, stdin: stdin, stdout: bufio.NewReader(stdout)}
	line, err := n.stdout.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "ready") {
		stdin.Close()
		_ = cmd.Wait()
		return fmt.Errorf("%w: it said %q", ErrEndedAtOnce, line)
	}
	_, _ = fmt.Sscanf(line, "ready %d", &n.port) // not every program listens
	c.mu.Lock()
	if old := c.nodes[node]; old != nil { // it ended by itself
		old.stdin.Close()
		_ = old.cmd.Wait()
	}
	c.nodes[node] = n
	c.mu.Unlock()
	if c.groups == "" {
		return nil
	}
	return c.join(node)
}

// ask sends a line to a node's program, and returns its answer.
func (c *processCluster) ask(node, line string) string {
	c.t.Helper()
	c.mu.Lock()
	n := c.nodes[node]
	c.mu.Unlock()
	if _, err := fmt.Fprintln(n.stdin, line); err != nil {
		c.t.Fatal(err)
	}
	answer, err := n.stdout.ReadString('\n')
	if err != nil {
		c.t.Fatalf("%s does not answer %q: %v", node, line, err)
	}
	return strings.TrimSpace(answer)
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
	_ = vdso.AwaitEnd(n.cmd.Process.Pid) // a fault that is in may be about to skew its clocks
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
