package packets

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"rift/nemesis/netspace"
)

var (
	one = netip.MustParseAddr("198.18.0.11")
	two = netip.MustParseAddr("198.18.0.12")
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newPair makes two network namespaces that a pair of devices joins, and returns the link from the first to the second, ten packets on it.
func newPair(t testing.TB) netspace.Stream {
	t.Helper()
	if os.Geteuid() != 0 {
		why := "network namespaces need root"
		if os.Getenv("RIFT_REQUIRE_DOCKER") == "1" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	names := []string{fmt.Sprintf("packets-test-%d-1", os.Getpid()), fmt.Sprintf("packets-test-%d-2", os.Getpid())}
	for _, name := range names {
		check(t, netspace.Create(name))
		t.Cleanup(func() { check(t, netspace.Remove(name)) })
	}
	other, err := os.Open(netspace.Path(names[1]))
	check(t, err)
	defer other.Close()
	check(t, netspace.Inside(netspace.Path(names[0]), func() error {
		return netlink.LinkAdd(&netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: "eth0"}, PeerName: "eth0", PeerNamespace: netlink.NsFd(int(other.Fd())),
		})
	}))
	for i, address := range []netip.Addr{one, two} {
		check(t, netspace.Inside(netspace.Path(names[i]), func() error {
			check(t, up("lo"))
			link, err := netlink.LinkByName("eth0")
			check(t, err)
			ip, err := netlink.ParseAddr(address.String() + "/24")
			check(t, err)
			check(t, netlink.AddrAdd(link, ip))
			return up("eth0")
		}))
	}
	return netspace.Stream{From: netspace.Path(names[0]), To: netspace.Path(names[1]), Address: two, Packets: 10, Size: 64}
}

func up(device string) error {
	link, err := netlink.LinkByName(device)
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(link)
}

func siteOf(s netspace.Stream) Site {
	return Site{NetNS: s.To, Table: "rifttest-1", Queue: 1, Senders: []netip.Addr{one}}
}

func random() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// measured is one stream's trace, under an effect that ends with it.
func measured(t *testing.T, s netspace.Stream, e Effect) (under netspace.Trace, hits uint64) {
	t.Helper()
	f, err := Disturb(siteOf(s), e)
	check(t, err)
	under = netspace.Measure(t.Context(), []netspace.Stream{s})[0]
	check(t, under.Err)
	hits, err = f.Hits()
	check(t, err)
	check(t, f.Close())
	return under, hits
}

func TestDelayKeepsOrder(t *testing.T) {
	s := newPair(t)
	s.Packets = 200
	trace, hits := measured(t, s, Delay(20*time.Millisecond, 10*time.Millisecond, random()))
	if trace.Fastest() < 10*time.Millisecond || trace.Missing() > 0 || trace.Overtaken() > 20 || hits != 200 {
		t.Errorf("fastest %v, %d missing, %d overtaken, %d hits", trace.Fastest(), trace.Missing(), trace.Overtaken(), hits)
	}
}

func TestEffectsOnRealPackets(t *testing.T) {
	s := newPair(t)
	s.Packets, s.Twice = 1000, true
	twice, _ := measured(t, s, Duplicate(0.3, random()))
	if n := twice.Copies(); n < 200 || n > 400 || twice.Missing() > 0 || twice.Strange > 0 {
		t.Errorf("duplicate: %d copies, 300 wanted; %d missing, %d changed", n, twice.Missing(), twice.Strange)
	}
	swapped, _ := measured(t, s, Reorder(0.3, 50*time.Millisecond, random()))
	if n := swapped.Overtaken(); n < 100 || swapped.Missing() > 0 {
		t.Errorf("reorder: %d overtaken, up to 300 wanted; %d missing", n, swapped.Missing())
	}
	stale, _ := measured(t, s, Corrupt(0.3, false, random()))
	if n := stale.Missing(); n < 200 || n > 400 || stale.Strange > 0 {
		t.Errorf("corrupt, checksum stale: %d missing, 300 wanted; %d changed", n, stale.Strange)
	}
	mended, _ := measured(t, s, Corrupt(0.3, true, random()))
	if n := mended.Strange; n < 200 || n > 400 || mended.Missing() != n {
		t.Errorf("corrupt, checksum mended: %d changed, 300 wanted; %d missing", n, mended.Missing())
	}
	const rate = 1e6 // bytes a second
	held, _ := measured(t, s, Bandwidth(rate, time.Second))
	if at, least := held.Arrivals[len(held.Arrivals)-1].At, time.Duration(1000*(64+28)/rate*float64(time.Second)); at < least || held.Missing() > 0 {
		t.Errorf("bandwidth: done after %v, %v wanted at least; %d missing", at, least, held.Missing())
	}
}

func TestLose(t *testing.T) {
	s := newPair(t)
	s.Packets = 1000
	f, err := Lose(siteOf(s), 0.3)
	check(t, err)
	trace := netspace.Measure(t.Context(), []netspace.Stream{s})[0]
	hits, err := f.Hits()
	check(t, err)
	if missing := trace.Missing(); uint64(missing) != hits || missing < 200 || missing > 400 {
		t.Errorf("%d of 1000 missing, %d dropped, 300 wanted", missing, hits)
	}
	check(t, f.Close())
	if trace := netspace.Measure(t.Context(), []netspace.Stream{s})[0]; trace.Missing() > 0 || trace.Err != nil {
		t.Errorf("after close: %d missing, error %v", trace.Missing(), trace.Err)
	}
}

