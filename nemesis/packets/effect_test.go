package packets

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// datagram makes an IPv4 packet with a correct checksum.
func datagram(protocol byte, from byte, payload []byte) []byte {
	transport := make([]byte, 8)
	if protocol == unix.IPPROTO_TCP {
		transport = make([]byte, 20)
		transport[12] = 5 << 4
	}
	p := append([]byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0, 198, 18, 0, from, 198, 18, 0, 99}, append(transport, payload...)...)
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	if protocol == unix.IPPROTO_UDP {
		binary.BigEndian.PutUint16(p[24:], uint16(len(p)-20))
	}
	place := checksumPlace(protocol)
	sum := ^onesSum(p)
	if protocol == unix.IPPROTO_UDP && sum == 0 {
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(p[place:], sum)
	return p
}

func checksumPlace(protocol byte) int {
	if protocol == unix.IPPROTO_TCP {
		return 36
	}
	return 26
}

// onesSum is the sum that a checksum is made from, the slow and plain way: over the pseudo header and all behind the header.
func onesSum(p []byte) uint16 {
	pseudo := append(append([]byte{}, p[12:20]...), 0, p[9])
	pseudo = binary.BigEndian.AppendUint16(pseudo, uint16(len(p)-20))
	all := append(pseudo, p[20:]...)
	if len(all)%2 == 1 {
		all = append(all, 0)
	}
	var sum uint64
	for i := 0; i < len(all); i += 2 {
		sum += uint64(binary.BigEndian.Uint16(all[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

func TestCorruptMendsTheChecksum(t *testing.T) {
	r := random()
	mend, stale := Corrupt(1, true, r), Corrupt(1, false, r)
	for range 2000 {
		payload := make([]byte, 1+r.IntN(60))
		for i := range payload {
			payload[i] = byte(r.IntN(256))
		}
		for _, protocol := range []byte{unix.IPPROTO_TCP, unix.IPPROTO_UDP} {
			p := datagram(protocol, 1, payload)
			mended := mend.Decide(time.Time{}, p).Payload
			if onesSum(mended) != 0xffff {
				t.Fatalf("%x became %x, whose checksum is wrong", p, mended)
			}
			if changed := differences(p, mended, checksumPlace(protocol)); changed != 1 {
				t.Fatalf("%x became %x: %d bytes differ", p, mended, changed)
			}
			if left := stale.Decide(time.Time{}, p).Payload; onesSum(left) == 0xffff {
				t.Fatalf("%x became %x, whose checksum is right", p, left)
			}
		}
	}
	if f := mend.Decide(time.Time{}, datagram(unix.IPPROTO_TCP, 1, nil)); f.Payload != nil {
		t.Error("a packet that carries nothing was changed")
	}
}

// differences counts the bytes that differ, the checksum aside.
func differences(a, b []byte, checksum int) (n int) {
	for i := range a {
		if a[i] != b[i] && i != checksum && i != checksum+1 {
			n++
		}
	}
	return n
}

func TestDelayStaysInItsRangeAndKeepsOrder(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 0))
		effect := Delay(50*time.Millisecond, 20*time.Millisecond, r)
		at := time.Now()
		last := make(map[byte]time.Time)
		for range 200 {
			at = at.Add(time.Duration(r.IntN(int(10 * time.Millisecond))))
			from := byte(r.IntN(3))
			due := effect.Decide(at, datagram(unix.IPPROTO_UDP, from, nil)).Due
			if took := due.Sub(at); took < 30*time.Millisecond || took > 70*time.Millisecond {
				t.Fatalf("held for %v", took)
			}
			if due.Before(last[from]) {
				t.Fatal("one overtakes another of the same sender")
			}
			last[from] = due
		}
	}
}

func TestBandwidthKeepsToItsRate(t *testing.T) {
	const rate = 10000 // bytes a second: a packet of 100 bytes takes 10 ms
	effect := Bandwidth(rate, 95*time.Millisecond)
	at := time.Now()
	p := datagram(unix.IPPROTO_UDP, 1, make([]byte, 72))
	passed := 0
	for i := range 20 {
		f := effect.Decide(at, p)
		if f.Drop {
			continue
		}
		passed++
		if want := time.Duration(i+1) * 10 * time.Millisecond; f.Due.Sub(at) != want {
			t.Errorf("packet %d is due after %v, want %v", i, f.Due.Sub(at), want)
		}
	}
	if passed != 10 {
		t.Errorf("%d passed at once, want 10", passed)
	}
	if f := effect.Decide(at, datagram(unix.IPPROTO_UDP, 2, make([]byte, 72))); f.Due.Sub(at) != 10*time.Millisecond {
		t.Errorf("another sender waits %v", f.Due.Sub(at))
	}
	if f := effect.Decide(at.Add(time.Hour), p); f.Due.Sub(at.Add(time.Hour)) != 10*time.Millisecond {
		t.Errorf("after a rest it waits %v", f.Due.Sub(at.Add(time.Hour)))
	}
}

// FuzzEffects has all effects decide on anything, and expects that what goes on in a packet's place differs in no more than it should.
func FuzzEffects(f *testing.F) {
	f.Add(datagram(unix.IPPROTO_TCP, 1, []byte("hello")))
	f.Add(datagram(unix.IPPROTO_UDP, 1, []byte("hello")))
	f.Add([]byte{0x4f, 0})
	f.Fuzz(func(t *testing.T, packet []byte) {
		now := time.Now()
		for _, e := range []Effect{
			Delay(time.Second, 0, nil), Reorder(1, time.Second, random()), Duplicate(1, random()),
			Bandwidth(1000, time.Second), Corrupt(1, true, random()), Corrupt(1, false, random()),
		} {
			fate := e.Decide(now, packet)
			if fate.Due.Before(now) {
				t.Error("due before it came")
			}
			if fate.Payload != nil && len(fate.Payload) != len(packet) {
				t.Errorf("%d bytes became %d", len(packet), len(fate.Payload))
			}
		}
	})
}

func FuzzParse(f *testing.F) {
	m, err := verdict(1, 7, accept, []byte("payload"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(m.Data)
	f.Add([]byte{0, 0, 0, 1, 8, 0, 1, 0, 0, 0, 0, 9})
	f.Fuzz(func(t *testing.T, data []byte) {
		_, payload, err := parse(data)
		if err == nil && len(payload) > len(data) {
			t.Errorf("%d bytes hold %d", len(data), len(payload))
		}
	})
}

func TestParse(t *testing.T) {
	id, payload, err := parse([]byte{2, 0, 0, 1, 11, 0, 1, 0, 0, 0, 1, 2, 8, 0, 1, 0, 9, 0, 10, 0, 'h', 'e', 'l', 'l', 'o', 0, 0, 0})
	if err != nil || id != 258 || string(payload) != "hello" {
		t.Errorf("%d %q %v", id, payload, err)
	}
	for _, bad := range [][]byte{nil, {2, 0, 0}, {2, 0, 0, 1}, {2, 0, 0, 1, 200, 0, 1, 0}} {
		if _, _, err := parse(bad); err == nil {
			t.Errorf("%x was read", bad)
		}
	}
}
