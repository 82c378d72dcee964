package lossyfs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// modelNode is a file, folder or symbolic link of the model, which keeps whole copies of what is durable and undoes nothing.
type modelNode struct {
	folder bool
	target string // of a symbolic link

	live, durable []byte
	doomed        map[int]bool // pages that a failed fsync gave up

	names, durableNames map[string]*modelNode
	tied                map[*modelNode]bool
	removed             bool
}

// model is what the file system is documented to do, as simply as can be.
type model struct {
	strict bool
	root   *modelNode
	all    map[*modelNode]bool
}

// read is the model of a tree on the disk, all of which is durable.
func readModel(strict bool, path string) (*model, error) {
	m := &model{strict: strict, all: make(map[*modelNode]bool)}
	byIno := make(map[uint64]*modelNode)
	var load func(path string) (*modelNode, error)
	load = func(path string) (*modelNode, error) {
		st, err := os.Lstat(path)
		if err != nil {
			return nil, err
		}
		ino := st.Sys().(*syscall.Stat_t).Ino
		if n := byIno[ino]; n != nil {
			return n, nil
		}
		n := m.add(st.IsDir())
		byIno[ino] = n
		switch {
		case st.Mode()&fs.ModeSymlink != 0:
			n.target, err = os.Readlink(path)
			return n, err
		case !st.IsDir():
			n.live, err = os.ReadFile(path)
			n.durable = bytes.Clone(n.live)
			return n, err
		}
		entries, err := os.ReadDir(path)
		for _, e := range entries {
			child, e2 := load(filepath.Join(path, e.Name()))
			n.names[e.Name()] = child
			err = errors.Join(err, e2)
		}
		n.durableNames = maps.Clone(n.names)
		return n, err
	}
	var err error
	m.root, err = load(path)
	return m, err
}

func (m *model) add(folder bool) *modelNode {
	n := &modelNode{folder: folder, doomed: make(map[int]bool), tied: make(map[*modelNode]bool)}
	if folder {
		n.names, n.durableNames = make(map[string]*modelNode), make(map[string]*modelNode)
	}
	m.all[n] = true
	return n
}

// unit is one page or sector of a file, with zeros after its end.
func unit(data []byte, i, size int) []byte {
	u := make([]byte, size)
	if i*size < len(data) {
		copy(u, data[i*size:])
	}
	return u
}

func (n *modelNode) touch(off, length int) {
	for i := off / pageSize; i*pageSize < off+length; i++ {
		delete(n.doomed, i)
	}
}

func (n *modelNode) write(off int, data []byte) {
	n.touch(off, len(data))
	if grow := off + len(data) - len(n.live); grow > 0 {
		n.live = append(n.live, make([]byte, grow)...)
	}
	copy(n.live[off:], data)
}

func (n *modelNode) truncate(size int) {
	if end := min(len(n.live), len(n.durable)); size < end {
		n.touch(size, end-size)
	}
	if size > len(n.live) {
		n.live = append(n.live, make([]byte, size-len(n.live))...)
	}
	n.live = n.live[:size:size]
}

func (n *modelNode) punch(off, length int) {
	if length = min(length, len(n.live)-off); length > 0 {
		n.touch(off, length)
		clear(n.live[off : off+length])
	}
}

func (m *model) fsync(n *modelNode) {
	n.persist()
	if !m.strict {
		m.commitAll()
	}
}

func (m *model) writeBack() {
	for n := range m.all {
		n.persist()
	}
	m.commitAll()
}

// persist makes the content durable, but for the pages that were given up.
func (n *modelNode) persist() {
	durable := bytes.Clone(n.live)
	for i := range n.doomed {
		if i*pageSize < len(durable) {
			copy(durable[i*pageSize:], unit(n.durable, i, pageSize))
		}
	}
	n.durable = durable
}

func (m *model) fsyncFolder(n *modelNode) {
	if m.strict {
		m.commit(n)
	} else {
		m.commitAll()
	}
}

func (m *model) failFsync(n *modelNode) {
	for i := 0; i*pageSize < max(len(n.live), len(n.durable)); i++ {
		if !bytes.Equal(unit(n.live, i, pageSize), unit(n.durable, i, pageSize)) {
			n.doomed[i] = true
		}
	}
}

