// Package harness makes a run: it brings a cluster up, drives it with concurrent clients while faults come and
// go, and writes the history and the evidence into the run's folder.
//
// The one idea behind it is that a run is carried out, not made up: the plan is drawn from the seed before
// anything starts, and the harness adds only what it alone owns, the clock, the sockets and the processes.
package harness

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"

	"rift/harness/history"
	"rift/nemesis"
)

// ErrDidNotHappen marks an error after which the operation certainly had no effect. A client wraps
// it only where the system guarantees that; every other error leaves the operation indeterminate.
var ErrDidNotHappen = errors.New("did not happen")

// Client is one connection of one worker to one node. It is used by one goroutine at a time, makes one attempt a call and never
// retries. A nil error means ok, one that wraps ErrDidNotHappen means fail, any other means info.
type Client interface {
	Invoke(ctx context.Context, op history.Op) (json.RawMessage, error)
	Close() error
}

// Node is one member of the system under test.
type Node struct {
	Name string     // n1, n2, ...
	IP   netip.Addr // its own address, the same over restarts; nodes may use any port on it
	From netip.Addr // this machine's address on the nodes' network, to which clients bind
	Data string     // its data directory, as its process sees it
}

// Launch says how a node's process is started.
type Launch struct {
	Program string            // path, on this machine, of the program; a dynamic one is given its loader and its libraries
	Root    string            // folder of an unpacked package in which libraries are looked for before this machine's; may be empty
	Files   map[string]string // further files or folders that it needs: path in the image -> path on this machine
	Args    []string
	Env     []string
}

// System is a system under test: one file in harness/system.
type System interface {
	Name() string
	Doc() string
	// Functions lists the operations that its client can do.
	Functions() []string
	// Bugs lists the bugs that can be switched on in it, by name; it may be empty.
	Bugs() []Bug
	// Launch says how to start node n of all.
	Launch(n Node, all []Node, t history.Test) (Launch, error)
	// PeerPort is the TCP port on which nodes answer each other.
	PeerPort() uint16
	// Form waits, with all processes started, until the nodes have formed one cluster that serves.
	Form(ctx context.Context, all []Node) error
	// Open connects a client to a node. It may succeed while the node is down; the calls then fail.
	Open(ctx context.Context, n Node, t history.Test) (Client, error)
	// View asks a node what it believes.
	View(ctx context.Context, n Node) (history.View, error)
}

// Simulated is a system whose nodes can run in a simulated world (package harness/sim): its program is there for WebAssembly, and its clients speak HTTP.
type Simulated interface {
	System
	// Over is the same system with the requests of its clients carried by what a function gives for each node.
	Over(transport func(n Node) http.RoundTripper) Simulated
	// Missing says what keeps the nodes from being one cluster that serves; empty if nothing does. It asks each node once.
	Missing(ctx context.Context, all []Node) string
	// ClientPort is the TCP port on which nodes serve clients.
	ClientPort() uint16
}

// Optioned is a system that can be told more than how many nodes it is to have. One that is not takes no options.
type Optioned interface {
	Options() []history.Option
}

// Bounded is a system that runs on few nodes only.
type Bounded interface {
	// MostNodes is the highest number of nodes, and why it may not be more.
	MostNodes() (most int, why string)
}

// Describer is a system whose nodes tell what they are, once they serve: their version.
type Describer interface {
	Describe(ctx context.Context, n Node) (map[string]string, error)
}

// Snapshotter is a system whose nodes can be asked to write a snapshot.
type Snapshotter interface {
	// Snapshot has a node write a snapshot, and returns when it has. The error is of a node that did not.
	Snapshot(ctx context.Context, n Node) error
	// Unfinished is the pattern (path.Match), below a node's data directory, of what is there only while a snapshot is being written. Its last part
	// alone may have wildcards.
	Unfinished() string
}

// Abilities are what a system can beyond what every system can, for faults that need it. A system that has some implements
// Abilities() []string, or an interface that says so by itself.
func Abilities(s System) (abilities []string) {
	if able, ok := s.(interface{ Abilities() []string }); ok {
		abilities = able.Abilities()
	}
	if _, ok := s.(Snapshotter); ok {
		abilities = append(abilities, nemesis.AbilitySnapshot)
	}
	return abilities
}

// Bug is a bug that can be switched on in a system, and the test that is expected to find it.
type Bug struct {
	Name     string
	Doc      string
	Workload string            // under which it shows
	Nemesis  []string          // the faults under which it shows, as --nemesis takes them
	Plan     string            // or the plan under which it shows, as --plan takes it
	Checker  string            // the checker that is expected to find it
	Options  map[string]string // for the test
}

// Hosts starts and stops the nodes' processes: in containers (docker) or in network namespaces (local).
type Hosts interface {
	// Kind is "docker" or "local".
	Kind() string
	// Create makes the network and gives each name an address and an empty data directory. Nothing runs yet.
	Create(ctx context.Context, names []string) ([]Node, error)
	// Prepare takes how each node is started. It is called once, after Create, before the first Start. A node that it is not told of
	// must be relaunched before it is started.
	Prepare(ctx context.Context, launches map[string]Launch) error
	// Start starts a node that is not running, and returns when its process runs. Its output is appended to the node's log.
	Start(ctx context.Context, node string) error
	// Kill ends a node's processes with SIGKILL and returns when they are gone.
	Kill(ctx context.Context, node string) error
	// Wipe removes all data of a node that is down.
	Wipe(ctx context.Context, node string) error
	// Relaunch has a node that is down started in this way from now on, at the same address and on the same data directory.
	Relaunch(ctx context.Context, node string, l Launch) error
	// Host is the node's running process; false if it is down.
	Host(node string) (nemesis.Host, bool)
	// Bridge is the Linux bridge that joins the nodes, in this network namespace.
	Bridge() string
	// Gateway is this machine's own address on the bridge. Clients bind to it, so that nothing can leave for
	// elsewhere once the bridge is gone.
	Gateway() netip.Addr
	// Describe tells what is known of the subject: image digest, engine version, ...
	Describe() map[string]string
	// Close removes everything that Create, Prepare and Start made, except the logs. It is called once, whatever happened before.
	Close(ctx context.Context) error
}
