package packets

import (
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"rift/nemesis/netspace"
)

// queue answers for the packets of one queue. One goroutine reads what arrives and decides, another answers when it is due.
type queue struct {
	number uint16
	effect Effect
	conn   *netlink.Conn
	copies int // a raw socket in the receiver's namespace; below 0 if the effect makes no copies

	decided chan held     // from the reader to the answerer, which ends when it is closed and nothing is held
	done    chan struct{} // closed when both goroutines have ended
}

// The queue's measures. Packets beyond its length pass as they are.
const (
	mostHeld      = 65536
	socketBuffer  = 8 << 20
	wholePacket   = 0xffff
	drainDeadline = time.Second
)

// listen makes a queue in a network namespace and answers for it until it is closed.
func listen(netns string, number uint16, e Effect) (*queue, error) {
	there, err := os.Open(netns)
	if err != nil {
		return nil, fmt.Errorf("find the receiver's network namespace: %w", err)
	}
	defer there.Close()
	q := &queue{number: number, effect: e, copies: -1, decided: make(chan held, 256), done: make(chan struct{})}
	if q.conn, err = netlink.Dial(unix.NETLINK_NETFILTER, &netlink.Config{NetNS: int(there.Fd())}); err != nil {
		return nil, fmt.Errorf("talk to the packet queue: %w", err)
	}
	if err := q.configure(); err != nil {
		return nil, errors.Join(fmt.Errorf("make packet queue %d: %w", number, err), q.conn.Close())
	}
	if e.Whole {
		if err := netspace.Inside(netns, q.openCopies); err != nil {
			return nil, errors.Join(fmt.Errorf("make a socket for copies: %w", err), q.conn.Close())
		}
	}
	go q.read()
	go q.answer()
	return q, nil
}

// configure binds the socket to the queue. Where only headers are wanted, packets that the kernel would send in several segments are
// asked about as one.
func (q *queue) configure() error {
	const (
		bind, copyPacket = 1, 2
		failOpen, gso    = 1, 4
		header           = 20 // of IPv4, without options
	)
	flags, length := uint32(failOpen|gso), uint32(header)
	if q.effect.Whole {
		flags, length = failOpen, wholePacket
	}
	number := func(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
	for _, attributes := range [][]netlink.Attribute{
		{{Type: configCommand, Data: []byte{bind, 0, 0, unix.AF_INET}}},
		{
			{Type: configParameters, Data: append(number(length), copyPacket)},
			{Type: configLength, Data: number(mostHeld)},
			{Type: configMask, Data: number(failOpen | gso)},
			{Type: configFlags, Data: number(flags)},
		},
	} {
		m, err := request(messageConfig, q.number, attributes...)
		if err != nil {
			return err
		}
		m.Header.Flags |= netlink.Acknowledge
		if _, err := q.conn.Execute(m); err != nil {
			return err
		}
	}
	return errors.Join(q.conn.SetReadBuffer(socketBuffer), q.conn.SetOption(netlink.NoENOBUFS, true))
}

func (q *queue) openCopies() (err error) {
	q.copies, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	return err
}

// read decides on packets in the order of their arrival, until close's own message comes back behind the last of them.
func (q *queue) read() {
	defer close(q.decided)
	var arrived uint64
	for {
		messages, err := q.conn.Receive()
		if errors.Is(err, unix.ENOENT) {
			continue // an answer for a packet that the kernel has dropped meanwhile, with another filter's chain
		}
		if err != nil {
			return // close's deadline is over
		}
		for _, m := range messages {
			if m.Header.Type == netlink.Error {
				return // the acknowledgement that close asked for
			}
			id, payload, err := parse(m.Data)
			if err != nil {
				continue // not a packet
			}
			arrived++
			q.decided <- held{Fate: q.effect.Decide(time.Now(), payload), id: id, place: arrived, packet: payload}
		}
	}
}

// answer gives the verdicts when they are due, and the rest at once when the reader has ended.
func (q *queue) answer() {
	defer close(q.done)
	var waiting schedule
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for open := true; open; {
		select {
		case h, more := <-q.decided:
			if open = more; more {
				waiting.add(h)
			}
		case <-timer.C:
		}
		for len(waiting) > 0 && !waiting[0].Due.After(time.Now()) {
			q.release(heap.Pop(&waiting).(held))
		}
		if len(waiting) > 0 {
			timer.Reset(time.Until(waiting[0].Due))
		}
	}
	for len(waiting) > 0 {
		q.release(heap.Pop(&waiting).(held))
	}
}

// release lets a packet go on. An error means that it is gone, with its namespace or with another filter's chain: there is nothing to be done
// for it.
func (q *queue) release(h held) {
	what := uint32(accept)
	if h.Drop {
		what = drop
	}
	if m, err := verdict(q.number, h.id, what, h.Payload); err == nil {
		_, _ = q.conn.Send(m)
	}
	if h.Copies > 0 && q.copies >= 0 {
		to := &unix.SockaddrInet4{Addr: destination(h.packet)}
		for range h.Copies {
			_ = unix.Sendto(q.copies, h.packet, 0, to)
		}
	}
}

// close answers for all that is held, and for all that has been asked before, and takes the queue away. Nothing must put packets into it any more.
// It knows that it has seen the last one when a message of its own is acknowledged, for the kernel keeps their order.
func (q *queue) close() error {
	m, err := request(messageConfig, q.number, netlink.Attribute{Type: configLength, Data: binary.BigEndian.AppendUint32(nil, mostHeld)})
	if err == nil {
		m.Header.Flags |= netlink.Acknowledge
		_, err = q.conn.Send(m)
	}
	err = errors.Join(err, q.conn.SetReadDeadline(time.Now().Add(drainDeadline)))
	<-q.done
	if q.copies >= 0 {
		err = errors.Join(err, unix.Close(q.copies))
	}
	if err := errors.Join(err, q.conn.Close()); err != nil {
		return fmt.Errorf("remove packet queue %d: %w", q.number, err)
	}
	return nil
}

// held is a packet on which has been decided.
type held struct {
	Fate
	id     uint32
	place  uint64 // of its arrival
	packet []byte
}

// schedule is a heap of packets, by when they are due, and by their arrival where that is the same.
type schedule []held

func (s *schedule) add(h held)   { heap.Push(s, h) }
func (s schedule) Len() int      { return len(s) }
func (s schedule) Swap(i, j int) { s[i], s[j] = s[j], s[i] }
func (s *schedule) Push(h any)   { *s = append(*s, h.(held)) }
func (s schedule) Less(i, j int) bool {
	if !s[i].Due.Equal(s[j].Due) {
		return s[i].Due.Before(s[j].Due)
	}
	return s[i].place < s[j].place
}

func (s *schedule) Pop() any {
	last := (*s)[len(*s)-1]
	*s = (*s)[:len(*s)-1]
	return last
}
