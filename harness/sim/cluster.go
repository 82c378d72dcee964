package sim

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"rift/harness"
	"rift/harness/history"
	"rift/nemesis"
)

// cluster is a system under test in a world.
type cluster struct {
	world    *world
	system   harness.Simulated
	test     history.Test
	nodes    []harness.Node
	machines map[string]*machine
	board    nemesis.Board
	askers   int // how many have got an address
	lanes    int // how many have got a number
}

// askTime bounds one question to one node, in virtual time.
const askTime = 400 * time.Millisecond

// newCluster makes machines with addresses and empty disks.
func newCluster(w *world, s harness.Simulated, t history.Test, p *Program, log func(node string) io.Writer) (*cluster, error) {
	c := &cluster{world: w, system: s, test: t, machines: make(map[string]*machine)}
	for i := range t.Nodes {
		ip := netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)})
		n := harness.Node{Name: fmt.Sprintf("n%d", i+1), IP: ip, Data: "/data"}
		c.nodes = append(c.nodes, n)
		c.machines[n.Name] = &machine{
			world: w, program: p, name: n.Name, output: log(n.Name), disk: newDisk(w.net.syncs[i]), clock: newClock(w), host: w.net.join(ip.String()),
			env: []string{"GOGC=400", "GOMEMLIMIT=1GiB", scheduleVariable + "=" + cmp.Or(t.Schedule, Schedules[0])},
		}
	}
	w.who = c.whoWaits
	if t.KeepQuorum {
		c.board.KeepQuorum(c.names, func(node string) bool { return c.machines[node].process != nil })
	}
	for _, n := range c.nodes {
		launch, err := s.Launch(n, c.nodes, t)
		if err != nil {
			return nil, fmt.Errorf("how to start %s: %w", n.Name, err)
		}
		m := c.machines[n.Name]
		m.args, m.env = launch.Args, append(m.env, launch.Env...)
	}
	return c, nil
}

// up starts all nodes, and waits until they serve.
func (c *cluster) up(most time.Duration) error {
	if err := c.raise(c.names()); err != nil {
		return err
	}
	const between = 100 * time.Millisecond
	until := c.world.now + most
	missing, done := "", false
	c.world.spawn(func(t *task) {
		s := c.asking(t)
		for c.world.now < until {
			if missing = s.Missing(context.Background(), c.nodes); missing == "" || !t.sleep(between) {
				break
			}
		}
		done = true
	})
	if err := c.world.until(func() bool { return done }); err != nil {
		return err
	}
	if missing != "" {
		return fmt.Errorf("the nodes have not formed a cluster within %s: %s", most, missing)
	}
	return nil
}

// raise starts those nodes that are down.
func (c *cluster) raise(nodes []string) error {
	for _, name := range nodes {
		if _, err := c.node(name); err != nil {
			return err
		}
		if m := c.machines[name]; m.process == nil {
			m.start()
		}
	}
	return nil
}

// whoWaits says for what each node waits, for a world in which nothing is going to happen.
func (c *cluster) whoWaits() string {
	var said []string
	for _, n := range c.nodes {
		m := c.machines[n.Name]
		what := "waits for a message"
		switch {
		case m.process == nil:
			what = "is down"
		case m.paused:
			what = "is paused"
		case !m.process.reads:
			what = "waits for nothing that could come"
		}
		said = append(said, n.Name+" "+what)
	}
	return strings.Join(said, ", ")
}

// down ends everything.
func (c *cluster) down() {
	for _, n := range c.nodes {
		c.machines[n.Name].kill()
	}
}

// asking is the system, asked by a task.
func (c *cluster) asking(t *task) harness.Simulated {
	transports := make(map[string]*transport)
	return c.system.Over(func(n harness.Node) http.RoundTripper {
		if transports[n.Name] == nil {
			transports[n.Name] = c.transport(t, n, askTime)
		}
		return transports[n.Name]
	})
}

// transport is a new connection's, with an address of its own: a client is no node, and no fault of the network is on its links.
func (c *cluster) transport(t *task, n harness.Node, timeout time.Duration) *transport {
	c.askers++
	ip := netip.AddrFrom4([4]byte{10, 1, byte(c.askers >> 8), byte(c.askers)})
	return newTransport(t, ip.String(), netip.AddrPortFrom(n.IP, c.system.ClientPort()).String(), timeout)
}

// client opens a worker's client.
func (c *cluster) client(t *task, worker int) (harness.Node, harness.Client) {
	n := c.nodes[worker%len(c.nodes)]
	carrier := c.transport(t, n, time.Duration(c.test.OpTimeout))
	client, err := c.system.Over(func(harness.Node) http.RoundTripper { return carrier }).Open(context.Background(), n, c.test)
	if err != nil {
		client = refuses{err}
	}
	return n, client
}

// refuses is the client that could not be opened.
type refuses struct{ error }

// Invoke fails.
func (r refuses) Invoke(context.Context, history.Op) (json.RawMessage, error) {
	return nil, errors.Join(r.error, harness.ErrDidNotHappen)
}

// Close does nothing.
func (refuses) Close() error { return nil }

// views asks every node what it believes, one after the other.
func (c *cluster) views(s harness.Simulated) []history.View {
	var views []history.View
	for _, n := range c.nodes {
		v, err := s.View(context.Background(), n)
		if err != nil {
			v = history.View{State: history.Unreachable}
		}
		v.Node, v.Time = n.Name, c.world.now
		views = append(views, v)
	}
	return views
}

// names lists the nodes.
func (c *cluster) names() []string {
	var names []string
	for _, n := range c.nodes {
		names = append(names, n.Name)
	}
	return names
}

// node finds a node by its name.
func (c *cluster) node(name string) (harness.Node, error) {
	i := slices.IndexFunc(c.nodes, func(n harness.Node) bool { return n.Name == name })
	if i < 0 {
		return harness.Node{}, nemesis.UnknownError{Field: "node", Given: name, Allowed: c.names()}
	}
	return c.nodes[i], nil
}
