package sim

import (
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"time"
)

// pageSize is how much of a file a disk writes at once, in bytes.
const pageSize = 4096

// disk is a machine's files. When its power fails, what was synced stays, and of the rest what the seed draws. The model is that of package lossyfs's Ext4: an
// fsync of any file also makes durable every change of a name that was made before.
type disk struct {
	root   *file
	inodes uint64
	undo   []func()           // of the changes of names that are not durable
	dirty  map[*file]struct{} // the files whose content is not durable

	syncTime time.Duration             // what an fsync takes
	slow     func() time.Duration      // what an fsync takes longer while a fault is in; nil: nothing
	appears  func(path string)         // is told of new folders; may be nil
	fails    map[diskCall]func() errno // what calls come to while a fault is in; nil: success
}

// diskCall is a call that can fail.
type diskCall int

const (
	callRead diskCall = iota
	callWrite
	callSync
)

// file is a file, or a folder.
type file struct {
	inode   uint64
	names   map[string]*file // of a folder; nil for a file
	data    []byte
	durable int            // its durable length
	before  map[int][]byte // what durable pages held that were overwritten, by number
	given   map[int]bool   // pages that an fsync failed to write, and that were not written again: they are in before
}

func newDisk(syncTime time.Duration) *disk {
	d := &disk{syncTime: syncTime, dirty: make(map[*file]struct{}), fails: make(map[diskCall]func() errno)}
	d.root = d.newFile(true)
	return d
}

func (d *disk) newFile(folder bool) *file {
	d.inodes++
	f := &file{inode: d.inodes}
	if folder {
		f.names = make(map[string]*file)
	}
	return f
}

// refuses says what a call comes to.
func (d *disk) refuses(c diskCall) errno {
	if f := d.fails[c]; f != nil {
		return f()
	}
	return success
}

// find gives what a path names, nil if nothing, and the folder and the name at which it is or would be, nil if there is no such folder.
func (d *disk) find(p string) (f, in *file, name string) {
	f = d.root
	for part := range strings.SplitSeq(strings.Trim(path.Clean("/"+p), "/"), "/") {
		switch {
		case part == "":
			return f, nil, ""
		case f == nil || f.names == nil:
			return nil, nil, ""
		}
		in, name, f = f, part, f.names[part]
	}
	return f, in, name
}

// list is a folder's names, sorted.
func (f *file) list() []string { return slices.Sorted(maps.Keys(f.names)) }

// set gives a name to a file, or with nil takes it away.
func (d *disk) set(in *file, name string, to *file) {
	put := func(f *file) {
		if f == nil {
			delete(in.names, name)
		} else {
			in.names[name] = f
		}
	}
	was := in.names[name]
	put(to)
	d.undo = append(d.undo, func() { put(was) })
}

// write writes into a file at an offset.
func (d *disk) write(f *file, b []byte, at int) {
	f.keepAll(at/pageSize, min(f.durable, at+len(b)))
	if more := at + len(b) - len(f.data); more > 0 {
		f.data = append(f.data, make([]byte, more)...)
	}
	copy(f.data[at:], b)
	for page := at / pageSize; page*pageSize < at+len(b); page++ {
		delete(f.given, page)
	}
	d.dirty[f] = struct{}{}
}

// resize cuts a file off, or lengthens it by zeros.
func (d *disk) resize(f *file, size int) {
	f.keepAll(size/pageSize, f.durable)
	if more := size - len(f.data); more > 0 {
		f.data = append(f.data, make([]byte, more)...)
	}
	f.data = f.data[:size:size]
	d.dirty[f] = struct{}{}
}

// keepAll remembers what durable pages hold, from one on to an offset.
func (f *file) keepAll(page, to int) {
	for ; page*pageSize < to; page++ {
		f.keep(page)
	}
}

func (f *file) keep(page int) {
	if _, kept := f.before[page]; kept {
		return
	}
	if f.before == nil {
		f.before = make(map[int][]byte)
	}
	durable := min(len(f.data), f.durable)
	f.before[page] = slices.Clone(f.data[min(page*pageSize, durable):min((page+1)*pageSize, durable)])
}

// sync makes a file durable, and all changes of names.
func (d *disk) sync(f *file) {
	f.durable = len(f.data)
	maps.DeleteFunc(f.before, func(page int, _ []byte) bool { return !f.given[page] })
	if len(f.before) == 0 {
		delete(d.dirty, f)
	}
	d.undo = nil
}

// giveUp is what a failed fsync does, as Linux does it: the pages stay in memory and pass for written, but the disk has not got them. A later fsync
// succeeds, and they are lost all the same, unless they were written again.
func (f *file) giveUp() {
	for page := f.durable / pageSize; page*pageSize < len(f.data); page++ {
		f.keep(page)
	}
	if f.given == nil {
		f.given = make(map[int]bool)
	}
	for page := range f.before {
		f.given[page] = true
	}
}

// loss is how much of what was not durable a power failure takes, as package nemesis names it: all of it, or each unit of so many bytes with an even chance.
type loss string

func (l loss) unit() int {
	switch l {
	case "random-pages":
		return pageSize
	case "torn-sectors":
		return 512
	}
	return 0
}

// powerFail undoes what was not durable, and says how many bytes that were. Names go back all together. Unless all is lost, a file that was growing keeps
// the first part of its growth, as long as r draws.
func (d *disk) powerFail(how loss, r *rand.Rand) (lost int) {
	for _, undo := range slices.Backward(d.undo) {
		undo()
	}
	d.undo = nil
	all := make(map[uint64]*file)
	for f := range d.dirty {
		all[f.inode] = f
	}
	for _, inode := range slices.Sorted(maps.Keys(all)) {
		lost += all[inode].restore(how.unit(), r)
	}
	clear(d.dirty)
	return lost
}

// restore puts back what was durable of a file, but for units of so many bytes that r draws (0: none), and says how many bytes were lost. Pages that an fsync
// gave up never reached the disk.
func (f *file) restore(unit int, r *rand.Rand) (lost int) {
	live := f.data
	f.data = make([]byte, f.durable)
	copy(f.data, live)
	for _, page := range slices.Sorted(maps.Keys(f.before)) {
		at := f.data[min(page*pageSize, f.durable):min((page+1)*pageSize, f.durable)]
		held := make([]byte, len(at))
		copy(held, f.before[page])
		for from := 0; from < len(at); {
			to := len(at)
			if unit > 0 {
				to = min(from+unit, len(at))
			}
			if unit == 0 || f.given[page] || r.IntN(2) == 0 {
				lost += copy(at[from:to], held[from:to])
			}
			from = to
		}
	}
	if grown := live[min(f.durable, len(live)):]; len(grown) > 0 {
		kept := 0
		if unit > 0 {
			kept = r.IntN(len(grown) + 1)
		}
		f.data = append(f.data, grown[:kept]...)
		lost += len(grown) - kept
	}
	f.durable, f.before, f.given = len(f.data), nil, nil
	return lost
}
