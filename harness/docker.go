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
	"strings"
	"sync"
	"time"

	"github.com/docker/docker/api/types/container"
	dockerclient "github.com/docker/docker/client"
	mobycontainer "github.com/moby/moby/api/types/container"
	mobynetwork "github.com/moby/moby/api/types/network"
	"github.com/testcontainers/testcontainers-go"
	tclog "github.com/testcontainers/testcontainers-go/log"
	tcnetwork "github.com/testcontainers/testcontainers-go/network"

	"rift/nemesis"
	"rift/nemesis/cgroup"
	"rift/nemesis/lossyfs"
)

// The labels of everything that a run makes in Docker.
const (
	labelTag    = "rift.tag"    // the run's tag
	labelKeeper = "rift.keeper" // where the tag is claimed
	labelNode   = "rift.node"   // the node's name
)

// containerData is where a node's data directory is mounted in its container.
const containerData = "/data"

// Docker runs nodes in containers: images FROM scratch, one internal bridge network with fixed addresses, data
// directories bound from this machine. testcontainers makes the network and the containers; what it does not offer
// (PID, kill, logs by container life) goes through the engine's client.
type Docker struct {
	tag    string
	dir    string // the run's folder, for the nodes' logs
	data   string // base of the nodes' data directories
	log    *slog.Logger
	engine *dockerclient.Client

	disks *disks

	network *testcontainers.DockerNetwork
	subnet  netip.Prefix

	mu         sync.Mutex
	images     map[string]string     // image -> digest
	built      map[string]builtImage // by program, root and files
	containers map[string]*dockerNode
}

// builtImage is an image that this run has built, and what its program needs in it.
type builtImage struct {
	name  string
	needs libraries
}

type dockerNode struct {
	Node
	container *testcontainers.DockerContainer
	process   *process // nil while it is down
	group     string   // path of its control group while it runs; empty if it has none of its own
	logs      *logFollower
}

// HostsOptions are what every kind of hosts is made from.
type HostsOptions struct {
	Tag  string // names all that is made
	Dir  string // the run's folder
	Data string // base folder of the nodes' data directories
	Disk DiskOptions
	Log  *slog.Logger
}

// NewDocker connects to the engine that the environment names; an error says why it does not answer.
func NewDocker(ctx context.Context, o HostsOptions) (*Docker, error) {
	engine, err := DockerEngine(ctx)
	if err != nil {
		return nil, err
	}
	tclog.SetDefault(quiet{o.Log})
	return &Docker{
		tag: o.Tag, dir: o.Dir, data: o.Data, log: o.Log, engine: engine, disks: newDisks(o),
		images: make(map[string]string), built: make(map[string]builtImage), containers: make(map[string]*dockerNode),
	}, nil
}

// pingTime bounds how long an engine may take to answer at all.
const pingTime = 10 * time.Second

