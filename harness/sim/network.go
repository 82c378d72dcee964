package sim

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"rift/harness/history"
	"rift/harness/sim/guest"
)

// network carries connections between hosts. It is that of TCP: what is sent on a connection arrives in order, each segment in its time, and one that is
// lost is sent again and holds up those behind it.
type network struct {
	world *world
	hosts map[string]*host // by IP
	links map[[2]string]*link
	conditions
}

func newNetwork(w *world, c conditions) *network {
	return &network{world: w, conditions: c, hosts: make(map[string]*host), links: make(map[[2]string]*link)}
}

// host is who has an address: a machine, or a client.
type host struct {
	net     *network
	ip      string
	deliver func(frame []byte) // nil while nobody is there
	listens map[string]bool    // addresses of the form IP:port
	ends    map[uint32]*end    // its ends of connections, by the numbers that it knows
	last    uint32             // the number of the last connection that came in
}

// incoming are the numbers of connections that come in; those that a host dials are below.
const incoming = 1 << 31

// join gives a host its address.
func (n *network) join(ip string) *host {
	h := &host{net: n, ip: ip, ends: make(map[uint32]*end)}
	n.hosts[ip] = h
	return h
}

// attach makes somebody answer at a host.
func (h *host) attach(deliver func(frame []byte)) {
	h.deliver, h.listens = deliver, make(map[string]bool)
}

// detach ends all that a host had, as a kernel does for a process that has ended: its peers are told, if they can be reached.
func (h *host) detach() {
	h.deliver, h.listens = nil, nil
	for _, id := range slices.Sorted(maps.Keys(h.ends)) {
		h.ends[id].send(guest.FrameReset, nil)
	}
	clear(h.ends)
}

// end is one host's end of a connection, and what it sends on it.
type end struct {
	host     *host
	id       uint32 // by which its host knows it
	peer     *end   // nil until the other host has taken the connection
	link     *link
	underway []*segment // in the order in which they were sent
}

// segment is what was sent at once.
type segment struct {
	kind    byte
	payload []byte
	arrived bool
}

// take carries out what a host sends.
func (h *host) take(kind byte, id uint32, payload []byte) {
	switch e := h.ends[id]; {
	case kind == guest.FrameListen:
		h.listens[string(payload)] = true
	case kind == guest.FrameDial:
		h.dial(id, string(payload))
	case e == nil:
	default:
		e.send(kind, payload)
		if kind != guest.FrameData {
			delete(h.ends, id)
		}
	}
}

// send sends on a connection. What is sent before the other host has taken the connection would be sent to nobody.
func (e *end) send(kind byte, payload []byte) {
	if e.peer == nil {
		return
	}
	s := &segment{kind: kind, payload: payload}
	e.underway = append(e.underway, s)
	e.link.carry(payload, func() {
		s.arrived = true
		for len(e.underway) > 0 && e.underway[0].arrived {
			first := e.underway[0]
			e.underway = e.underway[1:]
			e.peer.receive(first)
		}
	})
}

// receive hands a segment to the host, unless it has closed its end.
func (e *end) receive(s *segment) {
	if e.host.ends[e.id] != e || e.host.deliver == nil {
		return
	}
	if s.kind == guest.FrameReset {
		delete(e.host.ends, e.id)
	}
	e.host.deliver(guest.AppendFrame(nil, s.kind, e.id, s.payload))
}

// dial asks for a connection. The answer comes after one way there and one back; where nobody is, nothing but a refusal comes.
func (h *host) dial(id uint32, to string) {
	ip, _, _ := strings.Cut(to, ":")
	near := &end{host: h, id: id, link: h.net.link(h.ip, ip)}
	h.ends[id] = near
	back := h.net.link(ip, h.ip)
	here := fmt.Sprintf("%s:%d", h.ip, 32768+id%28232)
	near.link.carry(nil, func() {
		peer := h.net.hosts[ip]
		answer, says := byte(guest.FrameRefused), ""
		if peer != nil && peer.listens[to] && h.ends[id] == near {
			peer.last++
			far := &end{host: peer, id: incoming + peer.last, peer: near, link: back}
			peer.ends[far.id], near.peer = far, far
			peer.deliver(guest.AppendFrame(nil, guest.FrameAccept, far.id, []byte(to+" "+here)))
			answer, says = guest.FrameOpen, here
		}
		back.carry(nil, func() {
			if h.ends[id] != near || h.deliver == nil {
				return
			}
			if answer == guest.FrameRefused {
				delete(h.ends, id)
			}
			h.deliver(guest.AppendFrame(nil, answer, id, []byte(says)))
		})
	})
}

// link is one direction between two hosts.
type link struct {
	world    *world
	random   *rand.Rand
	latency  time.Duration // at least
	spread   time.Duration // added at most
	troubles []trouble     // in the order in which they came
}

// trouble is what a fault does to the segments of a link: it says how much later each arrives, or that it is lost, and may
// change what is in it.
type trouble interface {
	meet(r *rand.Rand, now time.Duration, payload []byte) (later time.Duration, lost bool)
}

// The time after which a segment that was lost is sent again: the first, which doubles, and the longest.
const (
	resendFirst   = 200 * time.Millisecond
	resendLongest = 2 * time.Second
)

// link gives the link between two hosts, which are named by their addresses.
func (n *network) link(from, to string) *link {
	key := [2]string{from, to}
	if l := n.links[key]; l != nil {
		return l
	}
	r := history.Rand(n.world.seed, "sim/link/"+from+">"+to)
	l := &link{world: n.world, random: r, latency: n.latency, spread: n.spread}
	if n.loss > 0 {
		l.troubles = append(l.troubles, &disturbed{loss: n.loss})
	}
	n.links[key] = l
	return l
}

// carry gets a segment over a link, at the first try or at a later one.
func (l *link) carry(payload []byte, arrive func()) { l.try(payload, resendFirst, arrive) }

func (l *link) try(payload []byte, again time.Duration, arrive func()) {
	takes, lost := l.latency+time.Duration(l.random.Int64N(int64(l.spread))), false
	for _, t := range l.troubles {
		later, gone := t.meet(l.random, l.world.now, payload)
		takes, lost = takes+later, lost || gone
	}
	if lost {
		l.world.after(again, func() { l.try(payload, min(2*again, resendLongest), arrive) })
		return
	}
	l.world.after(takes, arrive)
}
