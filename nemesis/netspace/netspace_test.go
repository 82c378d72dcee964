package netspace

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// newNamespace makes a namespace that ends with the test, with its loopback device up.
func newNamespace(t *testing.T) (name string) {
	t.Helper()
	if os.Geteuid() != 0 {
		why := "network namespaces need root"
		if os.Getenv("RIFT_REQUIRE_DOCKER") == "1" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	name = fmt.Sprintf("netspace-test-%d", os.Getpid())
	check(t, Create(name))
	t.Cleanup(func() { check(t, Remove(name)) })
	check(t, Inside(Path(name), func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(lo)
	}))
	return name
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func here(t *testing.T) string {
	t.Helper()
	namespace, err := os.Readlink("/proc/thread-self/ns/net")
	check(t, err)
	return namespace
}

func TestInsideComesHome(t *testing.T) {
	name := newNamespace(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home := here(t)
	failure := errors.New("failed inside")
	err := Inside(Path(name), func() error {
		if here(t) == home {
			t.Error("inside is at home")
		}
		return failure
	})
	if !errors.Is(err, failure) || here(t) != home {
		t.Errorf("error %v, now in %s, home is %s", err, here(t), home)
	}
	if err := Inside("/run/netns/there-is-none", func() error { t.Error("ran nowhere"); return nil }); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no such namespace: %v", err)
	}
	if err := Create(name); !errors.Is(err, os.ErrExist) {
		t.Errorf("created twice: %v", err)
	}
	if here(t) != home {
		t.Error("a failure led away from home")
	}
}

func TestRemoveIsDoneOnce(t *testing.T) {
	name := newNamespace(t)
	for range 2 {
		check(t, Remove(name))
	}
	if _, err := os.Stat(Path(name)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is left: %v", err)
	}
}

func TestTry(t *testing.T) {
	name := newNamespace(t)
	var listener net.Listener
	check(t, Inside(Path(name), func() (err error) {
		listener, err = net.Listen("tcp4", "127.0.0.1:0")
		return err
	}))
	defer listener.Close()
	check(t, Inside(Path(name), func() error { return addDeafNetwork("198.18.0.1/24") }))

	listening := netip.MustParseAddrPort(listener.Addr().String())
	outcomes := Try(t.Context(), []Probe{
		{Path(name), listening},
		{Path(name), netip.MustParseAddrPort("127.0.0.1:1")},
		{Path(name), netip.MustParseAddrPort("198.18.0.2:7000")},
		{Path(name), netip.MustParseAddrPort("203.0.113.1:7000")},
		{Path("there-is-none"), listening},
		{Path(name), netip.MustParseAddrPort("[::1]:7000")},
		{"/proc/thread-self/ns/net", listening}, // nothing listens there at home
	}, 100*time.Millisecond)
	type kind struct{ answered, silent, failed bool }
	answered, silent, failed := kind{answered: true}, kind{silent: true}, kind{failed: true}
	for i, want := range []kind{answered, answered, silent, failed, failed, failed, answered} {
		if o := outcomes[i]; want != (kind{o.Answered, o.Silent, o.Err != nil}) {
			t.Errorf("probe %d: %+v, want %+v", i, o, want)
		}
	}
	if !errors.Is(outcomes[3].Err, unix.ENETUNREACH) {
		t.Errorf("no route: %v", outcomes[3].Err)
	}

	ended, end := context.WithCancel(t.Context())
	end()
	if o := Try(ended, []Probe{{Path(name), netip.MustParseAddrPort("198.18.0.2:7000")}}, time.Minute)[0]; !errors.Is(o.Err, context.Canceled) {
		t.Errorf("with the context ended: %+v", o)
	}
}

// addDeafNetwork gives the calling thread's namespace a network on which nobody else is.
func addDeafNetwork(address string) error {
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "deaf"}}
	ip, err := netlink.ParseAddr(address)
	if err != nil {
		return err
	}
	return errors.Join(netlink.LinkAdd(bridge), netlink.AddrAdd(bridge, ip), netlink.LinkSetUp(bridge))
}

func TestIPv6Devices(t *testing.T) {
	name := newNamespace(t)
	if devices, err := IPv6Devices(Path(name)); err != nil || len(devices) > 0 {
		t.Errorf("loopback alone: %v, error %v", devices, err)
	}
	if _, err := os.Stat("/proc/sys/net/ipv6"); err != nil {
		t.Skip("this kernel has no IPv6")
	}
	check(t, Inside(Path(name), func() error { return addDeafNetwork("fd00::1/64") }))
	if devices, err := IPv6Devices(Path(name)); err != nil || !slices.Equal(devices, []string{"deaf"}) {
		t.Errorf("with an address: %v, error %v", devices, err)
	}
}
