package sim

import (
	"context"
	"encoding/binary"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	guestpkg "rift/harness/sim/guest"
)

// device is the descriptor of the simulated network; package guest opens it.
const device = 100

// descriptor is an open file.
type descriptor struct {
	file   *file
	path   string
	offset int
	append bool
	output bool
	device bool
	names  []string // what a folder held when it was first listed
}

// The numbers of errors in WASI.
const (
	ok          = 0
	again       = 6
	badFD       = 8
	exists      = 20
	invalid     = 28
	isFolder    = 31
	notFound    = 44
	noRoom      = 51
	unsupported = 52
	noFolder    = 54
	notEmpty    = 55
)

var Counts = map[string]int{}

type call func(g *guest, m api.Memory, a []uint64) uint32

// instantiateSystem gives programs the calls of wasi_snapshot_preview1 that Go's runtime makes.
func instantiateSystem(ctx context.Context, r wazero.Runtime) error {
	const i, l = api.ValueTypeI32, api.ValueTypeI64
	b := r.NewHostModuleBuilder("wasi_snapshot_preview1")
	export := func(name string, c call, params ...api.ValueType) {
		b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(ctx context.Context, m api.Module, stack []uint64) {
			g := ctx.Value(guestKey{}).(*guest)
			for k, p := range params {
				if p == i { // the upper half may hold anything
					stack[k] = uint64(uint32(stack[k]))
				}
			}
			Counts[name]++
			stack[0] = uint64(c(g, m.Memory(), stack))
		}), params, []api.ValueType{i}).Export(name)
	}
	export("args_sizes_get", func(g *guest, m api.Memory, a []uint64) uint32 { return sizes(m, a, g.arguments()) }, i, i)
	export("args_get", func(g *guest, m api.Memory, a []uint64) uint32 { return texts(m, a, g.arguments()) }, i, i)
	export("environ_sizes_get", func(g *guest, m api.Memory, a []uint64) uint32 { return sizes(m, a, g.env) }, i, i)
	export("environ_get", func(g *guest, m api.Memory, a []uint64) uint32 { return texts(m, a, g.env) }, i, i)
	export("clock_time_get", clockTime, i, l, i)
	export("random_get", random, i, i)
	export("sched_yield", func(*guest, api.Memory, []uint64) uint32 { return ok })
	export("poll_oneoff", poll, i, i, i, i)
	export("fd_close", closeFD, i)
	export("fd_fdstat_get", fdStat, i, i)
	export("fd_fdstat_set_flags", func(*guest, api.Memory, []uint64) uint32 { return ok }, i, i)
	export("fd_fdstat_set_rights", func(*guest, api.Memory, []uint64) uint32 { return ok }, i, l, l)
	export("fd_filestat_get", fileStat, i, i)
	export("fd_filestat_set_size", setSize, i, l)
	export("fd_pread", func(g *guest, m api.Memory, a []uint64) uint32 { return g.read(m, a[0], a[1], a[2], int(a[3]), a[4]) }, i, i, i, l, i)
	export("fd_read", func(g *guest, m api.Memory, a []uint64) uint32 { return g.read(m, a[0], a[1], a[2], -1, a[3]) }, i, i, i, i)
	export("fd_pwrite", func(g *guest, m api.Memory, a []uint64) uint32 { return g.write(m, a[0], a[1], a[2], int(a[3]), a[4]) }, i, i, i, l, i)
	export("fd_write", func(g *guest, m api.Memory, a []uint64) uint32 { return g.write(m, a[0], a[1], a[2], -1, a[3]) }, i, i, i, i)
	export("fd_prestat_get", preStat, i, i)
	export("fd_prestat_dir_name", preName, i, i, i)
	export("fd_readdir", readDir, i, i, i, l, i)
	export("fd_seek", seek, i, l, i, i)
	export("fd_sync", syncFD, i)
	export("path_create_directory", makeFolder, i, i, i)
	export("path_filestat_get", pathStat, i, i, i, i, i)
	export("path_filestat_set_times", func(*guest, api.Memory, []uint64) uint32 { return ok }, i, i, i, i, l, l, i)
	export("path_link", func(*guest, api.Memory, []uint64) uint32 { return unsupported }, i, i, i, i, i, i, i)
	export("path_open", openPath, i, i, i, i, i, l, l, i, i)
	export("path_readlink", func(*guest, api.Memory, []uint64) uint32 { return invalid }, i, i, i, i, i, i)
	export("path_remove_directory", removePath, i, i, i)
	export("path_rename", rename, i, i, i, i, i, i)
	export("path_symlink", func(*guest, api.Memory, []uint64) uint32 { return unsupported }, i, i, i, i, i)
	export("path_unlink_file", removePath, i, i, i)
	export("sock_accept", func(*guest, api.Memory, []uint64) uint32 { return unsupported }, i, i, i)
	export("sock_shutdown", func(*guest, api.Memory, []uint64) uint32 { return unsupported }, i, i)
	b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(ctx context.Context, _ api.Module, stack []uint64) {
		g := ctx.Value(guestKey{}).(*guest)
		g.code = uint32(stack[0])
		panic(errKilled)
	}), []api.ValueType{i}, nil).Export("proc_exit")
	if _, err := b.Instantiate(ctx); err != nil {
		return fmt.Errorf("make the simulated system: %w", err)
	}
	return nil
}

