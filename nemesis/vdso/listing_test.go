//go:build linux && amd64

package vdso

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/arch/x86/x86asm"
)

// selfImage is the vDSO of the test itself.
func selfImage(t testing.TB) image {
	t.Helper()
	mem, err := os.Open("/proc/self/mem")
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	img, err := readImage(os.Getpid(), mem)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

var ripRelative = regexp.MustCompile(`\[rip\+0x[0-9a-f]+\]`)

// The words in the listing say what its bytes do: each line's mnemonic is what a disassembler makes of its bytes.
func TestListingSaysWhatItDoes(t *testing.T) {
	img := selfImage(t)
	const page = 4096
	s, err := newShim(&img, img.start+page)
	if err != nil {
		t.Fatal(err)
	}
	_, labels, _, err := assemble(listing)
	if err != nil {
		t.Fatal(err)
	}
	names := map[uint64]string{
		s.base + sequenceAt: "sequence", s.base + timelineOfAt: "timeline_of", s.base + blocksAt: "blocks",
		s.moved[0]: "true_clock_gettime", s.moved[1]: "true_gettimeofday", s.moved[2]: "true_time",
	}
	for name, at := range labels {
		names[s.base+codeAt+uint64(at)] = name
	}
	symbol := func(address uint64) (string, uint64) { return names[address], address }

	at, lines := uint64(codeAt), 0
	for line := range strings.Lines(listing) {
		line, _, _ = strings.Cut(line, "#")
		if strings.TrimSpace(line) == "" || strings.HasSuffix(strings.TrimSpace(line), ":") {
			continue
		}
		inst, err := x86asm.Decode(s.bytes[at:], 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		said := strings.TrimSpace(line[strings.Index(line, "  "):])
		did := x86asm.IntelSyntax(inst, s.base+at, symbol)
		// The disassembler names the targets of jumps, but not those of memory operands.
		did = ripRelative.ReplaceAllStringFunc(did, func(operand string) string {
			distance, err := strconv.ParseUint(operand[len("[rip+0x"):len(operand)-1], 16, 32)
			if err != nil {
				t.Fatalf("%q: %v", operand, err)
			}
			return "[" + names[s.base+at+uint64(inst.Len)+uint64(int32(distance))] + "]"
		})
		if did != said {
			t.Errorf("the listing says %q, the bytes do %q", said, did)
		}
		at += uint64(inst.Len)
		lines++
	}
	if s.base+at != s.moved[0] {
		t.Errorf("the listing's lines end at %#x, its code at %#x", s.base+at, s.moved[0])
	}
	if lines < 80 {
		t.Errorf("only %d instructions were compared", lines)
	}
	if fits := len(img.bytes) - img.used - 63; len(s.bytes) > fits {
		t.Logf("the shim of %d bytes needs a page of its own: %d are free behind the vDSO", len(s.bytes), fits)
	}
}