// DockerEngine is a client of the engine that the environment names, checked to answer.
func DockerEngine(ctx context.Context) (*dockerclient.Client, error) {
	// The reaper's image would have to be pulled, and Rift sweeps by itself. Must be set before testcontainers reads its settings.
	if err := os.Setenv("TESTCONTAINERS_RYUK_DISABLED", "true"); err != nil {
		return nil, err
	}
	engine, err := dockerclient.NewClientWithOpts(dockerclient.FromEnv, dockerclient.WithAPIVersionNegotiation())
	if err != nil {
		return nil, fmt.Errorf("connect to Docker: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, pingTime)
	defer cancel()
	if _, err := engine.Ping(ctx); err != nil {
		engine.Close()
		return nil, fmt.Errorf("Docker does not answer: %w", err)
	}
	return engine, nil
}

// Kind is "docker".
func (d *Docker) Kind() string { return "docker" }

// Create makes the network and the data directories.
func (d *Docker) Create(ctx context.Context, names []string) ([]Node, error) {
	if err := d.createNetwork(ctx); err != nil {
		return nil, err
	}
	var nodes []Node
	for i, name := range names {
		if err := d.disks.makeData(name, d.hostData(name)); err != nil {
			return nil, err
		}
		node := Node{Name: name, IP: nodeAddr(d.subnet, i), Data: containerData}
		d.containers[name] = &dockerNode{Node: node}
		nodes = append(nodes, node)
	}
	return nodes, nil
}

// createNetwork tries subnets until the engine takes one: other networks may have been made in the meantime.
func (d *Docker) createNetwork(ctx context.Context) error {
	subnets, err := freeSubnets(d.tag)
	if err != nil {
		return err
	}
	for _, subnet := range subnets {
		d.network, err = tcnetwork.New(ctx,
			tcnetwork.WithDriver("bridge"), tcnetwork.WithInternal(),
			tcnetwork.WithLabels(map[string]string{labelTag: d.tag, labelKeeper: keeper()}),
			tcnetwork.WithIPAM(&mobynetwork.IPAM{Config: []mobynetwork.IPAMConfig{{Subnet: subnet, Gateway: gatewayAddr(subnet)}}}),
			bridgeNamed(d.tag))
		if err == nil {
			d.subnet = subnet
			return nil
		}
		if !strings.Contains(err.Error(), "overlap") {
			break
		}
	}
	return fmt.Errorf("make a Docker network: %w", err)
}

func (d *Docker) hostData(node string) string { return filepath.Join(d.data, node) }

// Prepare builds the images and makes the containers, without starting them.
func (d *Docker) Prepare(ctx context.Context, launches map[string]Launch) error {
	for name, launch := range launches {
		n := d.containers[name]
		if n == nil {
			return fmt.Errorf("prepare %q, which this cluster does not have", name)
		}
		c, err := d.makeContainer(ctx, n, launch)
		if err != nil {
			return err
		}
		n.container = c
	}
	return nil
}

// makeContainer makes a node's container, and its image unless this run has built it before.
func (d *Docker) makeContainer(ctx context.Context, n *dockerNode, launch Launch) (*testcontainers.DockerContainer, error) {
	key := fmt.Sprint(launch.Program, launch.Root, launch.Files)
	d.mu.Lock()
	image, built := d.built[key]
	d.mu.Unlock()
	if !built {
		var err error
		if image.needs, err = launch.findLibraries(); err != nil {
			return nil, err
		}
		if image.name, err = buildImage(ctx, d.engine, launch, image.needs); err != nil {
			return nil, err
		}
		d.noteImage(ctx, key, image)
	}
	launch.Env = slices.Concat(image.needs.inImage(), launch.Env)
	c, err := d.createContainer(ctx, n, launch, image.name)
	if err != nil {
		return nil, fmt.Errorf("make the container of %s: %w", n.Name, err)
	}
	return c, nil
}

func (d *Docker) noteImage(ctx context.Context, key string, image builtImage) {
	seen, err := d.engine.ImageInspect(ctx, image.name)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.built[key] = image
	if err == nil {
		d.images[image.name] = seen.ID
	}
}

func (d *Docker) createContainer(ctx context.Context, n *dockerNode, launch Launch, image string) (*testcontainers.DockerContainer, error) {
	env := make(map[string]string)
	for _, e := range launch.Env {
		k, v, _ := strings.Cut(e, "=")
		env[k] = v
	}
	c, err := testcontainers.GenericContainer(ctx, testcontainers.GenericContainerRequest{
		Logger: quiet{d.log},
		ContainerRequest: testcontainers.ContainerRequest{
			Image:      image,
			Name:       d.tag + "-" + n.Name,
			Entrypoint: []string{imageProgram(launch)},
			Cmd:        launch.Args,
			Env:        env,
			Labels:     map[string]string{labelTag: d.tag, labelKeeper: keeper(), labelNode: n.Name},
			Networks:   []string{d.network.Name},
			HostConfigModifier: func(h *mobycontainer.HostConfig) {
				h.Binds = []string{d.hostData(n.Name) + ":" + containerData}
			},
			EndpointSettingsModifier: func(m map[string]*mobynetwork.EndpointSettings) {
				for _, e := range m {
					e.IPAMConfig = &mobynetwork.EndpointIPAMConfig{IPv4Address: n.IP}
				}
			},
		},
	})
	if err != nil {
		return nil, err
	}
	made, ok := c.(*testcontainers.DockerContainer)
	if !ok {
		return nil, fmt.Errorf("testcontainers made a %T, not a Docker container", c)
	}
	return made, nil
}

// Start starts a node's container.
func (d *Docker) Start(ctx context.Context, node string) error {
	n, err := d.node(node)
	if err != nil {
		return err
	}
	id, began := n.container.GetContainerID(), time.Now()
	if err := d.engine.ContainerStart(ctx, id, container.StartOptions{}); err != nil {
		return fmt.Errorf("start %s: %w", node, err)
	}
	seen, err := d.engine.ContainerInspect(ctx, id)
	if err != nil {
		return fmt.Errorf("start %s: %w", node, err)
	}
	if !seen.State.Running {
		return fmt.Errorf("start %s: exit code %d: %w", node, seen.State.ExitCode, nemesis.ErrEndedAtOnce)
	}
	p, err := openProcess(seen.State.Pid)
	if err != nil {
		return fmt.Errorf("start %s: %w", node, err)
	}
	logs, err := followLogs(d.engine, id, began, d.logFile(node), d.log)
	if err != nil {
		p.close()
		return fmt.Errorf("follow the log of %s: %w", node, err)
	}
	group, err := cgroup.OfProcess(p.pid, id)
	if err != nil {
		d.log.Info("a node has no control group", "node", node, "error", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	n.process, n.logs, n.group = p, logs, group
	return nil
}

func (d *Docker) logFile(node string) string { return nodeLog(d.dir, node) }

// Kill ends a node with SIGKILL and returns when the engine knows that it is gone, so that it can be started again.
func (d *Docker) Kill(ctx context.Context, node string) error {
	n, err := d.node(node)
	if err != nil {
		return err
	}
	id := n.container.GetContainerID()
	d.mu.Lock()
	group := n.group
	d.mu.Unlock()
	if err := thaw(group); err != nil {
		return fmt.Errorf("kill %s: %w", node, err)
	}
	ended, failed := d.engine.ContainerWait(ctx, id, container.WaitConditionNotRunning)
	if err := d.engine.ContainerKill(ctx, id, "KILL"); err != nil && !strings.Contains(err.Error(), "is not running") {
		return fmt.Errorf("kill %s: %w", node, err)
	}
	select {
	case <-ended:
	case err := <-failed:
		return fmt.Errorf("kill %s: %w", node, err)
	}
	d.down(n)
	return nil
}

// down closes what belongs to a container's life that has ended.
func (d *Docker) down(n *dockerNode) {
	d.mu.Lock()
	p, logs := n.process, n.logs
	n.process, n.logs = nil, nil
	d.mu.Unlock()
	if p != nil {
		p.close()
	}
	if logs != nil {
		logs.wait()
	}
}

// Host is the node's process, if it runs.
func (d *Docker) Host(node string) (nemesis.Host, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.containers[node]
	if n == nil || n.process == nil || n.process.ended() {
		return nemesis.Host{}, false
	}
	h := n.process.host(n.Node)
	h.Cgroup = n.group
	return h, true
}

// Disk is the lossy file system under a node's data directory; nil if the run has none.
func (d *Docker) Disk(node string) *lossyfs.FS { return d.disks.of(node) }

// Bridge is the network's bridge; it has the tag's name.
func (d *Docker) Bridge() string { return d.tag }

// Gateway is this machine's address on the network.
func (d *Docker) Gateway() netip.Addr { return gatewayAddr(d.subnet) }

// Describe names the engine and the images.
func (d *Docker) Describe() map[string]string {
	about := make(map[string]string)
	ctx, cancel := context.WithTimeout(context.Background(), pingTime)
	defer cancel()
	if v, err := d.engine.ServerVersion(ctx); err == nil {
		about["engine"] = "Docker " + v.Version
		about["kernel"] = v.KernelVersion
	}
	d.disks.describe(about)
	d.mu.Lock()
	defer d.mu.Unlock()
	for image, digest := range d.images {
		about["image "+image] = digest
	}
	return about
}

// Close removes the containers, the network and the data. It goes by the labels: what was being made when the run was interrupted has
// perhaps been made, and nobody was told.
func (d *Docker) Close(ctx context.Context) error {
	_, err := removeLabelled(ctx, d.engine, func(labels map[string]string) bool { return labels[labelTag] == d.tag })
	for _, n := range d.containers {
		d.down(n)
	}
	return errors.Join(err, d.disks.close(), os.RemoveAll(d.data), d.engine.Close())
}

func (d *Docker) node(name string) (*dockerNode, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.containers[name]
	if n == nil || n.container == nil {
		return nil, fmt.Errorf("node: %q given, which this cluster does not have, or cannot start yet", name)
	}
	return n, nil
}

// quiet hands testcontainers' chatter to the log at debug level.
type quiet struct{ log *slog.Logger }

// Printf logs one line.
func (q quiet) Printf(format string, v ...any) {
	q.log.Debug(strings.TrimSpace(fmt.Sprintf(format, v...)))
}

// imagePrefix marks a program that is one of the files of the image, and no file of this machine.
const imagePrefix = "image:"

// imageProgram is the program's path in the image.
func imageProgram(l Launch) string {
	if p, ok := strings.CutPrefix(l.Program, imagePrefix); ok {
		return p
	}
	return "/" + filepath.Base(l.Program)
}