func (g *guest) arguments() []string { return append([]string{"node"}, g.args...) }

func sizes(m api.Memory, a []uint64, list []string) uint32 {
	n := 0
	for _, s := range list {
		n += len(s) + 1
	}
	m.WriteUint32Le(uint32(a[0]), uint32(len(list)))
	m.WriteUint32Le(uint32(a[1]), uint32(n))
	return ok
}

func texts(m api.Memory, a []uint64, list []string) uint32 {
	at := uint32(a[1])
	for i, s := range list {
		m.WriteUint32Le(uint32(a[0])+4*uint32(i), at)
		m.WriteString(at, s+"\x00")
		at += uint32(len(s)) + 1
	}
	return ok
}

func clockTime(g *guest, m api.Memory, a []uint64) uint32 {
	t := g.clock.monotonic(g.world.now)
	if a[0] == 0 {
		t = epoch + g.clock.wall + max(t, 0)
	}
	m.WriteUint64Le(uint32(a[2]), uint64(t))
	return ok
}

func random(g *guest, m api.Memory, a []uint64) uint32 {
	b, _ := m.Read(uint32(a[0]), uint32(a[1]))
	for i := range b {
		b[i] = byte(g.random.Uint32())
	}
	return ok
}

// poll waits for the first of some events.
func poll(g *guest, m api.Memory, a []uint64) uint32 {
	in, out, n, count := uint32(a[0]), uint32(a[1]), int(a[2]), uint32(a[3])
	subs, _ := m.Read(in, uint32(n)*48)
	started := g.clock.last
	for {
		events := uint32(0)
		least := time.Duration(-1)
		g.reads = false
		for i := range n {
			s := subs[i*48:]
			fire := false
			kind := s[8]
			switch kind {
			case 0:
				timeout := time.Duration(binary.LittleEndian.Uint64(s[24:]))
				if binary.LittleEndian.Uint16(s[40:])&1 != 0 { // absolute
					timeout -= started
				}
				left := started + timeout - g.clock.monotonic(g.world.now)
				fire = left <= 0
				if !fire && (least < 0 || left < least) {
					least = left
				}
			case 1:
				fd := g.fds[int32(binary.LittleEndian.Uint32(s[16:]))]
				fire = fd == nil || !fd.device || len(g.inbox) > 0
				g.reads = true
			default:
				fire = true
			}
			if fire {
				at := out + events*32
				m.Write(at, make([]byte, 32))
				m.WriteUint64Le(at, binary.LittleEndian.Uint64(s))
				m.WriteByte(at+10, kind)
				events++
			}
		}
		if events > 0 {
			m.WriteUint32Le(count, events)
			g.reads = false
			return ok
		}
		if least >= 0 {
			g.waiting = g.world.after(time.Duration(float64(least)/g.clock.rate)+1, func() {
				g.waiting = nil
				g.world.wake(g)
			})
		}
		g.wait()
		subs, _ = m.Read(in, uint32(n)*48)
	}
}

func closeFD(g *guest, _ api.Memory, a []uint64) uint32 {
	if g.fds[int32(a[0])] == nil {
		return badFD
	}
	delete(g.fds, int32(a[0]))
	return ok
}

func fdStat(g *guest, m api.Memory, a []uint64) uint32 {
	d := g.fds[int32(a[0])]
	if d == nil {
		return badFD
	}
	b := make([]byte, 24)
	b[0] = d.kind()
	if d.append {
		b[2] |= 1
	}
	if d.device {
		b[2] |= 4 // non-blocking
	}
	binary.LittleEndian.PutUint64(b[8:], 1<<30-1)
	binary.LittleEndian.PutUint64(b[16:], 1<<30-1)
	m.Write(uint32(a[1]), b)
	return ok
}

