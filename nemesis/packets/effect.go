package packets

import (
	"encoding/binary"
	"math/rand/v2"
	"time"
)

// Effect decides what becomes of packets. Decide is called for one packet after the other, in the order of their arrival.
type Effect struct {
	// Whole says that Decide wants whole packets, with their checksums filled in; without it, it is given the IPv4 header alone.
	Whole  bool
	Decide func(at time.Time, packet []byte) Fate
}

// Fate is what becomes of one packet.
type Fate struct {
	Due     time.Time // when the packet goes on; packets that are due at the same time keep their order
	Drop    bool      // then it does not go on
	Payload []byte    // what goes on in its place; nil for the packet itself
	Copies  int       // how many more times it arrives; for effects that want whole packets
}

// sender is where a packet comes from; packets too short for a header have one sender in common.
func sender(packet []byte) (from [4]byte) {
	if len(packet) >= 20 {
		from = [4]byte(packet[12:16])
	}
	return from
}

// destination is where a packet goes to.
func destination(packet []byte) (to [4]byte) {
	if len(packet) >= 20 {
		to = [4]byte(packet[16:20])
	}
	return to
}

// length is a packet's whole length in bytes, as its header tells it.
func length(packet []byte) int {
	if len(packet) < 20 {
		return len(packet)
	}
	return int(binary.BigEndian.Uint16(packet[2:]))
}

// Delay holds each packet back for a time drawn evenly from delay ± jitter. Packets of one sender keep their order, so that jitter also makes
// bunches of them, as a router's queue does.
func Delay(delay, jitter time.Duration, r *rand.Rand) Effect {
	last := make(map[[4]byte]time.Time)
	return Effect{Decide: func(at time.Time, packet []byte) Fate {
		due := at.Add(delay - jitter)
		if jitter > 0 {
			due = due.Add(time.Duration(r.Int64N(2*int64(jitter) + 1)))
		}
		from := sender(packet)
		if due.Before(last[from]) {
			due = last[from]
		}
		last[from] = due
		return Fate{Due: due}
	}}
}

// Reorder holds a share of the packets back for a time, so that those behind them overtake.
func Reorder(share float64, hold time.Duration, r *rand.Rand) Effect {
	return Effect{Decide: func(at time.Time, _ []byte) Fate {
		if r.Float64() < share {
			at = at.Add(hold)
		}
		return Fate{Due: at}
	}}
}

// Duplicate has a share of the packets arrive twice. The copy comes over the receiver's loopback device.
func Duplicate(share float64, r *rand.Rand) Effect {
	return Effect{Whole: true, Decide: func(at time.Time, _ []byte) Fate {
		f := Fate{Due: at}
		if r.Float64() < share {
			f.Copies = 1
		}
		return f
	}}
}

// Bandwidth lets each sender's packets pass at a rate, in bytes a second. What would have to wait longer than the backlog is dropped, as
// by a router whose queue is full.
func Bandwidth(rate float64, backlog time.Duration) Effect {
	free := make(map[[4]byte]time.Time) // when the sender's link has sent what it has taken
	return Effect{Decide: func(at time.Time, packet []byte) Fate {
		from := sender(packet)
		start := at
		if free[from].After(at) {
			start = free[from]
		}
		if start.Sub(at) > backlog {
			return Fate{Due: at, Drop: true}
		}
		due := start.Add(time.Duration(float64(length(packet)) / rate * float64(time.Second)))
		free[from] = due
		return Fate{Due: due}
	}}
}
