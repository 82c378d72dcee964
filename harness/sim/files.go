package sim

import (
	"encoding/binary"
	"path"
	"slices"

	"rift/harness/sim/guest"
)

// descriptor is what a process has open.
type descriptor struct {
	file   *file
	path   string
	offset int
	append bool
	names  []string // what a folder held when its list was begun
	output bool     // it is the process's output
	device bool     // it is the network
}

// The kinds of files in WASI.
const (
	kindCharacters = 2
	kindFolder     = 3
	kindFile       = 4
	kindStream     = 6
)

func (d *descriptor) kind() byte {
	switch {
	case d.device:
		return kindStream
	case d.file == nil:
		return kindCharacters
	}
	return d.file.kind()
}

func (f *file) kind() byte {
	if f.names != nil {
		return kindFolder
	}
	return kindFile
}

func (c call) close() errno {
	if c.file(0) == nil {
		return errBadFD
	}
	delete(c.files, int32(c.number(0)))
	return success
}

// describe tells what a descriptor is, and that everything may be done with it.
func (c call) describe() errno {
	const appends, nonBlocking, everything = 1, 4, 1<<30 - 1
	d := c.file(0)
	if d == nil {
		return errBadFD
	}
	b := make([]byte, 24)
	b[0] = d.kind()
	if d.append {
		b[2] |= appends
	}
	if d.device {
		b[2] |= nonBlocking
	}
	binary.LittleEndian.PutUint64(b[8:], everything)
	binary.LittleEndian.PutUint64(b[16:], everything)
	c.memory.Write(c.number(1), b)
	return success
}

func (c call) stat() errno {
	d := c.file(0)
	if d == nil {
		return errBadFD
	}
	c.writeStat(c.number(1), d.kind(), d.file)
	return success
}

func (c call) statPath() errno {
	f, _, _ := c.machine.disk.find(c.path(0, 2))
	if f == nil {
		return errNoEntry
	}
	c.writeStat(c.number(4), f.kind(), f)
	return success
}

func (c call) writeStat(at uint32, kind byte, f *file) {
	b := make([]byte, 64)
	b[16], b[24] = kind, 1
	if f != nil {
		binary.LittleEndian.PutUint64(b[8:], f.inode)
		binary.LittleEndian.PutUint64(b[32:], uint64(len(f.data)))
	}
	c.memory.Write(at, b)
}

func (c call) truncate() errno {
	d := c.file(0)
	if d == nil || d.kind() != kindFile {
		return errBadFD
	}
	c.machine.disk.resize(d.file, int(c.args[1]))
	return success
}

// buffers are the places in memory that the arguments name, after a descriptor.
func (c call) buffers() [][]byte {
	list := make([][]byte, c.number(2))
	for i := range list {
		at := c.number(1) + uint32(i)*8
		begin, _ := c.memory.ReadUint32Le(at)
		size, _ := c.memory.ReadUint32Le(at + 4)
		list[i], _ = c.memory.Read(begin, size)
	}
	return list
}

// read reads at an offset, or, if that is negative, where the descriptor is. The argument at result says where to write how much it was.
func (c call) read(at, result int) errno {
	d := c.file(0)
	switch {
	case d == nil:
		return errBadFD
	case d.kind() == kindFolder:
		return errIsDir
	case d.device && len(c.inbox) == 0:
		return errAgain
	}
	if d.file != nil {
		if refused := c.machine.disk.refuses(callRead); refused != success {
			return refused
		}
	}
	var source []byte
	switch {
	case d.device:
		source = c.inbox
	case d.file != nil && at >= 0:
		source = d.file.data[min(at, len(d.file.data)):]
	case d.file != nil:
		source = d.file.data[min(d.offset, len(d.file.data)):]
	}
	n := 0
	for _, b := range c.buffers() {
		n += copy(b, source[n:])
	}
	switch {
	case d.device:
		c.inbox = slices.Delete(c.inbox, 0, n)
	case at < 0:
		d.offset += n
	}
	c.memory.WriteUint32Le(c.number(result), uint32(n))
	return success
}

// write writes likewise.
func (c call) write(at, result int) errno {
	d := c.file(0)
	if d == nil || d.kind() == kindFolder {
		return errBadFD
	}
	n := 0
	for _, b := range c.buffers() {
		switch {
		case d.output:
			_, _ = c.machine.output.Write(b) // a log that cannot be kept ends no node
		case d.device:
			c.machine.host.take(b[4], binary.LittleEndian.Uint32(b[5:]), slices.Clone(b[guest.FrameHeader:])) // one whole frame, see package guest
		case d.file == nil:
		default:
			if refused := c.writeFile(d, at, n, b); refused != success {
				return refused
			}
		}
		n += len(b)
	}
	c.memory.WriteUint32Le(c.number(result), uint32(n))
	return success
}

