package lossyfs

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Loss says how much of what was not durable a power failure takes.
type Loss string

// The kinds of Loss. In all but the first, the changes of names that are not durable survive either all or not at all, and a file that was growing
// keeps its durable length, its whole length, or one between.
const (
	All         Loss = "all"          // everything that was not durable
	RandomPages Loss = "random-pages" // each page of 4 KiB with an even chance: the kernel writes them in any order
	TornSectors Loss = "torn-sectors" // each sector of 512 B with an even chance: the disk stopped in the middle of a page
)

// Lost is the evidence of a power failure.
type Lost struct {
	Files []LostFile // whose content changed, by path
	Names []string   // the paths at which something appeared, vanished or was replaced, sorted
}

// LostFile is a file that went back. Its path lies below the mount point; it is where the file lay when the power failed, or if it had been removed,
// where it comes back; "" if it has no name.
type LostFile struct {
	Path  string
	Bytes int64 // how many bytes changed, were cut off or came back
}

// Bytes is the sum over all files.
func (l Lost) Bytes() (n int64) {
	for _, f := range l.Files {
		n += f.Bytes
	}
	return n
}

// PowerFail aborts the mount, puts back what was not durable, and leaves the file system unmounted and the backing folder as the disk would be found
// after the failure. The programs that used it are dead by then; if they are not, their calls fail. All randomness comes
// from r, which All does not use. After an error the backing folder may hold some of the changes that should have been lost.
func (f *FS) PowerFail(how Loss, r *rand.Rand) (Lost, error) {
	if how != All && how != RandomPages && how != TornSectors {
		return Lost{}, fmt.Errorf("fail the power of %s: loss %s given, %s, %s or %s allowed", f.options.Mountpoint, how, All, RandomPages, TornSectors)
	}
	f.life.Lock()
	defer f.life.Unlock()
	if f.volume == nil {
		return Lost{}, fmt.Errorf("fail the power of %s: it is not mounted", f.options.Mountpoint)
	}
	v := f.volume
	if err := v.abort(); err != nil {
		return Lost{}, fmt.Errorf("fail the power of %s: %w", f.options.Mountpoint, err)
	}
	f.volume = nil
	v.expire(time.Now())
	lost, err := v.lose(how, r)
	if err = errors.Join(err, v.close()); err != nil {
		return lost, fmt.Errorf("fail the power of %s: %w", f.options.Mountpoint, err)
	}
	return lost, nil
}

// lose undoes what was not durable. Nothing is served any more.
func (v *volume) lose(how Loss, r *rand.Rand) (Lost, error) {
	var lost Lost
	names, where := v.lostNames()
	if len(names) > 0 && (how == All || r.IntN(2) == 0) {
		lost.Names = names
	}
	var err error
	if lost.Files, err = v.loseContent(how, r, where, lost.Names == nil); err != nil {
		return lost, err
	}
	if lost.Names != nil {
		return lost, v.rebuild()
	}
	return lost, nil
}

// loseContent puts back the content of files, in the order of their paths, so that the same r does the same.
func (v *volume) loseContent(how Loss, r *rand.Rand, where map[*node]string, namesStay bool) ([]LostFile, error) {
	type file struct {
		path string
		*node
	}
	var files []file
	for _, n := range v.byID {
		links := n.links()
		if n.aside && namesStay {
			links-- // it is removed for good
		}
		if n.mode != unix.S_IFREG || links == 0 || n.content.clean() {
			continue
		}
		path := v.path(n)
		if path == "" {
			path = where[n]
		}
		files = append(files, file{path, n})
	}
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.path, b.path) })
	var lost []LostFile
	for _, f := range files {
		bytes, err := f.restore(how, r)
		if err != nil {
			return lost, fmt.Errorf("put back %s: %w", f.path, err)
		}
		if bytes > 0 {
			lost = append(lost, LostFile{Path: f.path, Bytes: bytes})
		}
	}
	return lost, nil
}

// restore puts back the node's content and returns how many bytes that changed.
func (n *node) restore(how Loss, r *rand.Rand) (int64, error) {
	file, err := n.open()
	if err != nil {
		return 0, err
	}
	lost, err := n.content.restore(file, how, r)
	return lost, errors.Join(err, file.Close())
}
