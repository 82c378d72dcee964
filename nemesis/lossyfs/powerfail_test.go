package lossyfs

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestPowerFailAgainstModel does random things on a real mount and compares what is left after each power failure with a simple model.
func TestPowerFailAgainstModel(t *testing.T) {
	for _, kind := range []Model{Ext4, Strict} {
		t.Run(string(kind), func(t *testing.T) {
			f := mount(t, Options{Model: kind, DurableAfter: time.Hour})
			for round := range 2 * *rounds {
				r := rand.New(rand.NewPCG(*seed, uint64(round)))
				how := []Loss{All, RandomPages, TornSectors}[round%3]
				m, err := readModel(kind == Strict, f.options.Backing)
				if err != nil {
					t.Fatal(err)
				}
				w := &world{FS: f, model: m, r: r}
				for step := range 80 {
					if err := w.step(); err != nil {
						t.Fatalf("round %d, step %d: %v\n%v", round, step, err, w.log)
					}
				}
				if err := m.check(f.options.Mountpoint, nil); err != nil {
					t.Fatalf("round %d, live: %v\n%v", round, err, w.log)
				}
				w.closeAll()
				lost, err := f.PowerFail(how, r)
				if err != nil {
					t.Fatalf("round %d: %v", round, err)
				}
				if err := m.check(f.options.Backing, &how); err != nil {
					t.Fatalf("round %d, after losing %s: %v\n%v\n%+v", round, how, err, w.log, lost)
				}
				if live := m.check(f.options.Backing, nil); (live == nil) != (len(lost.Files)+len(lost.Names) == 0) {
					t.Fatalf("round %d: lost %+v, but against the live tree: %v\n%v", round, lost, live, w.log)
				}
				if left, err := os.ReadDir(f.aside.Name()); err != nil || len(left) > 0 {
					t.Fatalf("round %d: left aside: %v, %v", round, left, err)
				}
				if err := f.Remount(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// world is a tree, its model, and the files that are open in it.
type world struct {
	*FS
	*model
	r    *rand.Rand
	log  []string
	open []handle
}

type handle struct {
	*os.File
	n *modelNode
}

// place is a name in a folder.
type place struct {
	dir  *modelNode
	path string // of the name, below the mount point
	name string
}

func (w *world) closeAll() {
	for _, h := range w.open {
		h.Close()
	}
}

// places lists the names that exist and satisfy a condition, in order.
func (w *world) places(want func(*modelNode) bool) []place {
	var all []place
	var walk func(n *modelNode, path string)
	walk = func(n *modelNode, path string) {
		for _, name := range slices.Sorted(maps.Keys(n.names)) {
			child := n.names[name]
			if want(child) {
				all = append(all, place{n, filepath.Join(path, name), name})
			}
			if child.folder {
				walk(child, filepath.Join(path, name))
			}
		}
	}
	walk(w.root, ".")
	return all
}

func isFile(n *modelNode) bool   { return !n.folder && n.target == "" }
func isFolder(n *modelNode) bool { return n.folder }

// fresh draws a place that may or may not be taken, in a folder not deeper than three.
func (w *world) fresh() place {
	dirs := w.places(isFolder)
	dir, path := w.root, "."
	if i := w.r.IntN(len(dirs) + 1); i < len(dirs) {
		dir, path = dirs[i].dir.names[dirs[i].name], dirs[i].path
	}
	name := string(rune('a' + w.r.IntN(6)))
	return place{dir, filepath.Join(path, name), name}
}

func (w *world) say(format string, args ...any) {
	w.log = append(w.log, fmt.Sprintf(format, args...)+"\n")
}

func (w *world) step() error {
	switch w.r.IntN(20) {
	case 0, 1:
		return w.create()
	case 2, 3, 4, 5, 6:
		return w.onFile()
	case 7:
		return w.mkdir()
	case 8, 9, 10:
		return w.rename()
	case 11, 12:
		return w.remove()
	case 13:
		return w.link()
	case 14:
		return w.fsyncFolder()
	case 15:
		return w.writeBack()
	default:
		return w.onHandle()
	}
}

func (w *world) create() error {
	p := w.fresh()
	if p.dir.names[p.name] != nil {
		return nil
	}
	w.say("create %s", p.path)
	file, err := os.Create(w.at(p.path))
	if err != nil {
		return err
	}
	n := w.add(false)
	p.dir.names[p.name] = n
	w.open = append(w.open, handle{file, n})
	return nil
}

func (w *world) onFile() error {
	files := w.places(isFile)
	if len(files) == 0 {
		return nil
	}
	p := files[w.r.IntN(len(files))]
	w.say("open %s", p.path)
	file, err := os.OpenFile(w.at(p.path), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	return w.change(handle{file, p.dir.names[p.name]})
}

func (w *world) onHandle() error {
	if len(w.open) == 0 {
		return nil
	}
	i := w.r.IntN(len(w.open))
	h := w.open[i]
	if w.r.IntN(4) == 0 {
		w.open = slices.Delete(w.open, i, i+1)
		w.say("close %s", h.Name())
		return h.Close()
	}
	return w.change(h)
}

// change does something to the content of a file.
func (w *world) change(h handle) error {
	off := w.r.IntN(5 * pageSize)
	switch w.r.IntN(8) {
	case 0, 1, 2:
		if w.r.IntN(3) == 0 {
			off = len(h.n.live)
		}
		data := make([]byte, 1+w.r.IntN(2*pageSize))
		for i := range data {
			data[i] = byte(1 + w.r.IntN(255))
		}
		w.say("write %s %d +%d", h.Name(), off, len(data))
		h.n.write(off, data)
		_, err := h.WriteAt(data, int64(off))
		return err
	case 3:
		w.say("truncate %s %d", h.Name(), off)
		h.n.truncate(off)
		return h.Truncate(int64(off))
	case 4:
		length := 1 + w.r.IntN(2*pageSize)
		w.say("punch %s %d +%d", h.Name(), off, length)
		h.n.punch(off, length)
		return unix.Fallocate(int(h.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, int64(off), int64(length))
	case 5:
		length := 1 + w.r.IntN(2*pageSize)
		w.say("allocate %s %d +%d", h.Name(), off, length)
		h.n.truncate(max(len(h.n.live), off+length))
		return unix.Fallocate(int(h.Fd()), 0, int64(off), int64(length))
	case 6:
		w.say("fsync %s, which fails", h.Name())
		w.failFsync(h.n)
		a, err := w.Arm(Faults{FsyncError: Chance{Nth: 1}})
		if err != nil {
			return err
		}
		defer a.Disarm()
		if err := unix.Fsync(int(h.Fd())); err != unix.EIO {
			return fmt.Errorf("fsync under EIO: %v", err)
		}
		return nil
	default:
		w.say("fsync %s", h.Name())
		w.model.fsync(h.n)
		w.sweep()
		return h.Sync()
	}
}

func (w *world) mkdir() error {
	p := w.fresh()
	if p.dir.names[p.name] != nil || len(p.path) > 5 {
		return nil
	}
	w.say("mkdir %s", p.path)
	p.dir.names[p.name] = w.add(true)
	return os.Mkdir(w.at(p.path), 0o750)
}

func (w *world) rename() error {
	all := w.places(func(*modelNode) bool { return true })
	if len(all) == 0 {
		return nil
	}
	from, to := all[w.r.IntN(len(all))], w.fresh()
	moved, there := from.dir.names[from.name], to.dir.names[to.name]
	exchange := there != nil && w.r.IntN(3) == 0
	inside := func(n *modelNode, path string) bool { return n.folder && within("/"+from.path, "/"+path) }
	switch {
	case moved == there || inside(moved, to.path) || len(to.path) > 5:
		return nil
	case exchange && there.folder && within("/"+to.path, "/"+from.path):
		return nil
	case there != nil && !exchange && (moved.folder != there.folder || len(there.names) > 0 || within("/"+to.path, "/"+from.path)):
		return nil
	}
	flags := uint(0)
	if exchange {
		flags = unix.RENAME_EXCHANGE
	}
	w.say("rename %s %s, exchange %v", from.path, to.path, exchange)
	w.model.rename(from.dir, from.name, to.dir, to.name, exchange)
	return unix.Renameat2(unix.AT_FDCWD, w.at(from.path), unix.AT_FDCWD, w.at(to.path), flags)
}

func (w *world) remove() error {
	all := w.places(func(n *modelNode) bool { return len(n.names) == 0 })
	if len(all) == 0 {
		return nil
	}
	p := all[w.r.IntN(len(all))]
	w.say("remove %s", p.path)
	p.dir.names[p.name].removed = p.dir.names[p.name].folder
	delete(p.dir.names, p.name)
	w.sweep()
	return os.Remove(w.at(p.path))
}

func (w *world) link() error {
	p := w.fresh()
	files := w.places(isFile)
	if p.dir.names[p.name] != nil || len(files) == 0 {
		return nil
	}
	if w.r.IntN(3) == 0 {
		w.say("symlink %s", p.path)
		n := w.add(false)
		n.target = fmt.Sprint("to-", w.r.IntN(100))
		p.dir.names[p.name] = n
		return os.Symlink(n.target, w.at(p.path))
	}
	of := files[w.r.IntN(len(files))]
	w.say("link %s %s", of.path, p.path)
	p.dir.names[p.name] = of.dir.names[of.name]
	return os.Link(w.at(of.path), w.at(p.path))
}

// writeBack is an hour without changes, which one step in 80 takes.
func (w *world) writeBack() error {
	if w.r.IntN(4) == 0 {
		w.say("write back")
		w.volume.expire(time.Now().Add(time.Hour + time.Second))
		w.model.writeBack()
		w.sweep()
	}
	return nil
}

func (w *world) fsyncFolder() error {
	dirs := w.places(isFolder)
	n, path := w.root, "."
	if i := w.r.IntN(len(dirs) + 1); i < len(dirs) {
		n, path = dirs[i].dir.names[dirs[i].name], dirs[i].path
	}
	w.say("fsync folder %s", path)
	w.model.fsyncFolder(n)
	w.sweep()
	dir, err := os.Open(w.at(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
