package harness

import (
	"context"
	"fmt"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// awaitForwarding waits until the bridge forwards to and from a device, which the kernel lets it do some time after both ends are up. A
// question for a neighbour's address that is lost meanwhile is asked again only after a second.
func awaitForwarding(ctx context.Context, device string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	link, err := netlink.LinkByName(device)
	if err != nil {
		return fmt.Errorf("find device %s: %w", device, err)
	}
	for {
		forwards, err := forwarding(link.Attrs().Index)
		if err != nil {
			return fmt.Errorf("ask whether the bridge forwards to %s: %w", device, err)
		}
		if forwards {
			return nil
		}
		if !pause(ctx, time.Millisecond) {
			return fmt.Errorf("wait for the bridge to forward to %s: %w", device, ctx.Err())
		}
	}
}

// forwarding asks the kernel for the state of a device as a port of a bridge. The folder /sys/class/net would tell it too, but may be that of another
// network namespace.
func forwarding(index int) (bool, error) {
	const stateForwarding = 3 // BR_STATE_FORWARDING
	request := nl.NewNetlinkRequest(unix.RTM_GETLINK, unix.NLM_F_DUMP)
	request.AddData(nl.NewIfInfomsg(unix.AF_BRIDGE))
	ports, err := request.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWLINK)
	if err != nil {
		return false, err
	}
	for _, port := range ports {
		header := nl.DeserializeIfInfomsg(port)
		if int(header.Index) != index {
			continue
		}
		attributes, err := nl.ParseRouteAttr(port[header.Len():])
		if err != nil {
			return false, err
		}
		for _, a := range attributes {
			if a.Attr.Type != unix.IFLA_PROTINFO|unix.NLA_F_NESTED {
				continue
			}
			about, err := nl.ParseRouteAttr(a.Value)
			if err != nil {
				return false, err
			}
			for _, b := range about {
				if b.Attr.Type == nl.IFLA_BRPORT_STATE {
					return b.Value[0] == stateForwarding, nil
				}
			}
		}
	}
	return false, nil
}