func (c call) writeFile(d *descriptor, at, done int, b []byte) errno {
	if refused := c.machine.disk.refuses(callWrite); refused != success {
		return refused
	}
	if at < 0 && d.append {
		d.offset = len(d.file.data)
	}
	to := d.offset
	if at >= 0 {
		to = at + done
	}
	if c.dies() {
		c.machine.disk.write(d.file, b[:c.fate.IntN(len(b)+1)], to)
		panic(errEnded)
	}
	c.machine.disk.write(d.file, b, to)
	if at < 0 {
		d.offset += len(b)
	}
	return success
}

// preopened tells the one folder that a process begins with.
func (c call) preopened() errno {
	if c.number(0) != root {
		return errBadFD
	}
	c.memory.WriteUint64Le(c.number(1), uint64(len("/"))<<32)
	return success
}

func (c call) preopenedName() errno {
	c.memory.WriteString(c.number(1), "/")
	return success
}

// list lists a folder, from an entry on, in as many bytes as there is room for.
func (c call) list() errno {
	d := c.file(0)
	if d == nil || d.kind() != kindFolder {
		return errBadFD
	}
	from, room := int(c.args[3]), int(c.number(2))
	if from == 0 {
		d.names = d.file.list()
	}
	var b []byte
	for i := from; i < len(d.names) && len(b) < room; i++ {
		f := d.file.names[d.names[i]]
		if f == nil {
			continue // it was removed meanwhile
		}
		b = binary.LittleEndian.AppendUint64(b, uint64(i+1))
		b = binary.LittleEndian.AppendUint64(b, f.inode)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(d.names[i])))
		b = append(append(b, f.kind(), 0, 0, 0), d.names[i]...)
	}
	b = b[:min(len(b), room)]
	c.memory.Write(c.number(1), b)
	c.memory.WriteUint32Le(c.number(4), uint32(len(b)))
	return success
}

func (c call) seek() errno {
	const fromStart, fromHere, fromEnd = 0, 1, 2
	d := c.file(0)
	if d == nil || d.file == nil {
		return errBadFD
	}
	base := map[uint32]int{fromStart: 0, fromHere: d.offset, fromEnd: len(d.file.data)}[c.number(2)]
	to := base + int(int64(c.args[1]))
	if to < 0 {
		return errInvalid
	}
	d.offset = to
	c.memory.WriteUint64Le(c.number(3), uint64(to))
	return success
}

func (c call) sync() errno {
	d := c.file(0)
	if d == nil || d.file == nil {
		return errBadFD
	}
	disk := c.machine.disk
	if c.dies() {
		panic(errEnded)
	}
	now := &c.machine.world.now
	for until := *now + disk.syncTime; *now < until; {
		c.waitFor(until - *now)
	}
	if disk.slow != nil {
		for until := *now + disk.slow(); *now < until && disk.slow != nil; {
			c.waitFor(until - *now)
		}
	}
	if refused := disk.refuses(callSync); refused != success {
		d.file.giveUp()
		return refused
	}
	disk.sync(d.file)
	return success
}

// path is the path that the arguments name: a folder, and at another place a text.
func (c call) path(folder, text int) string {
	d := c.file(folder)
	if d == nil {
		return ""
	}
	return path.Join(d.path, c.text(text))
}

func (c call) makeFolder() errno {
	d := c.machine.disk
	f, in, name := d.find(c.path(0, 1))
	switch {
	case f != nil:
		return errExist
	case in == nil:
		return errNoEntry
	}
	d.set(in, name, d.newFile(true))
	if d.appears != nil {
		d.appears(c.path(0, 1))
	}
	return success
}

func (c call) open() errno {
	const creates, folder, exclusive, truncates, appends = 1, 2, 4, 8, 1
	flags, disk, p := c.number(4), c.machine.disk, c.path(0, 2)
	f, in, name := disk.find(p)
	switch {
	case f == nil && (flags&creates == 0 || in == nil):
		return errNoEntry
	case f == nil:
		f = disk.newFile(false)
		disk.set(in, name, f)
	case flags&exclusive != 0:
		return errExist
	case flags&folder != 0 && f.names == nil:
		return errNotDir
	case flags&truncates != 0 && f.names == nil:
		disk.resize(f, 0)
	}
	fd := int32(root + 1)
	for c.files[fd] != nil {
		fd++
	}
	c.files[fd] = &descriptor{file: f, path: p, append: c.number(7)&appends != 0}
	c.memory.WriteUint32Le(c.number(8), uint32(fd))
	return success
}

func (c call) remove() errno {
	f, in, name := c.machine.disk.find(c.path(0, 1))
	switch {
	case f == nil || in == nil:
		return errNoEntry
	case len(f.names) > 0:
		return errNotEmpty
	}
	c.machine.disk.set(in, name, nil)
	return success
}

func (c call) rename() errno {
	disk := c.machine.disk
	f, from, old := disk.find(c.path(0, 1))
	there, into, name := disk.find(c.path(3, 4))
	switch {
	case f == nil || from == nil || into == nil:
		return errNoEntry
	case there != nil && len(there.names) > 0:
		return errNotEmpty
	}
	disk.set(from, old, nil)
	disk.set(into, name, f)
	return success
}
