package machine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"

	"rift/nemesis/netspace"
)

// networks lists the named network namespaces, and what is in each of them, in this program's own, and in those that only processes hold.
func networks() ([]Thing, error) {
	all, err := network("", "")
	if err != nil {
		return nil, err
	}
	seen := make(map[uint64]bool)
	seen[inode("/proc/thread-self/ns/net")] = true
	entries, err := os.ReadDir(netspace.Dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("list network namespaces: %w", err)
	}
	places := make([]string, 0, len(entries))
	for _, e := range entries {
		all = append(all, Thing{Kind: Namespace, Name: e.Name(), Remedy: "ip netns del " + e.Name()})
		places = append(places, netspace.Path(e.Name()))
	}
	held, err := filepath.Glob("/proc/[0-9]*/ns/net")
	if err != nil {
		return nil, err
	}
	for _, path := range append(places, held...) {
		number := inode(path)
		if number == 0 || seen[number] {
			continue // it is gone, or another name of one that was looked into
		}
		seen[number] = true
		var inside []Thing
		err := netspace.Inside(path, func() (err error) {
			inside, err = network(nameOf(path), enter(path))
			return err
		})
		if err != nil && inode(path) == number {
			return all, err
		}
		all = append(all, inside...)
	}
	return all, nil
}

// nameOf is a short name of a namespace by its path: its own, or that of a process in it.
func nameOf(path string) string {
	if name, ok := strings.CutPrefix(path, netspace.Dir+"/"); ok {
		return name
	}
	return "of process " + strings.Split(path, "/")[2]
}

// enter is how a command is carried out in a namespace.
func enter(path string) string { return "nsenter --net=" + path + " " }

// network lists what is in the calling thread's network namespace.
func network(where, enter string) ([]Thing, error) {
	var all []Thing
	conn, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("talk to nftables: %w", err)
	}
	tables, err := conn.ListTables()
	if err != nil {
		return nil, fmt.Errorf("list firewall tables: %w", err)
	}
	for _, t := range tables {
		name := family(t.Family) + " " + t.Name
		all = append(all, Thing{Kind: Table, Name: name, Where: where, Remedy: enter + "nft delete table " + name})
	}
	links, err := netlink.LinkList()
	if err != nil {
		return all, fmt.Errorf("list network devices: %w", err)
	}
	for _, l := range links {
		if l.Attrs().Flags&net.FlagLoopback != 0 {
			continue // every namespace has one
		}
		name := l.Attrs().Name
		all = append(all, Thing{Kind: Device, Name: name, Where: where, Remedy: enter + "ip link del " + name})
	}
	queues, err := queues(where)
	return append(all, queues...), err
}

// queues lists the packet queues that programs listen to, as nfnetlink_queue has them: number, port of the listener, and more.
func queues(where string) ([]Thing, error) {
	f, err := os.Open("/proc/thread-self/net/netfilter/nfnetlink_queue")
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // the kernel has none
	}
	if err != nil {
		return nil, fmt.Errorf("list packet queues: %w", err)
	}
	defer f.Close()
	var all []Thing
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) > 1 {
			all = append(all, Thing{Kind: Queue, Name: fields[0], Where: where, Remedy: "end the program that listens (port " + fields[1] + ")"})
		}
	}
	return all, nil
}

func family(f nftables.TableFamily) string {
	switch f {
	case nftables.TableFamilyIPv4:
		return "ip"
	case nftables.TableFamilyIPv6:
		return "ip6"
	case nftables.TableFamilyINet:
		return "inet"
	case nftables.TableFamilyBridge:
		return "bridge"
	case nftables.TableFamilyARP:
		return "arp"
	case nftables.TableFamilyNetdev:
		return "netdev"
	}
	return fmt.Sprint("family ", byte(f))
}

// rules lists the rules of iptables' own table in this program's network namespace, where there is iptables.
func rules(ctx context.Context) ([]Thing, error) {
	iptables, err := exec.LookPath("iptables")
	if err != nil {
		return nil, nil
	}
	out, err := exec.CommandContext(ctx, iptables, "-w", "-S").Output()
	if err != nil {
		return nil, fmt.Errorf("list firewall rules: %w", err)
	}
	var all []Thing
	for line := range strings.Lines(string(out)) {
		if rule, ok := strings.CutPrefix(strings.TrimSpace(line), "-A "); ok {
			all = append(all, Thing{Kind: Rule, Name: rule, Remedy: "iptables -D " + rule})
		}
	}
	return all, nil
}
