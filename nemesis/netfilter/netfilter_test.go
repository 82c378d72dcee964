package netfilter

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// inOwnNamespace takes the test to a network namespace of its own, which ends with it.
func inOwnNamespace(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		why := "nftables needs root"
		if os.Getenv("RIFT_REQUIRE_DOCKER") == "1" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	runtime.LockOSThread() // for good: the thread ends with the test's goroutine
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
}

var (
	a = netip.MustParseAddr("198.18.0.11")
	b = netip.MustParseAddr("198.18.0.12")
	c = netip.MustParseAddr("198.18.0.13")
)

func newCut(t *testing.T, name string, links ...Link) *Cut {
	t.Helper()
	cut, err := NewCut(name, links)
	if err != nil {
		t.Fatal(err)
	}
	return cut
}

func checkLinks(t *testing.T, prefix string, want ...Link) {
	t.Helper()
	got, err := Links(prefix)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) || slices.ContainsFunc(want, func(l Link) bool { return !got[l] }) {
		t.Errorf("links of %s: %v, want %v", prefix, got, want)
	}
}

func TestCutsComeAndGoByThemselves(t *testing.T) {
	inOwnNamespace(t)
	checkLinks(t, "rift")
	first := newCut(t, "riftaa-1", Link{a, b}, Link{b, a})
	second := newCut(t, "riftaa-2", Link{a, b}, Link{a, c})
	other := newCut(t, "riftbb-1", Link{c, b})
	checkLinks(t, "riftaa", Link{a, b}, Link{b, a}, Link{a, c})
	if dropped, err := first.Dropped(); err != nil || fmt.Sprint(dropped) != fmt.Sprint(map[Link]uint64{{a, b}: 0, {b, a}: 0}) {
		t.Errorf("dropped %v, error %v", dropped, err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	checkLinks(t, "riftaa", Link{a, b}, Link{a, c})
	if _, err := NewCut("riftaa-2", []Link{{a, b}}); err == nil {
		t.Error("a name was taken twice")
	}
	for _, cut := range []*Cut{second, other} {
		if err := cut.Close(); err != nil {
			t.Fatal(err)
		}
	}
	checkLinks(t, "rift")
}

func TestCutVanishesWithItsOwner(t *testing.T) {
	inOwnNamespace(t)
	cut := newCut(t, "riftaa-1", Link{a, b})
	if err := Remove("riftaa-1"); err == nil {
		t.Error("a table was taken from its owner")
	}
	if err := cut.conn.CloseLasting(); err != nil { // as the kernel does when the program ends
		t.Fatal(err)
	}
	checkLinks(t, "rift")
}

func TestRemoveWhatAnotherProgramLeft(t *testing.T) {
	inOwnNamespace(t)
	if out, err := exec.Command("nft", "add table bridge riftaa-9").CombinedOutput(); err != nil {
		t.Skipf("no nft program to leave a table with: %v %s", err, out)
	}
	if names, err := Tables("rift"); err != nil || !slices.Equal(names, []string{"riftaa-9"}) {
		t.Fatalf("tables %v, error %v", names, err)
	}
	for range 2 { // removing what is not there does no harm
		if err := Remove("riftaa-9"); err != nil {
			t.Fatal(err)
		}
	}
	if names, err := Tables("rift"); err != nil || len(names) > 0 {
		t.Errorf("tables %v, error %v", names, err)
	}
}

func TestCutReadsWellInNft(t *testing.T) {
	inOwnNamespace(t)
	cut := newCut(t, "riftaa-1", Link{a, b})
	out, err := exec.Command("nft", "list table bridge riftaa-1").CombinedOutput()
	if err != nil {
		t.Skipf("no nft program to ask: %v %s", err, out)
	}
	for _, want := range []string{"flags owner", "198.18.0.11 . 198.18.0.12 counter", "hook forward", "ip saddr . ip daddr @links drop"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is missing from:\n%s", want, out)
		}
	}
	if err := cut.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestCutRefusesIPv6(t *testing.T) {
	_, err := NewCut("riftaa-1", []Link{{a, netip.MustParseAddr("fd00::1")}})
	if err == nil || !strings.Contains(err.Error(), "fd00::1: only IPv4 can be cut") {
		t.Errorf("%v", err)
	}
}
