package harness

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"rift/nemesis"
	"rift/nemesis/lossyfs"
	"rift/nemesis/netspace"
)

// localStop is how long nodes have to shut down by themselves when the cluster closes.
const localStop = 2 * time.Second

// Local runs nodes as plain processes, each in a network namespace of its own, joined by a bridge in the harness's
// namespace. It needs no container engine, and root or an Enclosure in which it is called root. Nodes see this machine's files as they are.
type Local struct {
	tag  string
	dir  string // the run's folder, for the nodes' logs
	data string // base of the nodes' data directories
	log  *slog.Logger

	disks  *disks
	subnet netip.Prefix

	mu    sync.Mutex
	nodes map[string]*localNode
}

type localNode struct {
	Node
	launch  Launch
	process *localProcess // the last that was started; nil before
	group   string        // path of its control group; empty where the machine gives none
}

// NewLocal checks that this program may make network namespaces. Nothing is made yet.
func NewLocal(o HostsOptions) (*Local, error) {
	if err := LocalAble(); err != nil {
		return nil, err
	}
	return &Local{tag: o.Tag, dir: o.Dir, data: o.Data, log: o.Log, disks: newDisks(o), nodes: make(map[string]*localNode)}, nil
}

// LocalAble says why this program cannot make a local cluster; nil if it can.
func LocalAble() error {
	if err := netspace.Able(); err != nil {
		return fmt.Errorf("a local cluster makes network namespaces, which needs root or a user namespace: %w", err)
	}
	return nil
}

// Kind is "local".
func (l *Local) Kind() string { return "local" }

// Create makes the bridge, a namespace for each node and the data directories.
func (l *Local) Create(ctx context.Context, names []string) ([]Node, error) {
	subnets, err := freeSubnets(l.tag)
	if err != nil {
		return nil, err
	}
	l.subnet = subnets[0]
	var nodes []Node
	for i, name := range names {
		n := Node{Name: name, IP: nodeAddr(l.subnet, i), Data: filepath.Join(l.data, name)}
		if err := l.disks.makeData(name, n.Data); err != nil {
			return nil, err
		}
		l.nodes[name] = &localNode{Node: n}
		nodes = append(nodes, n)
	}
	if err := createLocalNet(ctx, l.tag, l.subnet, nodes); err != nil {
		return nil, fmt.Errorf("make the local network: %w", err)
	}
	for name, path := range makeGroups(l.tag, nodes, l.log) {
		l.nodes[name].group = path
	}
	return nodes, nil
}

// Prepare takes how the nodes are started. A node that needs files at other paths than this machine has them is refused.
func (l *Local) Prepare(_ context.Context, launches map[string]Launch) error {
	for name, launch := range launches {
		n, err := l.node(name)
		if err != nil {
			return err
		}
		if n.launch, err = localLaunch(launch); err != nil {
			return fmt.Errorf("prepare %s: %w", name, err)
		}
	}
	return nil
}

// localLaunch checks that this machine can launch it as it stands.
func localLaunch(launch Launch) (Launch, error) {
	for there, here := range launch.Files {
		if there != here {
			return launch, fmt.Errorf("it needs %s at %s, but local nodes see this machine's files as they are; use --cluster docker", here, there)
		}
	}
	program, err := filepath.Abs(launch.Program)
	if err == nil {
		_, err = os.Stat(program)
	}
	if err != nil {
		return launch, fmt.Errorf("find its program: %w", err)
	}
	needed, err := launch.findLibraries()
	if err != nil {
		return launch, err
	}
	launch.Program, launch.Env = program, slices.Concat(needed.here(), launch.Env)
	return launch, nil
}

// Relaunch has a node that is down started in another way.
func (l *Local) Relaunch(_ context.Context, node string, launch Launch) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, err := l.down(node)
	if err != nil {
		return fmt.Errorf("relaunch %s: %w", node, err)
	}
	if n.launch, err = localLaunch(launch); err != nil {
		return fmt.Errorf("relaunch %s: %w", node, err)
	}
	return nil
}