func (m *model) commitAll() {
	for n := range m.all {
		if n.folder {
			n.durableNames, n.tied = maps.Clone(n.names), make(map[*modelNode]bool)
		}
	}
}

func (m *model) commit(n *modelNode) {
	n.durableNames = maps.Clone(n.names)
	tied := slices.Collect(maps.Keys(n.tied))
	m.untie(n)
	for _, other := range tied {
		m.commit(other)
	}
}

func (m *model) untie(n *modelNode) {
	for other := range n.tied {
		delete(other.tied, n)
	}
	clear(n.tied)
}

// rename moves a name, replacing or exchanging what the other one holds.
func (m *model) rename(from *modelNode, a string, to *modelNode, b string, exchange bool) {
	moved, there := from.names[a], to.names[b]
	delete(from.names, a)
	to.names[b] = moved
	if exchange {
		from.names[a] = there
	} else if there != nil && there.folder {
		there.removed = true
	}
	if from != to && (moved.folder || there != nil && there.folder) {
		from.tied[to], to.tied[from] = true, true
	}
	m.sweep()
}

// sweep lets go of folders that are removed, durably or without ever having been durable: nothing ties them any longer.
func (m *model) sweep() {
	for again := true; again; {
		again = false
		held := make(map[*modelNode]bool)
		for n := range m.all {
			for _, child := range n.durableNames {
				held[child] = true
			}
		}
		for n := range m.all {
			if n.removed && !held[n] {
				m.untie(n)
				delete(m.all, n)
				again = true
			}
		}
	}
}

// check says how a tree on the disk is not what may be left of the model by a power failure. A nil how is none: the live tree.
func (m *model) check(path string, how *Loss) error {
	if how == nil {
		return m.root.check(path, nil, false)
	}
	err := m.root.check(path, how, true)
	if err != nil && *how != All && m.root.check(path, how, false) == nil {
		return nil // the names have survived
	}
	return err
}

func (n *modelNode) check(path string, how *Loss, durableNames bool) error {
	st, err := os.Lstat(path)
	switch {
	case err != nil:
		return err
	case st.IsDir() != n.folder:
		return fmt.Errorf("%s: a folder: %v, want %v", path, st.IsDir(), n.folder)
	case n.target != "":
		if target, err := os.Readlink(path); err != nil || target != n.target {
			return fmt.Errorf("%s: links to %q (%v), want %q", path, target, err, n.target)
		}
		return nil
	case !n.folder:
		got, err := os.ReadFile(path)
		if err == nil {
			err = n.checkContent(got, how)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		return nil
	}
	names := n.names
	if durableNames {
		names = n.durableNames
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if want := slices.Sorted(maps.Keys(names)); !slices.Equal(got, want) {
		return fmt.Errorf("%s: holds %v, want %v", path, got, want)
	}
	for _, name := range got {
		if err := names[name].check(filepath.Join(path, name), how, durableNames); err != nil {
			return err
		}
	}
	return nil
}

func (n *modelNode) checkContent(got []byte, how *Loss) error {
	if how == nil {
		return same(got, n.live)
	}
	if *how == All {
		return same(got, n.durable)
	}
	if len(got) != len(n.durable) && (len(got) > len(n.live) || len(got) < min(len(n.live), len(n.durable))) ||
		len(n.live) < len(n.durable) && len(got) != len(n.live) && len(got) != len(n.durable) {
		return fmt.Errorf("%d bytes, durable were %d, live %d", len(got), len(n.durable), len(n.live))
	}
	size := pageSize
	if *how == TornSectors {
		size = sectorSize
	}
	for i := 0; i*size < len(got); i++ {
		mustGo := n.doomed[i*size/pageSize] || i*size/pageSize*pageSize >= len(n.live)
		end := min(size, len(got)-i*size)
		g := got[i*size : i*size+end]
		if bytes.Equal(g, unit(n.durable, i, size)[:end]) || !mustGo && bytes.Equal(g, unit(n.live, i, size)[:end]) {
			continue
		}
		return fmt.Errorf("unit %d of %d bytes is neither the durable nor the live one", i, size)
	}
	return nil
}

func same(got, want []byte) error {
	if bytes.Equal(got, want) {
		return nil
	}
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	return fmt.Errorf("%d bytes, want %d; they differ from byte %d on", len(got), len(want), at)
}
