package harness

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"time"

	"github.com/vishvananda/netlink"

	"rift/nemesis/netspace"
)

// nodeDevice is the name of a node's network device, as its process sees it.
const nodeDevice = "eth0"

// localName is the name of a node's namespace, and of its device on the bridge: at most 12 + 3 characters, as many as a device's name
// may have.
func localName(tag, node string) string { return tag + "-" + node }

// createLocalNet makes the bridge, and for each node a namespace with one device on it. A namespace has no default
// route and no IPv6, so that nothing but the other nodes and the harness can be reached.
func createLocalNet(ctx context.Context, tag string, subnet netip.Prefix, nodes []Node) error {
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: tag, HardwareAddr: bridgeHardware(tag)}}
	if err := netlink.LinkAdd(bridge); err != nil {
		return fmt.Errorf("make bridge %s: %w", tag, err)
	}
	if err := bringUp(tag, netip.PrefixFrom(gatewayAddr(subnet), subnet.Bits())); err != nil {
		return err
	}
	for _, n := range nodes {
		name := localName(tag, n.Name)
		if err := netspace.Create(name); err != nil {
			return err
		}
		if err := connectNamespace(bridge, name, netip.PrefixFrom(n.IP, subnet.Bits())); err != nil {
			return fmt.Errorf("connect %s to bridge %s: %w", n.Name, tag, err)
		}
	}
	for _, n := range nodes {
		if err := awaitForwarding(ctx, localName(tag, n.Name)); err != nil {
			return err
		}
	}
	return passFirewall(ctx, tag, nodes)
}

// bridgeHardware is an address for the bridge. A bridge without one of its own takes a new one whenever a device joins, which
// the nodes would learn of only when their ARP entries run out.
func bridgeHardware(tag string) net.HardwareAddr {
	h := fnv.New32a()
	h.Write([]byte(tag))
	return append(net.HardwareAddr{0x02, 0x52}, h.Sum(nil)...) // 02: locally administered, unicast
}

// connectNamespace joins a namespace to the bridge by a pair of devices.
func connectNamespace(bridge netlink.Link, name string, address netip.Prefix) error {
	namespace, err := os.Open(netspace.Path(name))
	if err != nil {
		return err
	}
	defer namespace.Close()
	pair := &netlink.Veth{
		LinkAttrs:     netlink.LinkAttrs{Name: name, MasterIndex: bridge.Attrs().Index},
		PeerName:      nodeDevice,
		PeerNamespace: netlink.NsFd(int(namespace.Fd())),
	}
	if err := netlink.LinkAdd(pair); err != nil {
		return err
	}
	if err := bringUp(name, netip.Prefix{}); err != nil {
		return err
	}
	return netspace.Inside(netspace.Path(name), func() error {
		if err := withoutIPv6(); err != nil {
			return err
		}
		return errors.Join(bringLoopbackUp(), bringUp(nodeDevice, address))
	})
}

// withoutIPv6 turns IPv6 off in the calling thread's namespace, where the kernel has it at all.
func withoutIPv6() error {
	err := os.WriteFile("/proc/sys/net/ipv6/conf/all/disable_ipv6", []byte("1"), 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// bringLoopbackUp brings up the loopback device, which is down in a new namespace.
func bringLoopbackUp() error { return bringUp("lo", netip.Prefix{}) }

// bringUp brings up a device of the calling thread's namespace, with an address if there is one.
func bringUp(device string, address netip.Prefix) error {
	link, err := netlink.LinkByName(device)
	if err != nil {
		return fmt.Errorf("find device %s: %w", device, err)
	}
	if address.IsValid() {
		ip := &net.IPNet{IP: address.Addr().AsSlice(), Mask: net.CIDRMask(address.Bits(), address.Addr().BitLen())}
		if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: ip}); err != nil {
			return fmt.Errorf("give device %s address %s: %w", device, address, err)
		}
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("bring up device %s: %w", device, err)
	}
	return nil
}

// passFirewall sees to it that the nodes reach each other. Where Docker is installed, the kernel shows bridged packets to iptables, whose
// FORWARD chain Docker has drop what it does not know; there, and only there, a rule for this bridge is added.
func passFirewall(ctx context.Context, bridge string, nodes []Node) error {
	if len(nodes) < 2 || reaches(ctx, bridge, nodes) {
		return nil
	}
	if err := exec.CommandContext(ctx, "iptables", forwardRule("-I", bridge)...).Run(); err != nil || !reaches(ctx, bridge, nodes) {
		return fmt.Errorf("this machine's firewall drops what bridge %[1]s forwards: allow it (iptables -I FORWARD -i %[1]s -o %[1]s -j ACCEPT), or use --cluster docker", bridge)
	}
	return nil
}

// reaches says whether the first node's namespace gets an answer from the second's, where nothing listens yet: a refusal will do.
func reaches(ctx context.Context, tag string, nodes []Node) bool {
	const most = 500 * time.Millisecond
	from := netspace.Path(localName(tag, nodes[0].Name))
	return netspace.Try(ctx, []netspace.Probe{{From: from, To: netip.AddrPortFrom(nodes[1].IP, 1)}}, most)[0].Answered
}

// forwardRule is a command to iptables about the rule that lets a bridge forward. It waits for the table's lock.
func forwardRule(command, bridge string) []string {
	return []string{"-w", command, "FORWARD", "-i", bridge, "-o", bridge, "-j", "ACCEPT"}
}
