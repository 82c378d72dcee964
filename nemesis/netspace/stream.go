package netspace

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Stream is a link to be measured, by UDP packets from one network namespace to another.
type Stream struct {
	From, To string     // paths of the namespaces
	Address  netip.Addr // of the receiver; IPv4
	Packets  int        // how many are sent, back to back
	Size     int        // of each in bytes, without headers: at least 16, at most what the link carries in one piece
	Twice    bool       // whether to wait for packets to come twice when all have come once
}

// Trace is what became of a stream.
type Trace struct {
	Sent     int
	Arrivals []Arrival // in the order in which they came
	Strange  int       // packets that came and were not as they had been sent
	Err      error     // why nothing was measured: no such namespace, no route, the context ended
}

// Arrival is one packet that came.
type Arrival struct {
	Packet int           // its place among those sent, from 0
	Sent   time.Duration // since the stream began
	At     time.Duration // the same, on the same clock
}

// Took is how long the packet was on its way. It includes what this machine took to notice it, so it may be too long, and
// is never too short.
func (a Arrival) Took() time.Duration { return a.At - a.Sent }

// Fastest is the shortest time that a packet was on its way; 0 if none came.
func (t Trace) Fastest() time.Duration { return t.quantile(0) }

// Median is the median of the times that packets were on their way; 0 if none came.
func (t Trace) Median() time.Duration { return t.quantile(0.5) }

// Slowest is the longest time that a packet was on its way; 0 if none came.
func (t Trace) Slowest() time.Duration { return t.quantile(1) }

func (t Trace) quantile(q float64) time.Duration {
	if len(t.Arrivals) == 0 {
		return 0
	}
	var took []time.Duration
	for _, a := range t.Arrivals {
		took = append(took, a.Took())
	}
	slices.Sort(took)
	return took[int(q*float64(len(took)-1))]
}

// Missing counts the packets that never came as they were sent.
func (t Trace) Missing() int { return t.Sent - len(t.distinct()) }

// Copies counts the arrivals of packets that had come before.
func (t Trace) Copies() int { return len(t.Arrivals) - len(t.distinct()) }

// Overtaken counts the arrivals of packets behind one that was sent after them.
func (t Trace) Overtaken() (n int) {
	last := -1
	for _, a := range t.Arrivals {
		if a.Packet < last {
			n++
		}
		last = max(last, a.Packet)
	}
	return n
}

func (t Trace) distinct() map[int]bool {
	came := make(map[int]bool)
	for _, a := range t.Arrivals {
		came[a.Packet] = true
	}
	return came
}

// The time that a stream waits for packets which have not come: for the first at most firstWait, then a little more than as long
// again as any that came took.
const (
	firstWait = 2500 * time.Millisecond
	grace     = 150 * time.Millisecond
)

// Measure sends all streams at the same moment, and waits until no more of their packets can be expected. It returns a trace for each.
func Measure(ctx context.Context, streams []Stream) []Trace {
	traces := make([]Trace, len(streams))
	var all sync.WaitGroup
	for i, s := range streams {
		all.Go(func() { traces[i] = s.measure(ctx) })
	}
	all.Wait()
	return traces
}

func (s Stream) measure(ctx context.Context) Trace {
	in, out, err := s.sockets()
	if err != nil {
		return Trace{Err: fmt.Errorf("measure the link to %s: %w", s.Address, err)}
	}
	defer in.Close()
	defer out.Close()
	defer context.AfterFunc(ctx, func() { in.Close() })()
	flight := &flight{start: time.Now(), sent: make([]time.Duration, s.Packets), in: in}
	sending := make(chan error, 1)
	go func() { sending <- flight.send(out, s.Size) }()
	trace := flight.receive(s)
	trace.Err = errors.Join(<-sending, ctx.Err())
	return trace
}

// sockets makes the two ends: in receives, and out sends to it.
func (s Stream) sockets() (in, out *net.UDPConn, err error) {
	if !s.Address.Is4() {
		return nil, nil, errors.New("only IPv4 can be measured")
	}
	if err = Inside(s.To, func() (err error) {
		in, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(s.Address, 0)))
		return err
	}); err != nil {
		return nil, nil, err
	}
	err = errors.Join(roomy(in), Inside(s.From, func() (err error) {
		out, err = net.DialUDP("udp4", nil, in.LocalAddr().(*net.UDPAddr))
		return err
	}))
	if err != nil {
		in.Close()
		return nil, nil, err
	}
	return in, out, nil
}

// roomy sees to it that no packet is lost because nobody has read those before it. In a user namespace the machine's own bound on buffers holds
// (net.core.rmem_max).
func roomy(socket *net.UDPConn) error {
	raw, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = raw.Control(func(fd uintptr) {
		const room = 16 << 20
		if set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, room); errors.Is(set, unix.EPERM) {
			set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, room)
		}
	})
	return errors.Join(err, set)
}

// flight is a stream on its way.
type flight struct {
	start time.Time
	in    *net.UDPConn

	mu   sync.Mutex
	sent []time.Duration // when each packet was sent; 0 for those that are not sent yet
}

// fill makes the n-th packet: its number, and a pattern that tells if a byte has changed.
func fill(b []byte, n int) []byte {
	binary.BigEndian.PutUint64(b, uint64(n))
	for i := 8; i < len(b); i++ {
		b[i] = byte(n*31 + i)
	}
	return b
}

func (f *flight) send(out *net.UDPConn, size int) error {
	b := make([]byte, size)
	for n := range f.sent {
		f.mu.Lock()
		f.sent[n] = time.Since(f.start)
		f.mu.Unlock()
		if _, err := out.Write(fill(b, n)); err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
			return fmt.Errorf("send packet %d: %w", n, err)
		}
	}
	return nil
}

// receive takes packets until all have come, or until it has waited long enough.
func (f *flight) receive(s Stream) Trace {
	trace := Trace{Sent: s.Packets}
	b, want := make([]byte, s.Size+1), make([]byte, s.Size)
	came := make(map[uint64]bool)
	var slowest time.Duration
	_ = f.in.SetReadDeadline(time.Now().Add(firstWait))
	for s.Twice || len(came) < s.Packets {
		n, err := f.in.Read(b)
		at := time.Since(f.start)
		if err != nil {
			break
		}
		number := binary.BigEndian.Uint64(b)
		if n != s.Size || number >= uint64(s.Packets) || !bytes.Equal(b[:n], fill(want, int(number))) {
			trace.Strange++
			continue
		}
		came[number] = true
		f.mu.Lock()
		arrival := Arrival{Packet: int(number), Sent: f.sent[number], At: at}
		f.mu.Unlock()
		trace.Arrivals = append(trace.Arrivals, arrival)
		slowest = max(slowest, arrival.Took())
		_ = f.in.SetReadDeadline(time.Now().Add(grace + slowest))
	}
	return trace
}
