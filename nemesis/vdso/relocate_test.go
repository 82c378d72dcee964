//go:build linux && amd64

package vdso

import (
	"errors"
	"testing"

	"golang.org/x/arch/x86/x86asm"
)

func TestRelocate(t *testing.T) {
	const from, to = 0x7fff_0000_1000, 0x7fff_0000_2000
	for _, c := range []struct {
		name, code, want string // want empty: refused
	}{
		{"whole instructions", "\x55\x48\x89\xe5\x41\x56\x90\x90", "\x55\x48\x89\xe5\x41\x56" + "\xe9\xfb\xef\xff\xff"},
		{"a distance from the instruction pointer", "\x4c\x8d\x15\x00\x00\x00\x00", "\x4c\x8d\x15\x00\xf0\xff\xff" + "\xe9\xfb\xef\xff\xff"},
		{"a distance before an operand", "\x81\x3d\x10\x00\x00\x00\xff\xff\xff\x7f", "\x81\x3d\x10\xf0\xff\xff\xff\xff\xff\x7f" + "\xe9\xfb\xef\xff\xff"},
		{"a long conditional jump", "\x0f\x84\x00\x10\x00\x00", "\x0f\x84\x00\x00\x00\x00" + "\xe9\xfb\xef\xff\xff"},
		{"a short jump", "\x55\x74\x10\x90\x90\x90", ""},
		{"the function's end", "\x55\xc3\x90\x90\x90\x90", ""},
		{"a tail call", "\xe9\x00\x00\x00\x00", ""},
		{"too far", "\x4c\x8d\x15\x00\x00\x00\x80", ""},
		{"no instruction", "\x06\x06\x06\x06\x06", ""},
		{"not enough", "\x55\x48", ""},
	} {
		got, err := relocate([]byte(c.code), from, to)
		if string(got) != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: % x, %v; want % x", c.name, got, err, c.want)
		}
	}
	if _, err := relocate([]byte("\xc3"), from, to); !errors.Is(err, ErrUnsupported) {
		t.Errorf("a function too short: %v, want ErrUnsupported", err)
	}
}

// A moved instruction does what it did: it disassembles to the same text, targets included.
func FuzzRelocate(f *testing.F) {
	img := selfImage(f)
	for _, entry := range img.entry {
		f.Add(img.at(entry)[:32])
	}
	f.Add([]byte("\x55\x48"))
	f.Fuzz(func(t *testing.T, code []byte) {
		const from, to = 0x7fff_0000_1000, 0x7fff_0000_2000
		moved, err := relocate(code, from, to)
		if err != nil {
			return
		}
		for at := 0; at < len(moved)-jumpSize; {
			a, errA := x86asm.Decode(code[at:], 64)
			b, errB := x86asm.Decode(moved[at:], 64)
			if errA != nil || errB != nil || a.Len != b.Len {
				t.Fatalf("at %d: %v (%v) became %v (%v)", at, a, errA, b, errB)
			}
			if a.PCRel == 0 && x86asm.GNUSyntax(a, 0, nil) != x86asm.GNUSyntax(b, 0, nil) {
				t.Fatalf("at %d: %v became %v", at, a, b)
			}
			at += a.Len
		}
	})
}

// Whatever the pages of a vDSO hold, taking them apart ends with an error or with functions inside.
func FuzzParse(f *testing.F) {
	f.Add(selfImage(f).bytes)
	f.Fuzz(func(t *testing.T, pages []byte) {
		img := image{start: 0x7fff_0000_0000, bytes: pages}
		if img.parse() != nil {
			return
		}
		for i := range img.entry {
			if offset := img.entry[i] - img.start; offset+jumpSize > uint64(len(pages)) {
				t.Errorf("%s is at %#x of %#x bytes", hooked[i], offset, len(pages))
			}
		}
		if img.used > len(pages) {
			t.Errorf("%d of %d bytes are used", img.used, len(pages))
		}
	})
}
