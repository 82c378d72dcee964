package machine

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mdlayher/netlink"
	rtnetlink "github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"rift/nemesis/lossyfs"
	"rift/nemesis/netfilter"
	"rift/nemesis/netspace"
	"rift/nemesis/packets"
	"rift/nemesis/vdso"
)

// Feature is something that a machine may have, and that runs want. Try uses it for a moment and says what it saw; it leaves nothing.
type Feature struct {
	Name string
	Try  func(t Trial) (saw string, err error)
	Get  string // how to come by it
	// Spare says that Rift does without it.
	Spare bool
}

// Trial is where a feature is tried: under the name of a tag, and in a folder of its own.
type Trial struct{ Tag, Dir string }

// Features are all that is looked for, besides a container engine.
var Features = []Feature{
	{Name: "kernel", Try: kernel, Get: "run rift on Linux 5.12 or later"},
	{Name: "network namespaces", Try: namespaces, Get: "run rift as root, or in a user namespace"},
	{Name: "firewall of bridges", Try: bridgeTables, Get: "CAP_NET_ADMIN, and a kernel with CONFIG_NF_TABLES_BRIDGE (module nf_tables_bridge)"},
	{Name: "packet queues", Try: packetQueues, Get: "CAP_NET_ADMIN, and a kernel with CONFIG_NETFILTER_XT_TARGET_NFQUEUE and CONFIG_NFT_COMPAT"},
	{Name: "netem", Try: netem, Get: "a kernel with CONFIG_NET_SCH_NETEM; packet queues do its work", Spare: true},
	{Name: "clocks of processes", Try: clocks, Get: "amd64, and a kernel whose vDSO rift knows"},
	{Name: "events of processes", Try: processEvents, Get: "CAP_NET_ADMIN in the first network namespace, and a kernel with CONFIG_PROC_EVENTS; without it execs are looked for", Spare: true},
	{Name: "file systems of programs", Try: programFiles, Get: "/dev/fuse that this user may open (chmod 666 /dev/fuse), CAP_SYS_ADMIN, and a kernel with CONFIG_FUSE_FS"},
	{Name: "cgroups", Try: controlGroups, Get: "run rift as root, with a hierarchy of cgroups that can be written below /sys/fs/cgroup"},
}

func kernel(Trial) (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", err
	}
	self, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return "", fmt.Errorf("hold a process by a descriptor: %w", err)
	}
	unix.Close(self)
	source, _ := os.ReadFile("/sys/devices/system/clocksource/clocksource0/current_clocksource") // not there in some containers
	return fmt.Sprintf("%s %s, %s, clock source %s", unix.ByteSliceToString(u.Sysname[:]), unix.ByteSliceToString(u.Release[:]),
		unix.ByteSliceToString(u.Machine[:]), strings.TrimSpace(string(source))), nil
}

func namespaces(Trial) (string, error) {
	return "one was made", netspace.Able()
}

func bridgeTables(t Trial) (string, error) {
	cut, err := netfilter.NewCut(t.Tag+"-try", nil)
	if err != nil {
		return "", err
	}
	return "a table with an owner was made and removed", cut.Close()
}

// within makes a network namespace for a moment.
func within(tag string, try func(path string) error) error {
	name := tag + "-n0"
	if err := netspace.Create(name); err != nil {
		return err
	}
	return errors.Join(try(netspace.Path(name)), netspace.Remove(name))
}

func packetQueues(t Trial) (string, error) {
	return "a queue and a rule that asks it were made and removed", within(t.Tag, func(path string) error {
		f, err := packets.Disturb(packets.Site{NetNS: path, Table: t.Tag + "-try", Queue: 1}, packets.Delay(time.Millisecond, 0, nil))
		if err != nil {
			return err
		}
		return f.Close()
	})
}

func netem(t Trial) (string, error) {
	return "a queue discipline was made", within(t.Tag, func(path string) error {
		return netspace.Inside(path, func() error {
			lo, err := rtnetlink.LinkByName("lo")
			if err != nil {
				return err
			}
			attributes := rtnetlink.QdiscAttrs{LinkIndex: lo.Attrs().Index, Handle: rtnetlink.MakeHandle(1, 0), Parent: rtnetlink.HANDLE_ROOT}
			return rtnetlink.QdiscAdd(rtnetlink.NewNetem(attributes, rtnetlink.NetemQdiscAttrs{Latency: 1000}))
		})
	})
}

func clocks(Trial) (string, error) {
	return "this program's own vDSO is one that rift can write a shim into", vdso.Able()
}

// processEvents asks to be told of processes, and waits until the kernel says that it will.
func processEvents(Trial) (string, error) {
	const (
		connector = 11 // NETLINK_CONNECTOR
		group     = 1  // CN_IDX_PROC
		listen    = 1  // PROC_CN_MCAST_LISTEN
		most      = 2 * time.Second
	)
	conn, err := netlink.Dial(connector, &netlink.Config{Groups: group})
	if err != nil {
		return "", err
	}
	defer conn.Close()
	// struct cn_msg: idx, val, seq, ack, len, flags; then the operation.
	ask := []byte{group, 0, 0, 0, group, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, listen, 0, 0, 0}
	if err := conn.SetReadDeadline(time.Now().Add(most)); err != nil {
		return "", err
	}
	if _, err := conn.Send(netlink.Message{Header: netlink.Header{Type: unix.NLMSG_DONE}, Data: ask}); err != nil {
		return "", err
	}
	if _, err := conn.Receive(); err != nil {
		return "", fmt.Errorf("the kernel did not answer: %w", err)
	}
	return "the kernel answered the proc connector", nil
}

func programFiles(t Trial) (string, error) {
	o := lossyfs.Options{Backing: filepath.Join(t.Dir, "backing"), Mountpoint: filepath.Join(t.Dir, "mounted"), Tag: t.Tag, Log: slog.New(slog.DiscardHandler)}
	if err := errors.Join(os.Mkdir(o.Backing, 0o755), os.Mkdir(o.Mountpoint, 0o755)); err != nil {
		return "", err
	}
	f, err := lossyfs.Mount(o)
	if err != nil {
		return "", err
	}
	return "one was mounted and unmounted through /dev/fuse", f.Close()
}

// controlGroups makes a group in each hierarchy that faults use.
func controlGroups(t Trial) (string, error) {
	const root = "/sys/fs/cgroup"
	hierarchies := []string{"cpu", "memory", "freezer"}
	version := "version 1"
	if _, err := os.Stat(filepath.Join(root, "cgroup.controllers")); err == nil {
		hierarchies, version = []string{""}, "version 2"
	}
	for _, h := range hierarchies {
		group := filepath.Join(root, h, t.Tag+"-try")
		if err := os.Mkdir(group, 0o755); err != nil {
			return "", err
		}
		if err := os.Remove(group); err != nil {
			return "", err
		}
	}
	return version + ": groups were made and removed", nil
}
