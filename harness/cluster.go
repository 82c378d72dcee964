package harness

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"rift/harness/history"
	"rift/nemesis"
	"rift/nemesis/lossyfs"
)

// viewTimeout bounds one question to one node.
const viewTimeout = 400 * time.Millisecond

// Cluster is a system under test on hosts that run it: what faults and clients see.
type Cluster struct {
	hosts  Hosts
	system System
	test   history.Test
	tag    string
	nodes  []Node // the members from the start, with which clients talk
	spares []Node // that membership faults may add
	log    *slog.Logger
	board  nemesis.Board
	view   nemesis.MembershipView

	mu         sync.Mutex
	enlisted   map[string]bool                        // spares that are members, or are to be
	identities map[string]string                      // node -> identity, of those that were given another than their name
	owners     map[string]string                      // the same the other way round, also of identities of old
	restarted  func(ctx context.Context, node string) // nil until faults run
}

// NodeNames are the names of the nodes of a cluster, n1 the first.
func NodeNames(nodes int) []string {
	var names []string
	for i := range nodes {
		names = append(names, fmt.Sprintf("n%d", i+1))
	}
	return names
}

// Up makes the hosts and starts every node, and waits until they serve.
func (c *Cluster) Up(ctx context.Context) error {
	all, err := c.hosts.Create(ctx, NodeNames(c.test.Nodes+c.test.Spares))
	if err != nil {
		return err
	}
	for i := range all {
		all[i].From = c.hosts.Gateway()
	}
	c.nodes, c.spares = all[:c.test.Nodes:c.test.Nodes], all[c.test.Nodes:]
	launches := make(map[string]Launch)
	for _, n := range c.nodes {
		if launches[n.Name], err = c.system.Launch(n, c.nodes, c.test); err != nil {
			return fmt.Errorf("how to start %s: %w", n.Name, err)
		}
	}
	if err := c.hosts.Prepare(ctx, launches); err != nil {
		return err
	}
	for _, n := range c.nodes {
		if err := c.hosts.Start(ctx, n.Name); err != nil {
			return err
		}
	}
	return c.system.Form(ctx, c.nodes)
}

// Recover starts the nodes that are down, whatever brought them down, and waits until the cluster serves again. A node that refuses to start
// on data that a fault has damaged stays down, and the others have to serve without it. It returns the nodes that it had to start.
func (c *Cluster) Recover(ctx context.Context) (started []string, err error) {
	if started, err = c.raise(ctx, c.Nodes()); err != nil {
		return started, err
	}
	return started, c.system.Form(ctx, c.standing())
}

// standing are the nodes but for those that stay down for the rest of the run.
func (c *Cluster) standing() []Node {
	var nodes []Node
	for _, n := range c.members() {
		if c.board.Kept(n.Name) == "" {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// raise starts those of the nodes that are down and need not stay so, and returns them.
func (c *Cluster) raise(ctx context.Context, nodes []string) (started []string, err error) {
	for _, node := range nodes {
		if _, up := c.Host(node); up || c.board.Kept(node) != "" {
			continue
		}
		if err := nemesis.StartAgain(ctx, c, node); err != nil {
			return started, err
		}
		if c.board.Kept(node) == "" {
			started = append(started, node)
		}
	}
	return started, nil
}

// keepQuorum has the board refuse faults that would leave no quorum. A node that ended by itself counts as gone.
func (c *Cluster) keepQuorum() {
	c.board.KeepQuorum(c.Nodes, func(node string) bool {
		_, up := c.Host(node)
		return up
	})
}

// Nodes lists the names of the nodes, without the spares that are no members.
func (c *Cluster) Nodes() []string {
	var names []string
	for _, n := range c.members() {
		names = append(names, n.Name)
	}
	return names
}

// Host is the node's running process.
func (c *Cluster) Host(node string) (nemesis.Host, bool) {
	h, up := c.hosts.Host(node)
	h.Port = c.system.PeerPort()
	return h, up
}

// Peer is the address on which the node answers its peers.
func (c *Cluster) Peer(node string) netip.AddrPort {
	n, known := c.node(node)
	if !known {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(n.IP, c.system.PeerPort())
}

// Bridge is the bridge that joins the nodes.
func (c *Cluster) Bridge() string { return c.hosts.Bridge() }

// Tag names the run.
func (c *Cluster) Tag() string { return c.tag }

// Board knows which nodes faults have taken.
func (c *Cluster) Board() *nemesis.Board { return &c.board }

// Disk is the lossy file system under a node's data directory; nil if the run has none there.
func (c *Cluster) Disk(node string) *lossyfs.FS {
	if d, ok := c.hosts.(nemesis.Disks); ok {
		return d.Disk(node)
	}
	return nil
}

// Kill ends a node's processes.
func (c *Cluster) Kill(ctx context.Context, node string) error { return c.hosts.Kill(ctx, node) }

// Start starts a node that is down, and has the faults that a restart undoes put in again.
func (c *Cluster) Start(ctx context.Context, node string) error {
	// A process that ended by itself has left its container or its reaper behind: Kill tidies up.
	if err := c.hosts.Kill(ctx, node); err != nil {
		return err
	}
	if err := c.hosts.Start(ctx, node); err != nil {
		return err
	}
	c.mu.Lock()
	restarted := c.restarted
	c.mu.Unlock()
	if restarted != nil {
		restarted(ctx, node)
	}
	return nil
}

// onRestart has f called whenever a node has been started.
func (c *Cluster) onRestart(f func(ctx context.Context, node string)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.restarted = f
}

// Leader asks all nodes who leads, until one that runs says that it does itself. If several do, it is the one with the highest term.
func (c *Cluster) Leader(ctx context.Context) (string, error) {
	v, err := c.leader(ctx)
	return v.Node, err
}

// leader is the leader's view.
func (c *Cluster) leader(ctx context.Context) (history.View, error) {
	const between = 50 * time.Millisecond
	for {
		if v, ok := LeaderOf(c.Views(ctx)); ok {
			return v, nil
		}
		if !pause(ctx, between) {
			return history.View{}, nemesis.ErrNoLeader
		}
	}
}

// LeaderOf is the view of the node that says it leads, of several the one with the highest term; false if none does.
func LeaderOf(views []history.View) (history.View, bool) {
	var best history.View
	for _, v := range views {
		if v.State == StateLeader && (best.Node == "" || v.Term > best.Term) {
			best = v
		}
	}
	return best, best.Node != ""
}

// StateLeader is the State of a View of a node that says it leads.
const StateLeader = "leader"

// Views asks every node what it believes, all at once; a node that does not answer in time is unreachable, and a spare that is no
// member and a node that stays down are not asked. Whom the system knows under another identity than its node's name is told by that name.
func (c *Cluster) Views(ctx context.Context) []history.View {
	ctx, cancel := context.WithTimeout(ctx, viewTimeout)
	defer cancel()
	all := slices.Concat(c.nodes, c.spares)
	views := make([]history.View, len(all))
	var wg sync.WaitGroup
	for i, n := range all {
		if i >= len(c.nodes) && !c.isEnlisted(n.Name) {
			views[i] = history.View{Node: n.Name, State: history.NoMember}
			continue
		}
		if c.board.Kept(n.Name) != "" {
			views[i] = history.View{Node: n.Name, State: history.Retired}
			continue
		}
		wg.Go(func() {
			v, err := c.system.View(ctx, n)
			if err != nil {
				v = history.View{State: history.Unreachable}
			}
			v.Node = n.Name
			views[i] = c.byNode(v)
		})
	}
	wg.Wait()
	return views
}
