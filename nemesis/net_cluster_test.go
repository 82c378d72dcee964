package nemesis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"rift/nemesis/netspace"
)

// netCluster is a cluster of empty network namespaces on a bridge. Nothing runs in them: a refused connect is an answer.
type netCluster struct {
	t      *testing.T
	nodes  []string
	down   map[string]bool
	leader string
	board  Board
}

const (
	netTag  = "nettest"
	netPort = 7000
)

// newNetCluster makes the cluster in a network namespace of the test's own, and leaves the test's goroutine there. The
// nodes have no IPv6.
func newNetCluster(t *testing.T, n int) *netCluster {
	t.Helper()
	if os.Geteuid() != 0 {
		why := "network namespaces need root"
		if os.Getenv("RIFT_REQUIRE_DOCKER") == "1" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	runtime.LockOSThread() // for good: the thread ends with the test's goroutine
	check(t, unix.Unshare(unix.CLONE_NEWNET))
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: netTag, HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 1}}}
	check(t, netlink.LinkAdd(bridge))
	checkUp(t, netTag, "198.18.0.1/24")
	c := &netCluster{t: t, leader: "n2", down: make(map[string]bool)}
	for i := range n {
		node := fmt.Sprintf("n%d", i+1)
		c.nodes = append(c.nodes, node)
		t.Cleanup(func() { check(t, netspace.Remove(namespaceOf(node))) })
		c.connect(node)
	}
	if a, err := awaitAnswers(t.Context(), c, pairs(c.nodes)); err != nil || a != (answers{n * (n - 1) / 2, n * (n - 1) / 2}) {
		t.Fatalf("the nodes do not reach each other: %+v, error %v", a, err)
	}
	return c
}

// connect gives a node a namespace, and joins it to the bridge.
func (c *netCluster) connect(node string) {
	t := c.t
	t.Helper()
	bridge, err := netlink.LinkByName(netTag)
	check(t, err)
	check(t, netspace.Create(namespaceOf(node)))
	namespace, err := os.Open(netspace.Path(namespaceOf(node)))
	check(t, err)
	defer namespace.Close()
	check(t, netlink.LinkAdd(&netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: netTag + node, MasterIndex: bridge.Attrs().Index},
		PeerName:  "eth0", PeerNamespace: netlink.NsFd(int(namespace.Fd())),
	}))
	checkUp(t, netTag+node, "")
	c.inside(node, func() error {
		_ = os.WriteFile("/proc/sys/net/ipv6/conf/all/disable_ipv6", []byte("1"), 0) // not there without IPv6
		checkUp(t, "lo", "")
		checkUp(t, "eth0", c.Peer(node).Addr().String()+"/24")
		return nil
	})
}

// renew gives a node a new namespace in the place of its old one, as a container engine does with a restart.
func (c *netCluster) renew(node string) {
	c.t.Helper()
	old, err := netlink.LinkByName(netTag + node)
	check(c.t, err)
	check(c.t, netlink.LinkDel(old))
	check(c.t, netspace.Remove(namespaceOf(node)))
	c.connect(node)
	for _, other := range c.nodes { // their neighbour's hardware address is another one now
		c.inside(other, func() error {
			eth0, err := netlink.LinkByName("eth0")
			if err != nil {
				return err
			}
			return errors.Join(netlink.LinkSetARPOff(eth0), netlink.LinkSetARPOn(eth0))
		})
	}
	if a, err := awaitAnswers(c.t.Context(), c, pairs(c.nodes)); err != nil || a.probed != a.answered {
		c.t.Fatalf("the nodes do not reach each other: %+v, error %v", a, err)
	}
}

func namespaceOf(node string) string { return fmt.Sprintf("nemesis-test-%d-%s", os.Getpid(), node) }

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func checkUp(t *testing.T, device, address string) {
	t.Helper()
	link, err := netlink.LinkByName(device)
	check(t, err)
	if address != "" {
		ip, err := netlink.ParseAddr(address)
		check(t, err)
		check(t, netlink.AddrAdd(link, ip))
	}
	check(t, netlink.LinkSetUp(link))
}

func (c *netCluster) inside(node string, f func() error) {
	c.t.Helper()
	check(c.t, netspace.Inside(netspace.Path(namespaceOf(node)), f))
}

// udp makes a socket in a node's namespace, on the port for peers.
func (c *netCluster) udp(node string) *net.UDPConn {
	c.t.Helper()
	var socket *net.UDPConn
	c.inside(node, func() (err error) {
		socket, err = net.ListenUDP("udp4", &net.UDPAddr{Port: netPort})
		return err
	})
	c.t.Cleanup(func() { socket.Close() })
	return socket
}

func (c *netCluster) Nodes() []string { return c.nodes }

func (c *netCluster) Host(node string) (Host, bool) {
	if c.down[node] {
		return Host{}, false
	}
	return Host{Node: node, NetNS: netspace.Path(namespaceOf(node))}, true
}

func (c *netCluster) Peer(node string) netip.AddrPort {
	for i, n := range c.nodes {
		if n == node {
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, 0, byte(11 + i)}), netPort)
		}
	}
	return netip.AddrPort{}
}

func (c *netCluster) Leader(context.Context) (string, error) {
	if c.leader == "" {
		return "", errors.New("nobody leads")
	}
	return c.leader, nil
}

func (c *netCluster) Bridge() string                      { return netTag }
func (c *netCluster) Tag() string                         { return netTag }
func (c *netCluster) Board() *Board                       { return &c.board }
func (c *netCluster) Kill(context.Context, string) error  { return errors.ErrUnsupported }
func (c *netCluster) Start(context.Context, string) error { return errors.ErrUnsupported }

// strayCluster says of its nodes' peers addresses that are not theirs.
type strayCluster struct{ *netCluster }

func (c strayCluster) Peer(node string) netip.AddrPort {
	real := c.netCluster.Peer(node)
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, 0, 1}), real.Port())
}

// exposeIPv6 gives the calling thread's device an IPv6 address.
func exposeIPv6() error {
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/all/disable_ipv6", []byte("0"), 0); err != nil {
		return err
	}
	link, err := netlink.LinkByName("eth0")
	if err != nil {
		return err
	}
	ip, err := netlink.ParseAddr("fd00::11/64")
	if err != nil {
		return err
	}
	return netlink.AddrAdd(link, ip)
}
