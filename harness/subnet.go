package harness

import (
	"errors"
	"fmt"
	"hash/fnv"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// Runs take their networks from 198.18.0.0/15, which RFC 2544 sets aside for tests of network devices: it is routed nowhere, and no
// company's network uses it.
var testRange = netip.MustParsePrefix("198.18.0.0/15")

// maxSubnets bounds how many free subnets are offered.
const maxSubnets = 8

// freeSubnets lists some /24 networks that nothing on this machine uses; the tag decides with which to begin, so that
// runs that start together differ.
func freeSubnets(tag string) ([]netip.Prefix, error) {
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("list the machine's routes: %w", err)
	}
	h := fnv.New32a()
	h.Write([]byte(tag))
	const count = 512 // of /24 networks in a /15
	var free []netip.Prefix
	for i := 0; i < count && len(free) < maxSubnets; i++ {
		n := (int(h.Sum32()%count) + i) % count
		base := testRange.Addr().As4()
		base[1] += byte(n >> 8)
		base[2] = byte(n)
		subnet := netip.PrefixFrom(netip.AddrFrom4(base), 24)
		if !used(subnet, routes) {
			free = append(free, subnet)
		}
	}
	if len(free) == 0 {
		return nil, errors.New("no free network in 198.18.0.0/15: run `rift sweep`, or remove routes to it")
	}
	return free, nil
}

func used(subnet netip.Prefix, routes []netlink.Route) bool {
	for _, r := range routes {
		if r.Dst == nil {
			continue
		}
		ip, ok := netip.AddrFromSlice(r.Dst.IP.To4())
		ones, _ := r.Dst.Mask.Size()
		if ok && ones > 0 && subnet.Overlaps(netip.PrefixFrom(ip, ones)) {
			return true
		}
	}
	return false
}

// gatewayAddr is this machine's address in the network.
func gatewayAddr(subnet netip.Prefix) netip.Addr { return hostAddr(subnet, 1) }

// nodeAddr is the address of the i-th node, from 0.
func nodeAddr(subnet netip.Prefix, i int) netip.Addr { return hostAddr(subnet, 11+i) }

func hostAddr(subnet netip.Prefix, last int) netip.Addr {
	a := subnet.Addr().As4()
	a[3] = byte(last)
	return netip.AddrFrom4(a)
}
