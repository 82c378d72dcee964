package harness

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"rift/nemesis/netspace"
)

// SweepLocal removes what a run's local cluster has on this machine, and says what it removed: processes, control groups, network
// devices, namespaces and the firewall rule. What is not there needs no removing.
func SweepLocal(ctx context.Context, tag string) (removed []string, err error) {
	named, err := filepath.Glob(netspace.Path(localName(tag, "n*")))
	if err != nil {
		return nil, fmt.Errorf("tag: %q given, letters and digits allowed", tag)
	}
	removed, err = sweepGroups(ctx, tag) // first of all: a frozen process cannot be killed
	errs := []error{err}
	for _, path := range named {
		name := filepath.Base(path)
		pids, err := killInside(ctx, name)
		for _, pid := range pids {
			removed = append(removed, fmt.Sprintf("process %d in namespace %s", pid, name))
		}
		errs = append(errs, err)
	}
	devices, err := removeDevices(tag)
	removed, errs = append(removed, devices...), append(errs, err)
	for _, path := range named {
		name := filepath.Base(path)
		removed, errs = append(removed, "network namespace "+name), append(errs, netspace.Remove(name))
	}
	rule, err := removeForwardRule(ctx, tag)
	return append(removed, rule...), errors.Join(append(errs, err)...)
}

// removeDevices removes the bridge and the devices on it. One may go by itself meanwhile, with its namespace.
func removeDevices(tag string) (removed []string, err error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list network devices: %w", err)
	}
	var errs []error
	for _, link := range links {
		name := link.Attrs().Name
		if name != tag && !strings.HasPrefix(name, localName(tag, "n")) {
			continue
		}
		if err := netlink.LinkDel(link); err != nil && !errors.Is(err, unix.ENODEV) {
			errs = append(errs, fmt.Errorf("remove network device %s: %w", name, err))
			continue
		}
		removed = append(removed, "network device "+name)
	}
	return removed, errors.Join(errs...)
}

// removeForwardRule takes away the rule that passFirewall may have added.
func removeForwardRule(ctx context.Context, bridge string) (removed []string, err error) {
	if exec.CommandContext(ctx, "iptables", forwardRule("-C", bridge)...).Run() != nil {
		return nil, nil // there is no such rule, or no iptables
	}
	if out, err := exec.CommandContext(ctx, "iptables", forwardRule("-D", bridge)...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("remove the firewall rule of bridge %s: %w: %s", bridge, err, out)
	}
	return []string{"firewall rule of bridge " + bridge}, nil
}
