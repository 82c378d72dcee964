//go:build linux && amd64

package vdso

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/arch/x86/x86asm"
)

// The shim in memory: the data first, at fixed places, then the code of the listing, then the true functions.
const (
	magic        = "RiftClk1"               // the last character changes with the layout
	sequenceAt   = 8                        // one byte, raised by each change; the block in force is number sequence mod 2
	timelineOfAt = 16                       // for each clock id the place of its timeline in a block; 0xff: left alone
	originalsAt  = 32                       // the bytes that the jumps replaced, each in 8 bytes
	blocksAt     = 64                       // two blocks
	blockSize    = timelines * timelineSize //
	timelineSize = 7 * 8                    //
	codeAt       = blocksAt + 2*blockSize   // clock_gettime comes first, so its jump leads to the shim
	jumpSize     = 5                        // jmp with a 32-bit distance
	noTimeline   = 0xff                     //
)

//go:embed shim.lst
var listing string

// timelineOf says which timeline each clock id belongs to; see clock_gettime(2).
var timelineOf = map[int]int{
	0: wall, 5: wall, 8: wall, // REALTIME, its coarse form, its alarm
	1: monotonic, 6: monotonic, // MONOTONIC, its coarse form
	4: raw,           // MONOTONIC_RAW
	7: boot, 9: boot, // BOOTTIME, its alarm
	11: tai, // TAI
}

// shim is what Attach puts into a process.
type shim struct {
	base   uint64              // its address
	bytes  []byte              // what stands there
	target [len(hooked)]uint64 // where the jumps lead
	moved  [len(hooked)]uint64 // where the true functions begin now
	trap   uint64              // where a call made by Read returns to
}

// newShim makes the shim for a vDSO that is not patched, to stand at base. Its clocks are true.
func newShim(img *image, base uint64) (shim, error) {
	code, labels, holes, err := assemble(listing)
	if err != nil {
		return shim{}, err
	}
	for name, at := range labels {
		labels[name] = at + codeAt
	}
	labels["sequence"], labels["timeline_of"], labels["blocks"] = sequenceAt, timelineOfAt, blocksAt

	s := shim{base: base, bytes: append(header(img), code...)}
	for i, name := range hooked {
		at := len(s.bytes)
		function, err := relocate(img.at(img.entry[i]), img.entry[i], base+uint64(at))
		if err != nil {
			return shim{}, fmt.Errorf("move the start of __vdso_%s: %w", name, err)
		}
		s.bytes = append(s.bytes, function...)
		labels["true_"+name] = at
		s.moved[i], s.target[i] = base+uint64(at), base+uint64(labels[name])
	}
	s.trap = base + uint64(labels["trap"])
	for at, name := range holes {
		to, ok := labels[name]
		if !ok {
			return shim{}, fmt.Errorf("assemble the shim: no label %q", name)
		}
		binary.LittleEndian.PutUint32(s.bytes[codeAt+at:], uint32(to-(codeAt+at+4)))
	}
	return s, nil
}

// header is the shim's data, with blocks that skew nothing.
func header(img *image) []byte {
	b := make([]byte, codeAt)
	copy(b, magic)
	for id := range b[timelineOfAt:originalsAt] {
		b[timelineOfAt+id] = noTimeline
		if t, ok := timelineOf[id]; ok {
			b[timelineOfAt+id] = byte(t * timelineSize)
		}
	}
	for i, entry := range img.entry {
		copy(b[originalsAt+8*i:], img.at(entry)[:jumpSize])
	}
	return b
}

// findShim recognises the shim that a patched vDSO jumps to, by the magic in front of it, and puts the original bytes back into img (not into
// the process). It returns base 0 if the functions are as the kernel made them, and an error if somebody else patched them.
func findShim(img *image, mem *os.File) (shim, error) {
	entry := img.entry[0]
	if img.at(entry)[0] != 0xe9 {
		return shim{}, nil
	}
	distance := int32(binary.LittleEndian.Uint32(img.at(entry)[1:]))
	base := entry + jumpSize + uint64(int64(distance)) - codeAt
	found := make([]byte, codeAt)
	if err := peek(mem, base, found); errors.Is(err, ErrGone) {
		return shim{}, err
	} else if err != nil || !bytes.HasPrefix(found, []byte(magic)) {
		return shim{}, fmt.Errorf("__vdso_%s is patched, but not by this version of rift; restart the process", hooked[0])
	}
	for i := range hooked {
		copy(img.at(img.entry[i]), found[originalsAt+8*i:][:jumpSize])
	}
	return newShim(img, base)
}

// jump is the instruction that leads from a function's entry to its replacement.
func jump(from, to uint64) []byte {
	return binary.LittleEndian.AppendUint32([]byte{0xe9}, uint32(to-from-jumpSize))
}

// relocate copies the first instructions of a function, at least as many as a jump overwrites, to another address, and
// adds a jump to the rest. Each instruction keeps its distance from the first.
func relocate(code []byte, from, to uint64) ([]byte, error) {
	var moved []byte
	for len(moved) < jumpSize {
		at := len(moved)
		inst, err := x86asm.Decode(code[at:], 64)
		if err == nil && inst.Op == 0 {
			err = x86asm.ErrTruncated // a lone prefix
		}
		if err != nil {
			return nil, fmt.Errorf("instruction % x: %w", code[at:min(at+15, len(code))], err)
		}
		moved = append(moved, code[at:at+inst.Len]...)
		switch {
		case inst.Op == x86asm.RET || inst.Op == x86asm.JMP, inst.PCRel != 0 && inst.PCRel != 4,
			inst.Prefix[0].IsVEX() || inst.Prefix[0].IsEVEX(): // of which the decoder misplaces the distance
			return nil, fmt.Errorf("%v cannot be moved: %w", inst, ErrUnsupported)
		case inst.PCRel == 4:
			field := moved[at+inst.PCRelOff:]
			distance := int64(int32(binary.LittleEndian.Uint32(field))) + int64(from) - int64(to)
			if distance != int64(int32(distance)) {
				return nil, fmt.Errorf("%v cannot be moved from %#x to %#x: %w", inst, from, to, ErrUnsupported)
			}
			binary.LittleEndian.PutUint32(field, uint32(distance))
		}
	}
	end := uint64(len(moved))
	return append(moved, jump(to+end, from+end)...), nil
}

// assemble reads a listing: its code with holes of four bytes for the distances, the labels' places, and the label that belongs in
// each hole.
func assemble(listing string) (code []byte, labels map[string]int, holes map[int]string, err error) {
	labels, holes = make(map[string]int), make(map[int]string)
	for line := range strings.Lines(listing) {
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSpace(line)
		if label, ok := strings.CutSuffix(line, ":"); ok {
			labels[label] = len(code)
			continue
		}
		line, _, _ = strings.Cut(line, "  ") // the mnemonic follows
		for _, word := range strings.Fields(line) {
			if label, ok := strings.CutPrefix(word, "@"); ok {
				holes[len(code)] = label
				code = append(code, 0, 0, 0, 0)
				continue
			}
			b, err := hex.DecodeString(word)
			if err != nil {
				return nil, nil, nil, fmt.Errorf("assemble the shim: line %q: %w", line, err)
			}
			code = append(code, b...)
		}
	}
	return code, labels, holes, nil
}