func (d *descriptor) kind() byte {
	switch {
	case d.device:
		return 6 // a stream socket
	case d.file == nil:
		return 2 // a character device
	}
	return d.file.kind()
}

func (f *file) kind() byte {
	if f.names != nil {
		return 3
	}
	return 4
}

func writeStat(m api.Memory, at uint32, kind byte, f *file) {
	b := make([]byte, 64)
	b[16] = kind
	binary.LittleEndian.PutUint64(b[24:], 1)
	if f != nil {
		binary.LittleEndian.PutUint64(b[8:], f.inode)
		binary.LittleEndian.PutUint64(b[32:], uint64(len(f.data)))
	}
	m.Write(at, b)
}

func fileStat(g *guest, m api.Memory, a []uint64) uint32 {
	d := g.fds[int32(a[0])]
	if d == nil {
		return badFD
	}
	writeStat(m, uint32(a[1]), d.kind(), d.file)
	return ok
}

func setSize(g *guest, _ api.Memory, a []uint64) uint32 {
	d := g.fds[int32(a[0])]
	if d == nil || d.file == nil || d.file.names != nil {
		return badFD
	}
	g.disk.resize(d.file, int(a[1]))
	return ok
}

// read reads into buffers, at an offset, or where the descriptor is if that is negative.
func (g *guest) read(m api.Memory, fd, vectors, n uint64, at int, result uint64) uint32 {
	d := g.fds[int32(fd)]
	if d == nil {
		return badFD
	}
	var source []byte
	from := at
	switch {
	case d.device:
		if len(g.inbox) == 0 {
			return again
		}
		source, from = g.inbox, 0
	case d.file == nil:
	case d.file.names != nil:
		return isFolder
	default:
		if at < 0 {
			from = d.offset
		}
		source = d.file.data
	}
	total := 0
	for i := range uint32(n) {
		base, _ := m.ReadUint32Le(uint32(vectors) + i*8)
		size, _ := m.ReadUint32Le(uint32(vectors) + i*8 + 4)
		b, _ := m.Read(base, size)
		if from+total >= len(source) {
			break
		}
		total += copy(b, source[from+total:])
	}
	switch {
	case d.device:
		g.inbox = g.inbox[total:]
		if len(g.inbox) == 0 {
			g.inbox = nil
		}
	case at < 0:
		d.offset += total
	}
	m.WriteUint32Le(uint32(result), uint32(total))
	return ok
}

func (g *guest) write(m api.Memory, fd, vectors, n uint64, at int, result uint64) uint32 {
	d := g.fds[int32(fd)]
	if d == nil {
		return badFD
	}
	total := 0
	for i := range uint32(n) {
		base, _ := m.ReadUint32Le(uint32(vectors) + i*8)
		size, _ := m.ReadUint32Le(uint32(vectors) + i*8 + 4)
		b, _ := m.Read(base, size)
		switch {
		case d.output:
			_, _ = g.output.Write(b)
		case d.device:
			g.frames(b)
		case d.file == nil || d.file.names != nil:
			return badFD
		case g.disk.full:
			return noRoom
		default:
			to := at + total
			if at < 0 {
				if d.append {
					d.offset = len(d.file.data)
				}
				to = d.offset
				d.offset += len(b)
			}
			g.disk.write(d.file, b, to)
		}
		total += len(b)
	}
	m.WriteUint32Le(uint32(result), uint32(total))
	return ok
}

// frames takes what the guest sends. A write is one whole frame.
func (g *guest) frames(b []byte) {
	if len(b) < guestpkg.FrameHeader {
		return
	}
	g.handle(b[4], binary.LittleEndian.Uint32(b[5:]), slices.Clone(b[guestpkg.FrameHeader:]))
}

func preStat(g *guest, m api.Memory, a []uint64) uint32 {
	if a[0] != 3 {
		return badFD
	}
	m.WriteUint32Le(uint32(a[1]), 0)
	m.WriteUint32Le(uint32(a[1])+4, 1)
	return ok
}

func preName(_ *guest, m api.Memory, a []uint64) uint32 {
	m.WriteString(uint32(a[1]), "/")
	return ok
}