// Wipe removes all data of a node that is down.
func (l *Local) Wipe(_ context.Context, node string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, err := l.down(node)
	if err != nil {
		return fmt.Errorf("wipe %s: %w", node, err)
	}
	return emptyFolder(n.Data)
}

// down is a node that must not run. The lock is held.
func (l *Local) down(node string) (*localNode, error) {
	n, err := l.node(node)
	if err == nil && n.process.runs() {
		err = fmt.Errorf("it runs, as process %d", n.process.pid)
	}
	return n, err
}

// Start starts a node's process in its namespace.
func (l *Local) Start(_ context.Context, node string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, err := l.node(node)
	if err != nil {
		return err
	}
	if n.process.runs() {
		return fmt.Errorf("start %s: it runs already, as process %d", node, n.process.pid)
	}
	if n.launch.Program == "" {
		return fmt.Errorf("start %s: it was not said how", node)
	}
	n.process, err = startLocal(localName(l.tag, node), n, nodeLog(l.dir, node), l.log)
	if err != nil {
		return fmt.Errorf("start %s: %w", node, err)
	}
	if n.group == "" {
		return nil
	}
	if err := joinGroup(n.group, localName(l.tag, node), n.process.pid); err != nil {
		return fmt.Errorf("start %s: %w", node, err)
	}
	return nil
}

// Kill ends all processes in a node's namespace with SIGKILL.
func (l *Local) Kill(ctx context.Context, node string) error {
	l.mu.Lock()
	n, err := l.node(node)
	var p *localProcess
	if err == nil {
		p = n.process
	}
	l.mu.Unlock()
	if err != nil {
		return err
	}
	if err := errors.Join(thaw(n.group), p.kill(ctx)); err != nil {
		return fmt.Errorf("kill %s: %w", node, err)
	}
	if _, err := killInside(ctx, localName(l.tag, node)); err != nil {
		return fmt.Errorf("kill %s: %w", node, err)
	}
	return nil
}

// Host is the node's process, if it runs.
func (l *Local) Host(node string) (nemesis.Host, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.nodes[node]
	if n == nil || !n.process.runs() {
		return nemesis.Host{}, false
	}
	return nemesis.Host{Node: node, PID: n.process.pid, NetNS: netspace.Path(localName(l.tag, node)), Cgroup: n.group, IP: n.IP}, true
}

// Disk is the lossy file system under a node's data directory; nil if the run has none.
func (l *Local) Disk(node string) *lossyfs.FS { return l.disks.of(node) }

// Bridge has the tag's name.
func (l *Local) Bridge() string { return l.tag }

// Gateway is this machine's address on the bridge.
func (l *Local) Gateway() netip.Addr { return gatewayAddr(l.subnet) }

// Describe names the kernel, which is all that the nodes share.
func (l *Local) Describe() map[string]string {
	about := map[string]string{"engine": "network namespaces"}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		about["kernel"] = unix.ByteSliceToString(u.Release[:])
	}
	l.disks.describe(about)
	return about
}

// Close asks the nodes to shut down, ends those that do not, and removes the namespaces, the bridge and the data.
func (l *Local) Close(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	polite, cancel := context.WithTimeout(ctx, localStop)
	defer cancel()
	var thawed error
	for _, n := range l.nodes {
		thawed = errors.Join(thawed, thaw(n.group)) // a frozen process does not hear
		n.process.terminate()
	}
	for _, n := range l.nodes {
		_ = n.process.wait(polite) // one that is late is killed
	}
	_, err := SweepLocal(ctx, l.tag)
	for _, n := range l.nodes {
		err = errors.Join(err, n.process.wait(ctx))
	}
	return errors.Join(thawed, err, l.disks.close(), os.RemoveAll(l.data))
}

func (l *Local) node(name string) (*localNode, error) {
	n := l.nodes[name]
	if n == nil {
		return nil, fmt.Errorf("node: %q given, which this cluster does not have", name)
	}
	return n, nil
}
