package netspace

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"
)

func TestMeasure(t *testing.T) {
	path := Path(newNamespace(t))
	there := netip.MustParseAddr("127.0.0.1")
	for _, twice := range []bool{false, true} {
		trace := Measure(t.Context(), []Stream{{From: path, To: path, Address: there, Packets: 300, Size: 64, Twice: twice}})[0]
		if trace.Err != nil || trace.Missing() != 0 || trace.Copies() != 0 || trace.Overtaken() > 30 || trace.Strange != 0 {
			t.Errorf("over loopback: %d missing, %d copies, %d overtaken, %d strange, error %v",
				trace.Missing(), trace.Copies(), trace.Overtaken(), trace.Strange, trace.Err)
		}
		if f, m, s := trace.Fastest(), trace.Median(), trace.Slowest(); f <= 0 || f > m || m > s {
			t.Errorf("fastest %v, median %v, slowest %v", f, m, s)
		}
	}
	ended, end := context.WithCancel(t.Context())
	end()
	for _, bad := range []struct {
		ctx    context.Context
		stream Stream
	}{
		{ended, Stream{From: path, To: path, Address: there, Packets: 10, Size: 64, Twice: true}},
		{t.Context(), Stream{From: Path("there-is-none"), To: path, Address: there, Packets: 1, Size: 16}},
		{t.Context(), Stream{From: path, To: path, Address: netip.MustParseAddr("198.18.0.9"), Packets: 1, Size: 16}},
		{t.Context(), Stream{From: path, To: path, Address: netip.IPv6Loopback(), Packets: 1, Size: 16}},
	} {
		if trace := Measure(bad.ctx, []Stream{bad.stream})[0]; trace.Err == nil {
			t.Errorf("%+v was measured: %+v", bad.stream, trace)
		}
	}
	if trace := Measure(ended, []Stream{{From: path, To: path, Address: there, Packets: 1, Size: 16, Twice: true}})[0]; !errors.Is(trace.Err, context.Canceled) {
		t.Errorf("with the context ended: %v", trace.Err)
	}
}

func TestTraceCounts(t *testing.T) {
	arrive := func(packets ...int) Trace {
		trace := Trace{Sent: 5}
		for i, n := range packets {
			trace.Arrivals = append(trace.Arrivals, Arrival{Packet: n, Sent: time.Duration(n), At: time.Duration(10 + i)})
		}
		return trace
	}
	for _, c := range []struct {
		trace                      Trace
		missing, copies, overtaken int
	}{
		{arrive(), 5, 0, 0},
		{arrive(0, 1, 2, 3, 4), 0, 0, 0},
		{arrive(1, 0, 4, 2, 3), 0, 0, 3},
		{arrive(0, 0, 2, 2, 3), 2, 2, 0},
	} {
		if m, d, o := c.trace.Missing(), c.trace.Copies(), c.trace.Overtaken(); m != c.missing || d != c.copies || o != c.overtaken {
			t.Errorf("%+v: %d missing, %d copies, %d overtaken", c.trace.Arrivals, m, d, o)
		}
	}
	if empty := arrive(); empty.Fastest() != 0 || empty.Slowest() != 0 {
		t.Error("nothing arrived, and took time")
	}
}