func TestCloseLetsHeldPacketsGo(t *testing.T) {
	s := newPair(t)
	s.Packets = 500
	f, err := Disturb(siteOf(s), Delay(time.Hour, 0, nil))
	check(t, err)
	traces := make(chan netspace.Trace)
	go func() { traces <- netspace.Measure(t.Context(), []netspace.Stream{s})[0] }()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if hits, err := f.Hits(); err != nil || hits == 500 || time.Now().After(deadline) {
			check(t, err)
			break
		}
	}
	check(t, f.Close())
	if trace := <-traces; trace.Missing() > 0 || trace.Overtaken() > 50 { // several CPUs may swap a few
		t.Errorf("%d of those held are missing, %d overtaken", trace.Missing(), trace.Overtaken())
	}
}

func TestFilterTouchesOnlyItsSenders(t *testing.T) {
	s := newPair(t)
	site := siteOf(s)
	site.Senders = []netip.Addr{netip.MustParseAddr("198.18.0.99")}
	f, err := Lose(site, 1)
	check(t, err)
	if trace := netspace.Measure(t.Context(), []netspace.Stream{s})[0]; trace.Missing() > 0 {
		t.Errorf("%d missing", trace.Missing())
	}
	if names, err := Tables(s.To, "rifttest"); err != nil || !slices.Equal(names, []string{"rifttest-1"}) {
		t.Errorf("tables %v, error %v", names, err)
	}
	if _, err := Lose(site, 1); err == nil {
		t.Error("a name was taken twice")
	}
	check(t, f.Close())
	if names, err := Tables(s.To, ""); err != nil || len(names) > 0 {
		t.Errorf("tables are left: %v, error %v", names, err)
	}
	site.Senders = []netip.Addr{netip.MustParseAddr("fd00::1")}
	if _, err := Lose(site, 1); err == nil || !strings.Contains(err.Error(), "fd00::1: only IPv4 can be disturbed") {
		t.Errorf("IPv6: %v", err)
	}
	site.NetNS = netspace.Path("there-is-none")
	if _, err := Disturb(site, Delay(0, 0, nil)); err == nil {
		t.Error("nowhere was disturbed")
	}
}

// TestFilterEndsWithItsOwner closes the sockets, as the kernel does when the program ends.
func TestFilterEndsWithItsOwner(t *testing.T) {
	s := newPair(t)
	f, err := Disturb(siteOf(s), Delay(time.Hour, 0, nil))
	check(t, err)
	check(t, f.queue.conn.Close())
	<-f.queue.done
	if trace := netspace.Measure(t.Context(), []netspace.Stream{s})[0]; trace.Missing() > 0 {
		t.Errorf("nobody answers for the queue, and %d are missing", trace.Missing())
	}
	check(t, f.conn.CloseLasting())
	if names, err := Tables(s.To, ""); err != nil || len(names) > 0 {
		t.Errorf("tables are left: %v, error %v", names, err)
	}
}

// TestFiltersOverlap takes one of two filters away, and expects that what the other holds is not lost.
func TestFiltersOverlap(t *testing.T) {
	s := newPair(t)
	second := siteOf(s)
	second.Table, second.Queue = "rifttest-2", 2
	first, err := Disturb(siteOf(s), Delay(20*time.Millisecond, 0, nil))
	check(t, err)
	later, err := Disturb(second, Delay(30*time.Millisecond, 0, nil))
	check(t, err)
	if trace := netspace.Measure(t.Context(), []netspace.Stream{s})[0]; trace.Fastest() < 50*time.Millisecond || trace.Missing() > 0 {
		t.Errorf("fastest %v under 20 ms and 30 ms, %d missing", trace.Fastest(), trace.Missing())
	}
	check(t, first.Close())
	if trace := netspace.Measure(t.Context(), []netspace.Stream{s})[0]; trace.Fastest() < 30*time.Millisecond || trace.Missing() > 0 {
		t.Errorf("fastest %v under 30 ms, %d missing", trace.Fastest(), trace.Missing())
	}
	check(t, later.Close())
}

func BenchmarkDelay(b *testing.B) {
	benchmark(b, func(s Site) (*Filter, error) { return Disturb(s, Delay(time.Millisecond, 0, nil)) })
}

func BenchmarkLose(b *testing.B) {
	benchmark(b, func(s Site) (*Filter, error) { return Lose(s, 0.5) })
}

// benchmark measures how long a filter takes to be put in and to be taken out.
func benchmark(b *testing.B, make func(Site) (*Filter, error)) {
	s := siteOf(newPair(b))
	var apply, heal time.Duration
	for b.Loop() {
		start := time.Now()
		f, err := make(s)
		check(b, err)
		applied := time.Now()
		check(b, f.Close())
		apply, heal = apply+applied.Sub(start), heal+time.Since(applied)
	}
	b.ReportMetric(float64(apply.Microseconds())/float64(b.N), "apply-µs")
	b.ReportMetric(float64(heal.Microseconds())/float64(b.N), "heal-µs")
}
