package sim

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"rift/harness/history"
	guestpkg "rift/harness/sim/guest"
)

// network carries connections between hosts: nodes and clients, each with an address of its own.
type network struct {
	world   *world
	hosts   map[string]*host // by IP
	links   map[[2]string]*link
	streams int
}

// host is who has an address.
type host struct {
	ip      string
	listens map[string]bool // addresses of the form IP:port
	deliver func(frame []byte)
	ends    map[uint32]*stream // its ends of streams, by the number that it knows
	next    uint32             // of streams that come in
}

// link is one direction between two hosts.
type link struct {
	random *rand.Rand
	least  time.Duration // latency
	spread time.Duration // what is added at most
	loss   float64       // share of segments that are sent again
	cut    bool
}

// retransmit is after how long a segment is sent again; then twice that, and so on.
const retransmit = 200 * time.Millisecond

// longest is the longest time between two tries.
const longest = 2 * time.Second

// stream is one direction of a connection: bytes arrive in order, each at its time.
type stream struct {
	from, to *host
	fromID   uint32
	toID     uint32
	link     *link
	last     time.Duration // when the latest segment arrives
	gone     bool
	back     *stream
	queue    []*segment // that are under way, in order
}

func newNetwork(w *world) *network {
	return &network{world: w, hosts: make(map[string]*host), links: make(map[[2]string]*link)}
}

func (n *network) link(from, to string) *link {
	key := [2]string{from, to}
	l := n.links[key]
	if l == nil {
		r := history.Rand(n.world.seed, fmt.Sprintf("sim/link/%s/%s", from, to))
		l = &link{random: r, least: 200 * time.Microsecond, spread: 800 * time.Microsecond}
		n.links[key] = l
	}
	return l
}

func (n *network) join(ip string, deliver func(frame []byte)) *host {
	h := &host{ip: ip, listens: make(map[string]bool), deliver: deliver, ends: make(map[uint32]*stream), next: 1 << 31}
	n.hosts[ip] = h
	return h
}

// attempt gets a segment over a link, at the first try or a later one.
func (n *network) attempt(s *stream, wait time.Duration, arrive func()) {
	l := s.link
	if l.cut || l.random.Float64() < l.loss {
		n.world.after(wait, func() {
			if !s.gone {
				n.attempt(s, min(2*wait, longest), arrive)
			}
		})
		return
	}
	at := n.world.now + l.least + time.Duration(l.random.Int64N(int64(l.spread)+1))
	n.world.at(at, arrive)
}

// pipe orders segments: one that was lost holds up those behind it.
type segment struct {
	arrived bool
	frame   []byte
	last    bool
}

// send sends on a stream.
func (n *network) send(s *stream, kind byte, payload []byte) {
	if s.gone {
		return
	}
	seg := &segment{frame: guestpkg.AppendFrame(nil, kind, s.toID, payload), last: kind != guestpkg.FrameData}
	q := &s.queue
	*q = append(*q, seg)
	n.attempt(s, retransmit, func() {
		seg.arrived = true
		for len(*q) > 0 && (*q)[0].arrived {
			first := (*q)[0]
			*q = (*q)[1:]
			if s.to.ends[s.toID] == nil {
				continue
			}
			s.to.deliver(first.frame)
		}
	})
}

func ipOf(address string) string {
	ip, _, _ := strings.Cut(address, ":")
	return ip
}

// take carries out what a host sends.
func (n *network) take(h *host, kind byte, id uint32, payload []byte) {
	switch kind {
	case guestpkg.FrameListen:
		h.listens[string(payload)] = true
	case guestpkg.FrameDial:
		n.dial(h, id, string(payload))
	case guestpkg.FrameData, guestpkg.FrameEnd, guestpkg.FrameReset:
		s := h.ends[id]
		if s == nil {
			return
		}
		n.send(s, kind, payload)
		if kind != guestpkg.FrameData {
			delete(h.ends, id)
		}
	}
}

// dial makes a connection, if somebody listens.
func (n *network) dial(h *host, id uint32, to string) {
	out := &stream{from: h, fromID: id, link: n.link(h.ip, ipOf(to))}
	h.ends[id] = out
	n.attempt(out, retransmit, func() {
		peer := n.hosts[ipOf(to)]
		if h.ends[id] != out {
			return
		}
		reply := &stream{link: n.link(ipOf(to), h.ip)}
		if peer == nil || !peer.listens[to] {
			n.attempt(reply, retransmit, func() {
				if h.ends[id] == out {
					delete(h.ends, id)
					h.deliver(guestpkg.AppendFrame(nil, guestpkg.FrameRefused, id, nil))
				}
			})
			return
		}
		peer.next++
		out.to, out.toID = peer, peer.next
		back := &stream{from: peer, fromID: peer.next, to: h, toID: id, link: reply.link, back: out}
		out.back = back
		peer.ends[peer.next] = back
		peer.deliver(guestpkg.AppendFrame(nil, guestpkg.FrameAccept, peer.next, fmt.Appendf(nil, "%s %s:%d", to, h.ip, 40000+id%20000)))
		n.attempt(back, retransmit, func() {
			if h.ends[id] == out {
				h.deliver(guestpkg.AppendFrame(nil, guestpkg.FrameOpen, id, fmt.Appendf(nil, "%s:%d", h.ip, 40000+id%20000)))
			}
		})
	})
}

// ended resets the connections of a guest that has ended.
func (n *network) ended(g *guest) {
	h := n.hosts[g.ip()]
	if h == nil {
		return
	}
	for _, s := range sortedEnds(h) {
		if s.to != nil {
			n.send(s, guestpkg.FrameReset, nil)
		}
	}
	delete(n.hosts, g.ip())
}

func sortedEnds(h *host) []*stream {
	var all []*stream
	for _, id := range slices.Sorted(maps.Keys(h.ends)) {
		all = append(all, h.ends[id])
	}
	return all
}