func readDir(g *guest, m api.Memory, a []uint64) uint32 {
	d := g.fds[int32(a[0])]
	if d == nil || d.file == nil || d.file.names == nil {
		return badFD
	}
	if a[3] == 0 {
		d.names = nil
		for name := range d.file.names {
			d.names = append(d.names, name)
		}
		slices.Sort(d.names)
	}
	var b []byte
	for i := int(a[3]); i < len(d.names) && len(b) < int(a[2]); i++ {
		f := d.file.names[d.names[i]]
		if f == nil {
			continue
		}
		b = binary.LittleEndian.AppendUint64(b, uint64(i+1))
		b = binary.LittleEndian.AppendUint64(b, f.inode)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(d.names[i])))
		b = append(b, f.kind(), 0, 0, 0)
		b = append(b, d.names[i]...)
	}
	b = b[:min(len(b), int(a[2]))]
	m.Write(uint32(a[1]), b)
	m.WriteUint32Le(uint32(a[4]), uint32(len(b)))
	return ok
}

func seek(g *guest, m api.Memory, a []uint64) uint32 {
	d := g.fds[int32(a[0])]
	if d == nil || d.file == nil {
		return badFD
	}
	switch a[2] {
	case 0:
		d.offset = int(int64(a[1]))
	case 1:
		d.offset += int(int64(a[1]))
	case 2:
		d.offset = len(d.file.data) + int(int64(a[1]))
	}
	m.WriteUint64Le(uint32(a[3]), uint64(d.offset))
	return ok
}

// syncTime is how long an fsync takes.
const syncTime = 200 * time.Microsecond

func syncFD(g *guest, _ api.Memory, a []uint64) uint32 {
	d := g.fds[int32(a[0])]
	if d == nil || d.file == nil {
		return badFD
	}
	g.world.after(syncTime, func() { g.world.wake(g) })
	g.wait()
	g.disk.sync(d.file)
	return ok
}

// at reads a path.
func (g *guest) at(m api.Memory, fd, p, n uint64) (string, bool) {
	d := g.fds[int32(fd)]
	b, in := m.Read(uint32(p), uint32(n))
	if d == nil || !in {
		return "", false
	}
	return path.Join(d.path, string(b)), true
}

func makeFolder(g *guest, m api.Memory, a []uint64) uint32 {
	p, _ := g.at(m, a[0], a[1], a[2])
	f, in, name := g.disk.find(p)
	switch {
	case f != nil:
		return exists
	case in == nil:
		return notFound
	}
	g.disk.set(in, name, g.disk.make(true))
	return ok
}

func pathStat(g *guest, m api.Memory, a []uint64) uint32 {
	p, _ := g.at(m, a[0], a[2], a[3])
	f, _, _ := g.disk.find(p)
	if f == nil {
		return notFound
	}
	writeStat(m, uint32(a[4]), f.kind(), f)
	return ok
}

func openPath(g *guest, m api.Memory, a []uint64) uint32 {
	p, _ := g.at(m, a[0], a[2], a[3])
	flags, fdFlags := a[4], a[7]
	f, in, name := g.disk.find(p)
	switch {
	case f == nil && (flags&1 == 0 || in == nil):
		return notFound
	case f == nil:
		f = g.disk.make(false)
		g.disk.set(in, name, f)
	case flags&4 != 0:
		return exists
	case flags&2 != 0 && f.names == nil:
		return noFolder
	}
	if flags&8 != 0 && f.names == nil {
		g.disk.resize(f, 0)
	}
	fd := int32(4)
	for g.fds[fd] != nil {
		fd++
	}
	g.fds[fd] = &descriptor{file: f, path: p, append: fdFlags&1 != 0}
	m.WriteUint32Le(uint32(a[8]), uint32(fd))
	return ok
}

func removePath(g *guest, m api.Memory, a []uint64) uint32 {
	p, _ := g.at(m, a[0], a[1], a[2])
	f, in, name := g.disk.find(p)
	switch {
	case f == nil || in == nil:
		return notFound
	case len(f.names) > 0:
		return notEmpty
	}
	g.disk.set(in, name, nil)
	return ok
}

func rename(g *guest, m api.Memory, a []uint64) uint32 {
	from, _ := g.at(m, a[0], a[1], a[2])
	to, _ := g.at(m, a[3], a[4], a[5])
	f, in, name := g.disk.find(from)
	there, into, as := g.disk.find(to)
	switch {
	case f == nil || in == nil || into == nil:
		return notFound
	case there != nil && there.names != nil && len(there.names) > 0:
		return notEmpty
	}
	g.disk.set(in, name, nil)
	g.disk.set(into, as, f)
	return ok
}
