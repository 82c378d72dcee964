package harness

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/image"

	"rift/harness/history"
	"rift/nemesis"
	"rift/nemesis/lossyfs"
	"rift/nemesis/procevents"
)

// echoSystem is what faults need of a system whose nodes do nothing but listen: a port, and a leader.
type echoSystem struct{ System }

func (echoSystem) PeerPort() uint16 { return echoPort }

func (echoSystem) View(_ context.Context, n Node) (history.View, error) {
	if n.Name == "n2" {
		return history.View{State: StateLeader}, nil
	}
	return history.View{State: "follower"}, nil
}

// TestFaultsBiteOnEveryCluster puts in and heals faults of the kinds that need no more than processes, a network and a disk, on nodes that know
// nothing of tests, and believes only the evidence.
func TestFaultsBiteOnEveryCluster(t *testing.T) {
	tag := newLocalTag(t)
	program := buildListener(t)
	t.Run("local", func(t *testing.T) {
		hosts, err := NewLocal(faultsOptions(t, tag))
		if err != nil {
			t.Fatal(err)
		}
		checkFaultsBite(t, hosts, tag, program)
	})
	t.Run("docker", func(t *testing.T) {
		hosts, err := NewDocker(t.Context(), faultsOptions(t, tag))
		if err != nil {
			if os.Getenv(requireAll) == "1" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
		checkFaultsBite(t, hosts, tag, program)
		removeImages(t, hosts)
	})
}

// removeImages removes the images that were built, which clusters leave for the next run.
func removeImages(t *testing.T, d *Docker) {
	t.Helper()
	engine, err := DockerEngine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	for name := range d.images {
		if _, err := engine.ImageRemove(t.Context(), name, image.RemoveOptions{PruneChildren: true}); err != nil {
			t.Error(err)
		}
	}
}

func faultsOptions(t *testing.T, tag string) HostsOptions {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, history.NodesDir), 0o755); err != nil {
		t.Fatal(err)
	}
	return HostsOptions{Tag: tag, Dir: dir, Data: filepath.Join(dir, "data"), Log: slog.New(slog.DiscardHandler), Disk: DiskOptions{Model: string(lossyfs.Ext4)}}
}

// buildListener builds a static program that listens, and that syncs a file and reads it until that fails, so that it runs in an image FROM scratch.
func buildListener(t *testing.T) (path string) {
	t.Helper()
	const source = `package main

import ("log"; "net"; "os"; "path/filepath"; "time")

func write(dir string) {
	f, err := os.OpenFile(filepath.Join(dir, "file"), os.O_CREATE|os.O_RDWR, 0o644)
	for pace := time.NewTicker(5 * time.Millisecond); err == nil; <-pace.C {
		if _, err = f.WriteAt([]byte("written"), 0); err == nil {
			if err = f.Sync(); err == nil {
				_, err = f.ReadAt(make([]byte, 7), 0)
			}
		}
	}
	log.Fatal(err)
}

func main() {
	go write(os.Args[1])
	l, err := net.Listen("tcp4", ":7000")
	for err == nil {
		var c net.Conn
		if c, err = l.Accept(); err == nil {
			c.Close()
		} else {
			time.Sleep(10 * time.Millisecond)
			err = nil
		}
	}
	log.Fatal(err)
}`
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, "listener")
	build := exec.Command("go", "build", "-o", path, filepath.Join(dir, "main.go"))
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

