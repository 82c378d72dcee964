package sim

import (
	"math/rand/v2"
	"path"
	"slices"
	"strings"
)

// pageSize is how much of a file a disk writes at once.
const pageSize = 4096

// disk is a node's files. A crash of the machine leaves what was synced, and of the rest what the seed draws. The model is that of ext4: an fsync of any file
// also makes every earlier change of a name durable.
type disk struct {
	root  *file
	undo  []func() // of changes of names that are not durable, in their order
	dirty map[*file]struct{}
	inode uint64

	full bool // every write fails for want of room
}

// file is a file or a folder.
type file struct {
	inode uint64
	names map[string]*file // of a folder; nil for a file
	data  []byte

	durable int            // how much of it is durable, where no page stands in before
	before  map[int][]byte // what durable pages held before they were overwritten, by number
}

func newDisk() *disk {
	d := &disk{dirty: make(map[*file]struct{})}
	d.root = d.make(true)
	return d
}

func (d *disk) make(folder bool) *file {
	d.inode++
	f := &file{inode: d.inode}
	if folder {
		f.names = make(map[string]*file)
	}
	return f
}

// find gives what a path names, and the folder in which it is or would be.
func (d *disk) find(p string) (f, in *file, name string) {
	f = d.root
	for part := range strings.SplitSeq(strings.Trim(path.Clean("/"+p), "/"), "/") {
		if part == "" {
			return f, nil, ""
		}
		if f == nil || f.names == nil {
			return nil, nil, ""
		}
		in, name = f, part
		f = f.names[part]
	}
	return f, in, name
}

// set changes a name; nil removes it.
func (d *disk) set(in *file, name string, to *file) {
	was := in.names[name]
	put := func(f *file) {
		if f == nil {
			delete(in.names, name)
			return
		}
		in.names[name] = f
	}
	put(to)
	d.undo = append(d.undo, func() { put(was) })
}

// write writes at an offset.
func (d *disk) write(f *file, b []byte, at int) {
	for page := at / pageSize; page*pageSize < min(f.durable, at+len(b)); page++ {
		d.keep(f, page)
	}
	if grown := at + len(b); grown > len(f.data) {
		f.data = append(f.data, make([]byte, grown-len(f.data))...)
	}
	copy(f.data[at:], b)
	d.dirty[f] = struct{}{}
}

// keep remembers what a durable page holds.
func (d *disk) keep(f *file, page int) {
	if f.before == nil {
		f.before = make(map[int][]byte)
	}
	if _, kept := f.before[page]; !kept {
		f.before[page] = slices.Clone(f.data[page*pageSize : min((page+1)*pageSize, f.durable)])
	}
}

// resize cuts a file off, or lengthens it.
func (d *disk) resize(f *file, size int) {
	for page := size / pageSize; page*pageSize < f.durable; page++ {
		d.keep(f, page)
	}
	if size <= len(f.data) {
		f.data = f.data[:size:size]
	} else {
		f.data = append(f.data, make([]byte, size-len(f.data))...)
	}
	d.dirty[f] = struct{}{}
}

// sync makes a file durable, and all changes of names.
func (d *disk) sync(f *file) {
	f.durable, f.before = len(f.data), nil
	delete(d.dirty, f)
	d.undo = nil
}

// crash undoes what was not durable. Of what was, names go back all together, and each file keeps a part of its growth that r draws.
func (d *disk) crash(r *rand.Rand) {
	for i := len(d.undo) - 1; i >= 0; i-- {
		d.undo[i]()
	}
	d.undo = nil
	files := make([]*file, 0, len(d.dirty))
	for f := range d.dirty {
		files = append(files, f)
	}
	slices.SortFunc(files, func(a, b *file) int { return int(a.inode) - int(b.inode) })
	for _, f := range files {
		grown := f.data[min(f.durable, len(f.data)):]
		f.data = slices.Clone(f.data[:min(f.durable, len(f.data))])
		f.data = append(f.data, make([]byte, f.durable-len(f.data))...)
		for page, held := range f.before {
			copy(f.data[page*pageSize:], held)
		}
		if len(grown) > 0 {
			f.data = append(f.data, grown[:r.IntN(len(grown)+1)]...)
		}
		f.durable, f.before = len(f.data), nil
	}
	clear(d.dirty)
}
