package harness

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"rift/harness/history"
	"rift/nemesis/cgroup"
	"rift/nemesis/lossyfs"
	"rift/nemesis/netspace"
)

// Environment of this test binary when a test starts it as another program.
const (
	echoAs      = "RIFT_TEST_ECHO"       // be a node with this name
	crashingTag = "RIFT_TEST_CRASHING"   // be a harness with this tag that does not close its cluster
	crashingDir = "RIFT_TEST_DIR"        // and this folder
	echoPort    = 7000                   // on which nodes answer with their name
	requireAll  = "RIFT_REQUIRE_DOCKER"  // "1": a machine that cannot run a test fails it
	helperTest  = "-test.run=^TestHelp$" // makes the test binary run nothing but TestHelp
)

// TestHelp is not a test but the programs that tests start.
func TestHelp(t *testing.T) {
	switch {
	case os.Getenv(echoAs) != "":
		echo(os.Getenv(echoAs))
	case os.Getenv(crashingTag) != "":
		l, _ := startEchoesOn(t, DiskOptions{Model: string(lossyfs.Strict)}, os.Getenv(crashingTag), os.Getenv(crashingDir), 2)
		h, _ := l.Host("n1")
		if os.Getenv(freezing) != "" {
			freezeNode(t, h)
		}
		fmt.Println("pid", h.PID)
		select {}
	default:
		t.Log("helps other tests when they start it")
	}
}

// echo answers each connection with the node's name.
func echo(name string) {
	listener, err := net.Listen("tcp4", fmt.Sprint(":", echoPort))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(name, "listens")
	for {
		c, err := listener.Accept()
		if err != nil {
			os.Exit(1)
		}
		fmt.Fprintln(c, name)
		c.Close()
	}
}

// startEchoes starts a local cluster of echo nodes and waits until they all listen.
func startEchoes(t *testing.T, tag, dir string, n int) (*Local, []Node) {
	t.Helper()
	return startEchoesOn(t, DiskOptions{}, tag, dir, n)
}

func startEchoesOn(t *testing.T, disk DiskOptions, tag, dir string, n int) (*Local, []Node) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, history.NodesDir), 0o755); err != nil {
		t.Fatal(err)
	}
	l, err := NewLocal(HostsOptions{Tag: tag, Dir: dir, Data: filepath.Join(dir, "data"), Disk: disk, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, n)
	launches := make(map[string]Launch)
	for i := range names {
		names[i] = fmt.Sprintf("n%d", i+1)
		launches[names[i]] = Launch{Program: os.Args[0], Args: []string{helperTest}, Env: []string{echoAs + "=" + names[i]}}
	}
	nodes, err := l.Create(t.Context(), names)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Prepare(t.Context(), launches); err != nil {
		t.Fatal(err)
	}
	for _, node := range nodes {
		if err := l.Start(t.Context(), node.Name); err != nil {
			t.Fatal(err)
		}
	}
	for _, node := range nodes {
		awaitEcho(t, node)
	}
	return l, nodes
}

// awaitEcho connects to a node until it answers with its name.
func awaitEcho(t *testing.T, n Node) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		c, err := net.DialTimeout("tcp4", echoAddr(n).String(), time.Second)
		if err == nil {
			said, _ := io.ReadAll(c)
			c.Close()
			if string(said) != n.Name+"\n" {
				t.Fatalf("%s answers %q", n.Name, said)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen: %v", n.Name, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func echoAddr(n Node) netip.AddrPort { return netip.AddrPortFrom(n.IP, echoPort) }

func newLocalTag(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		why := "network namespaces need root"
		if os.Getenv(requireAll) == "1" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	owner, err := Claim()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := SweepLocal(context.Background(), owner.Tag); err != nil {
			t.Error(err)
		}
		if err := owner.Release(); err != nil {
			t.Error(err)
		}
	})
	return owner.Tag
}

func TestLocalRunsNodes(t *testing.T) {
	tag, dir := newLocalTag(t), t.TempDir()
	l, nodes := startEchoes(t, tag, dir, 5)

	t.Run("every node reaches every other", func(t *testing.T) {
		var probes []netspace.Probe
		for _, from := range nodes {
			h, up := l.Host(from.Name)
			if !up || h.IP != from.IP {
				t.Fatalf("host of %s: %+v, up %t", from.Name, h, up)
			}
			for _, to := range nodes {
				probes = append(probes, netspace.Probe{From: h.NetNS, To: echoAddr(to)})
			}
		}
		for i, o := range netspace.Try(t.Context(), probes, 2*time.Second) {
			if !o.Answered {
				t.Errorf("%+v: %+v", probes[i], o)
			}
		}
	})

	t.Run("a node has no way beyond the network", func(t *testing.T) {
		h, _ := l.Host("n1")
		var routes []netlink.Route
		list := func() (err error) {
			routes, err = netlink.RouteList(nil, netlink.FAMILY_V4)
			return err
		}
		if err := netspace.Inside(h.NetNS, list); err != nil {
			t.Fatal(err)
		}
		for _, r := range routes {
			if r.Gw != nil || r.Dst == nil || !r.Dst.Contains(nodes[0].IP.AsSlice()) && !r.Dst.IP.IsLoopback() {
				t.Errorf("there is a route %v", r)
			}
		}
	})

	t.Run("kill and start again", func(t *testing.T) {
		before, _ := l.Host("n2")
		if err := l.Start(t.Context(), "n2"); err == nil {
			t.Error("n2 was started twice")
		}
		for range 2 { // killing what is down does no harm
			if err := l.Kill(t.Context(), "n2"); err != nil {
				t.Fatal(err)
			}
		}
		if h, up := l.Host("n2"); up {
			t.Errorf("n2 is up after its kill: %+v", h)
		}
		if c, err := net.DialTimeout("tcp4", echoAddr(nodes[1]).String(), time.Second); err == nil {
			c.Close()
			t.Error("n2 answers after its kill")
		}
		if err := l.Start(t.Context(), "n2"); err != nil {
			t.Fatal(err)
		}
		awaitEcho(t, nodes[1])
		if after, up := l.Host("n2"); !up || after.PID == before.PID || after.IP != before.IP {
			t.Errorf("n2 was %+v and is %+v", before, after)
		}
		log, err := os.ReadFile(nodeLog(dir, "n2"))
		if err != nil || strings.Count(string(log), "n2 listens\n") != 2 {
			t.Errorf("log of n2: %q, error %v; want both its lives in it", log, err)
		}
	})

	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkNothingLeft(t, tag)
	if _, err := os.Stat(nodes[0].Data); !os.IsNotExist(err) {
		t.Errorf("data of n1 is left: %v", err)
	}
}

