//go:build linux && amd64

package vdso

import (
	"bufio"
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// hooked are the functions of the vDSO that tell the time; the symbols are __vdso_NAME.
var hooked = [...]string{"clock_gettime", "gettimeofday", "time"}

// image is the vDSO of a process as it is mapped.
type image struct {
	maps  []mapping
	start uint64              // address in the process
	bytes []byte              // whole pages
	used  int                 // where the ELF image ends and unused bytes begin
	entry [len(hooked)]uint64 // address of each function
}

type mapping struct {
	from, to uint64
	name     string
}

// errNoVDSO is of a process without a vDSO; so is one for a moment that makes an exec.
var errNoVDSO = fmt.Errorf("the process has no vDSO: %w", ErrUnsupported)

// readImage finds the vDSO in a process's memory and takes it apart. The error is ErrGone for a process that has ended,
// or errNoVDSO.
func readImage(pid int, mem *os.File) (image, error) {
	var img image
	var err error
	if img.maps, err = readMaps(pid); err != nil {
		return img, err
	}
	if len(img.maps) == 0 {
		return img, fmt.Errorf("process %d has no memory: %w", pid, ErrGone)
	}
	for _, m := range img.maps {
		if m.name == "[vdso]" {
			img.start, img.bytes = m.from, make([]byte, m.to-m.from)
		}
	}
	if img.bytes == nil {
		return img, errNoVDSO
	}
	if err := peek(mem, img.start, img.bytes); err != nil {
		return img, err
	}
	return img, img.parse()
}

// parse finds the functions and the end of what is used.
func (img *image) parse() error {
	file, err := elf.NewFile(bytes.NewReader(img.bytes))
	if err != nil {
		return fmt.Errorf("read the vDSO: %w", err)
	}
	if file.Class != elf.ELFCLASS64 || file.Machine != elf.EM_X86_64 {
		return fmt.Errorf("the vDSO is for %v, %v: %w", file.Machine, file.Class, ErrUnsupported)
	}
	symbols, err := file.DynamicSymbols()
	if err != nil {
		return fmt.Errorf("read the vDSO's symbols: %w", err)
	}
	address := make(map[string]uint64)
	for _, s := range symbols {
		address[s.Name] = s.Value
	}
	for i, name := range hooked {
		offset, ok := address["__vdso_"+name]
		if !ok || offset > uint64(len(img.bytes)-32) {
			return fmt.Errorf("the vDSO has no function __vdso_%s: %w", name, ErrUnsupported)
		}
		if bytes.HasPrefix(img.bytes[offset:], []byte{0xf3, 0x0f, 0x1e, 0xfa}) {
			offset += 4 // endbr64: where indirect calls must land
		}
		img.entry[i] = img.start + offset
	}
	img.used = elfEnd(file, img.bytes)
	return nil
}

// elfEnd is where the last part of an ELF image ends, its section headers included.
func elfEnd(file *elf.File, image []byte) int {
	headers := binary.LittleEndian.Uint64(image[0x28:])
	each, count := binary.LittleEndian.Uint16(image[0x3a:]), binary.LittleEndian.Uint16(image[0x3c:])
	end := headers + uint64(each)*uint64(count)
	for _, s := range file.Sections {
		if s.Type != elf.SHT_NOBITS {
			end = max(end, s.Offset+s.FileSize)
		}
	}
	for _, p := range file.Progs {
		end = max(end, p.Off+max(p.Filesz, p.Memsz))
	}
	return int(min(end, uint64(len(image))))
}

// at is the part of the image from an address on.
func (img *image) at(address uint64) []byte {
	return img.bytes[address-img.start:]
}

// vacant says whether the image has room for size bytes at an address. A shim that was taken out of use there does not matter.
func (img *image) vacant(address uint64, size int) bool {
	if address+uint64(size) > img.start+uint64(len(img.bytes)) {
		return false
	}
	space := img.at(address)[:size]
	return bytes.HasPrefix(space, []byte(magic)) || len(bytes.Trim(space, "\x00")) == 0
}

// gap finds a free page, away from what grows, that a jump from the vDSO can reach.
func (img *image) gap() (uint64, bool) {
	const reach, page, room = 1 << 30, 4096, 1 << 20
	for i := 1; i < len(img.maps); i++ {
		low, high := img.maps[i-1].to, img.maps[i].from
		low, high = max(low, img.start-reach), min(high, img.start+reach)
		if high > low && high-low >= room {
			return (low + (high-low)/2) &^ (page - 1), true
		}
	}
	return 0, false
}

// readMaps reads /proc/PID/maps.
func readMaps(pid int) ([]mapping, error) {
	file, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return nil, gone(err)
	}
	defer file.Close()
	var list []mapping
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var m mapping
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x", &m.from, &m.to); err != nil {
			return nil, fmt.Errorf("read %s: line %q: %w", file.Name(), lines.Text(), err)
		}
		if fields := strings.Fields(lines.Text()); len(fields) > 5 {
			m.name = fields[5]
		}
		list = append(list, m)
	}
	if err := lines.Err(); err != nil {
		return nil, gone(err)
	}
	return list, nil
}

// openMemory opens the memory of the program that a process runs now.
func openMemory(pid int) (*os.File, error) {
	mem, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_RDWR, 0)
	return mem, gone(err)
}

// peek fills b from an address in a process. The file stays bound to the program that ran when it was opened,
// so a process number that was given away or an exec is ErrGone, and never another program's memory.
func peek(mem *os.File, address uint64, b []byte) error {
	if _, err := mem.ReadAt(b, int64(address)); err != nil {
		return fmt.Errorf("read %d bytes at %#x: %w", len(b), address, gone(err))
	}
	return nil
}

// poke writes b at an address in a process, whatever the protection of the page: the process gets a copy of its own.
func poke(mem *os.File, address uint64, b []byte) error {
	_, err := mem.WriteAt(b, int64(address))
	if errors.Is(err, unix.EIO) {
		err = fmt.Errorf("%w (does the kernel run with proc_mem.force_override?)", err)
	}
	if err != nil {
		return fmt.Errorf("write %d bytes at %#x: %w", len(b), address, gone(err))
	}
	return nil
}

// gone turns the errors by which the kernel says that a process has ended into ErrGone.
func gone(err error) error {
	for _, ending := range []error{io.EOF, io.ErrUnexpectedEOF, io.ErrShortWrite, fs.ErrNotExist, unix.ESRCH, unix.ECHILD} {
		if errors.Is(err, ending) {
			return fmt.Errorf("%w (%w)", ErrGone, err)
		}
	}
	return err
}