func checkFaultsBite(t *testing.T, hosts Hosts, tag, program string) {
	t.Helper()
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := hosts.Close(ctx); err != nil {
			t.Error(err)
		}
		checkNothingLeft(t, tag)
	}()
	c := startListeners(t, hosts, tag, program)
	for id, p := range []history.PlannedFault{
		{Kind: "kill", Target: nemesis.Minority},
		{Kind: "kill", Target: nemesis.Leader},
		{Kind: "restart", Target: nemesis.Minority, Args: map[string]string{"signal": "term"}},
		{Kind: "crash-loop", Target: nemesis.One, Args: map[string]string{"up": "200ms"}},
		{Kind: "pause", Target: nemesis.Majority},
		{Kind: "freeze", Target: nemesis.Majority},
		{Kind: "cpu", Target: nemesis.Leader, Args: map[string]string{"share": "0.02"}},
		{Kind: "memory", Target: nemesis.Leader, Args: map[string]string{"headroom": "32"}},
		{Kind: "files", Target: nemesis.Leader, Args: map[string]string{"spare": "0"}},
		{Kind: "partition", Target: nemesis.Ring},
		{Kind: "partition", Target: nemesis.IsolateLeader},
		{Kind: "delay", Target: nemesis.Leader, Args: map[string]string{"delay": "20ms", "jitter": "5ms"}},
		{Kind: "loss", Target: nemesis.Pair, Args: map[string]string{"share": "0.3"}},
		{Kind: "duplicate", Target: nemesis.Minority, Args: map[string]string{"share": "0.3"}},
		{Kind: "reorder", Target: nemesis.One, Args: map[string]string{"share": "0.3", "hold": "20ms"}},
		{Kind: "corrupt", Target: nemesis.Pair, Args: map[string]string{"share": "0.3", "checksum": "stale"}},
		{Kind: "corrupt", Target: nemesis.Pair, Args: map[string]string{"share": "0.3", "checksum": "mended"}},
		{Kind: "bandwidth", Target: nemesis.All, Args: map[string]string{"mbit": "10"}},
		{Kind: "clock", Target: nemesis.Leader, Args: map[string]string{"skew": "bump", "offset": "1h"}},
		{Kind: "clock", Target: nemesis.All, Args: map[string]string{"skew": "drift", "rate": "0.8", "clock": "both"}},
		{Kind: "partition", Target: nemesis.LeaderMinority},
		{Kind: "power", Target: nemesis.Minority},
		{Kind: "disk-slow", Target: nemesis.Leader, Args: map[string]string{"mode": "stall"}},
		{Kind: "disk-slow", Target: nemesis.All, Args: map[string]string{"delay": "20ms"}},
		{Kind: "disk-error", Target: nemesis.One, Args: map[string]string{"nth": "2"}},
		{Kind: "disk-full", Target: nemesis.Leader},
		{Kind: "bit-flip", Target: nemesis.One},
	} {
		p.ID, p.For = id+1, history.Duration(20*time.Second)
		kind, err := nemesis.Find(p.Kind)
		if err != nil {
			t.Fatal(err)
		}
		if err := nemesis.Able([]history.PlannedFault{p}, c); err != nil {
			t.Fatal(err)
		}
		fault, err := kind.New(p)
		if err != nil {
			t.Fatal(err)
		}
		e, err := fault.Inject(t.Context(), c, rand.New(rand.NewPCG(1, uint64(p.ID))))
		t.Logf("%s: %s", p, e.Summary)
		if err != nil || !e.Proven {
			t.Errorf("%s: inject: %+v, error %v", p, e, err)
		}
		if r, ok := fault.(nemesis.Reapplier); ok && p.Target == nemesis.Leader { // one is enough: the others are put in again the same way
			again := checkReapplied(t, hosts, c, r, e.Nodes[0])
			if _, inTime := again.Measures[e.Nodes[0]+"_exec_to_skewed_ms"]; p.Kind == "clock" && !inTime && execsAreTold(t) {
				t.Errorf("%s: the clocks of a node that was started were not skewed at its exec: %+v", p, again)
			}
		}
		e, err = fault.Heal(t.Context(), c)
		t.Logf("%s: %s", p, e.Summary)
		if err != nil || !e.Proven {
			t.Errorf("%s: heal: %+v, error %v", p, e, err)
		}
	}
	checkRelaunched(t, hosts, c.nodes[4], program)
}

// checkRelaunched wipes a node, and has it started in another way. Both are refused while it runs.
func checkRelaunched(t *testing.T, hosts Hosts, n Node, program string) {
	t.Helper()
	node, data := n.Name, ""
	switch h := hosts.(type) {
	case *Local:
		data = filepath.Join(h.data, node)
	case *Docker:
		data = h.hostData(node)
	}
	marked := filepath.Join(data, "folder", "file")
	if err := errors.Join(os.MkdirAll(filepath.Dir(marked), 0o755), os.WriteFile(marked, nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	again := Launch{Program: program, Args: []string{n.Data}, Env: []string{"RELAUNCHED=yes"}}
	if hosts.Wipe(t.Context(), node) == nil || hosts.Relaunch(t.Context(), node, again) == nil {
		t.Error("a node that runs was wiped or relaunched")
	}
	before, _ := hosts.Host(node)
	if err := errors.Join(hosts.Kill(t.Context(), node), hosts.Wipe(t.Context(), node), hosts.Relaunch(t.Context(), node, again)); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(data); err != nil || len(left) > 0 {
		t.Errorf("after the wipe its folder holds %v, error %v", left, err)
	}
	if err := hosts.Start(t.Context(), node); err != nil {
		t.Fatal(err)
	}
	h, up := hosts.Host(node)
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", h.PID))
	if !up || h.PID == before.PID || h.IP != before.IP || !strings.Contains(string(env), "RELAUNCHED=yes") {
		t.Errorf("before %+v, after %+v, environment %q, error %v", before, h, env, err)
	}
	if err := errors.Join(hosts.Kill(t.Context(), node), hosts.Start(t.Context(), node)); err != nil {
		t.Errorf("restart what was relaunched: %v", err)
	}
}

// checkReapplied restarts a node that a fault has hit.
func checkReapplied(t *testing.T, hosts Hosts, c *Cluster, r nemesis.Reapplier, node string) history.Evidence {
	t.Helper()
	if err := errors.Join(hosts.Kill(t.Context(), node), hosts.Start(t.Context(), node)); err != nil {
		t.Fatal(err)
	}
	e, hit, err := r.Reapply(t.Context(), c, node)
	t.Log(e.Summary)
	if err != nil || !hit || !e.Proven {
		t.Errorf("reapply on %s: %+v, hit %t, error %v", node, e, hit, err)
	}
	return e
}

// execsAreTold says whether the kernel tells of execs here.
func execsAreTold(t *testing.T) bool {
	t.Helper()
	l, err := procevents.Listen()
	if err == nil {
		l.Close()
	}
	return err == nil
}

func startListeners(t *testing.T, hosts Hosts, tag, program string) *Cluster {
	t.Helper()
	names := []string{"n1", "n2", "n3", "n4", "n5"}
	nodes, err := hosts.Create(t.Context(), names)
	if err != nil {
		t.Fatal(err)
	}
	launches := make(map[string]Launch)
	for _, name := range names {
		data := nodes[slices.IndexFunc(nodes, func(n Node) bool { return n.Name == name })].Data
		launches[name] = Launch{Program: program, Args: []string{data}}
	}
	if err := hosts.Prepare(t.Context(), launches); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := hosts.Start(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	return &Cluster{hosts: hosts, system: echoSystem{}, tag: tag, nodes: nodes, log: slog.New(slog.DiscardHandler)}
}