// checkNothingLeft asks the system's own tools.
func checkNothingLeft(t *testing.T, tag string) {
	t.Helper()
	if names, _ := filepath.Glob(netspace.Path(tag + "*")); len(names) > 0 {
		t.Errorf("namespaces are left: %v", names)
	}
	tree, err := cgroup.Mounted()
	if err != nil {
		t.Fatal(err)
	}
	if slices.Contains(tree.Children("/"), tag) {
		t.Errorf("control groups are left: %s with %v", tag, tree.Children("/"+tag))
	}
	if mounts, err := os.ReadFile("/proc/self/mountinfo"); err != nil || strings.Contains(string(mounts), " "+tag+" ") {
		t.Errorf("a mount is left (error %v):\n%s", err, mounts)
	}
	devices, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range devices {
		if strings.HasPrefix(d.Name, tag) {
			t.Errorf("device %s is left", d.Name)
		}
	}
	if rules, err := exec.Command("iptables", "-w", "-S", "FORWARD").Output(); err == nil && strings.Contains(string(rules), tag) {
		t.Errorf("a firewall rule is left:\n%s", rules)
	}
}

func TestSweepLocalEndsWhatRuns(t *testing.T) {
	tag := newLocalTag(t)
	l, nodes := startEchoes(t, tag, t.TempDir(), 2)
	removed, err := SweepLocal(t.Context(), tag)
	if err != nil || len(removed) < len(nodes)*3+1 {
		t.Errorf("removed %q, error %v; want processes, devices and namespaces of %d nodes, and the bridge", removed, err, len(nodes))
	}
	checkNothingLeft(t, tag)
	for _, n := range nodes {
		if err := l.nodes[n.Name].process.wait(t.Context()); err != nil {
			t.Errorf("%s: %v", n.Name, err)
		}
	}
	if again, err := SweepLocal(t.Context(), tag); err != nil || len(again) > 0 {
		t.Errorf("sweeping again removed %q, error %v", again, err)
	}
}

// crash starts another harness with nodes under the tag, kills it and returns what was its first node.
func crash(t *testing.T, tag, dir string, env ...string) *process {
	t.Helper()
	harness := exec.Command(os.Args[0], helperTest)
	harness.Env = append(append(os.Environ(), crashingTag+"="+tag, crashingDir+"="+dir), env...)
	out, err := harness.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := harness.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	for lines := bufio.NewScanner(out); pid == 0 && lines.Scan(); {
		_, _ = fmt.Sscanf(lines.Text(), "pid %d", &pid) // other lines are the test framework's
	}
	node, err := openProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(node.close)
	if err := harness.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = harness.Wait()
	return node
}

// TestLocalNodesDieWithTheHarness kills a harness whose nodes' data lies on disks that it serves itself.
func TestLocalNodesDieWithTheHarness(t *testing.T) {
	tag, dir := newLocalTag(t), t.TempDir()
	node := crash(t, tag, dir)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := node.wait(ctx); err != nil {
		t.Errorf("a node outlived its harness: %v", err)
	}
	removed, err := sweepDisks(tag)
	if want := []string{"mount " + filepath.Join(dir, "data", "n1"), "mount " + filepath.Join(dir, "data", "n2")}; err != nil || !slices.Equal(removed, want) {
		t.Errorf("removed %q, error %v; want %q", removed, err, want)
	}
	if _, err := SweepLocal(t.Context(), tag); err != nil {
		t.Error(err)
	}
	checkNothingLeft(t, tag)
}

func TestLocalRefusesWhatItCannotDo(t *testing.T) {
	l := &Local{nodes: map[string]*localNode{"n1": {Node: Node{Name: "n1"}}}}
	for what, launch := range map[string]Launch{
		"files elsewhere": {Program: os.Args[0], Files: map[string]string{"/etc/node.yaml": "/home/node.yaml"}},
		"no program":      {Program: "/does/not/exist"},
	} {
		if err := l.Prepare(t.Context(), map[string]Launch{"n1": launch}); err == nil || !strings.Contains(err.Error(), "n1") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := l.Prepare(t.Context(), map[string]Launch{"n7": {Program: os.Args[0]}}); err == nil {
		t.Error("a node that does not exist was prepared")
	}
	if err := l.Start(t.Context(), "n1"); err == nil {
		t.Error("a node that nobody said how to start was started")
	}
	if err := l.Start(t.Context(), "n7"); err == nil {
		t.Error("a node that does not exist was started")
	}
	if err := l.Kill(t.Context(), "n7"); err == nil {
		t.Error("a node that does not exist was killed")
	}
}
