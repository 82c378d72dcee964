package packets

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Corrupt changes one byte of what a share of the TCP and UDP packets carry. With the checksum left stale the receiver's kernel drops such a packet;
// with the checksum mended the program reads the wrong byte. Packets that carry nothing pass as they are.
func Corrupt(share float64, mend bool, r *rand.Rand) Effect {
	return Effect{Whole: true, Decide: func(at time.Time, packet []byte) Fate {
		f := Fate{Due: at}
		start, checksum, ok := carried(packet)
		if !ok || r.Float64() >= share {
			return f
		}
		f.Payload = slices.Clone(packet)
		f.Payload[start+r.IntN(len(packet)-start)] ^= byte(1 + r.IntN(255))
		if mend {
			mendChecksum(f.Payload, packet, checksum)
		}
		return f
	}}
}

// carried finds what a TCP or UDP packet carries: the place of its first byte, and that of the checksum over it. It is not ok for
// other packets, for parts of packets, and for those that carry nothing.
func carried(packet []byte) (start, checksum int, ok bool) {
	if len(packet) < 20 || packet[0]>>4 != 4 {
		return 0, 0, false
	}
	const offsetAndMore = 0x3fff // of the field of flags and fragment offset: it is a part, or more parts follow
	header := int(packet[0]&0xf) * 4
	if header < 20 || binary.BigEndian.Uint16(packet[6:])&offsetAndMore != 0 {
		return 0, 0, false
	}
	switch packet[9] {
	case unix.IPPROTO_UDP:
		start, checksum = header+8, header+6
	case unix.IPPROTO_TCP:
		if len(packet) < header+20 {
			return 0, 0, false
		}
		start, checksum = header+int(packet[header+12]>>4)*4, header+16
		if start < header+20 {
			return 0, 0, false
		}
	}
	return start, checksum, start > 0 && start < len(packet)
}

// mendChecksum brings the checksum up to date with a packet that differs from the one it was made for, by the differences alone (RFC 1624,
// equation 3). Headers are of even length, so that words of the packet are words of what the checksum covers.
func mendChecksum(packet, before []byte, checksum int) {
	old := binary.BigEndian.Uint16(before[checksum:])
	udp := packet[9] == unix.IPPROTO_UDP
	if udp && old == 0 {
		return // the sender made none
	}
	sum := uint32(^old)
	for i := 0; i < len(packet); i += 2 {
		if was, is := word(before, i), word(packet, i); was != is {
			sum += uint32(^was) + uint32(is)
		}
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	mended := ^uint16(sum)
	if udp && mended == 0 {
		mended = 0xffff
	}
	binary.BigEndian.PutUint16(packet[checksum:], mended)
}

// word is the big-endian word at a place; a last odd byte is followed by zero.
func word(packet []byte, i int) uint16 {
	w := uint16(packet[i]) << 8
	if i+1 < len(packet) {
		w |= uint16(packet[i+1])
	}
	return w
}
