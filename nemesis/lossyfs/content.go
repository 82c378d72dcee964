package lossyfs

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"time"
)

const (
	pageSize   = 4096 // what a kernel writes back at a time, bytes
	sectorSize = 512  // what a disk writes at a time, bytes
)

// page is the content of one page of a file, which begins at a multiple of pageSize.
type page [pageSize]byte

// zeros stands for every page that was a hole or did not exist: a file of 64 MB that is written for the first time then needs no memory.
var zeros page

// content is what a file durably holds, where that differs from its live content. The zero value, with size set, is a file
// whose live content is durable.
type content struct {
	size    int64           // the durable length, bytes
	resized time.Time       // since when the live length may differ from size; zero: it does not
	pages   map[int64]dirty // by the page's number
}

// dirty is a page whose live content is not durable.
type dirty struct {
	before *page     // what it durably holds
	since  time.Time // of the first change
	doomed bool      // an fsync failed on it, so that the kernel will not write it unless it changes again
}

// preserve keeps the durable content of the pages that a change of the n bytes at off is about to spoil.
func (c *content) preserve(file io.ReaderAt, off, n int64, now time.Time) error {
	for i := off / pageSize; i*pageSize < off+n; i++ {
		d, known := c.pages[i]
		if known && !d.doomed {
			continue
		}
		if !known {
			d.before = &zeros
			if i*pageSize < c.size {
				p := new(page)
				if _, err := file.ReadAt(p[:], i*pageSize); err != nil && !errors.Is(err, io.EOF) {
					return err
				}
				if *p != zeros {
					d.before = p
				}
			}
		}
		if c.pages == nil {
			c.pages = make(map[int64]dirty)
		}
		c.pages[i] = dirty{before: d.before, since: now}
	}
	return nil
}

// resize notes that the file's length is about to change from live to size, and keeps what that cuts off.
func (c *content) resize(file io.ReaderAt, live, size int64, now time.Time) error {
	if c.resized.IsZero() && live != size {
		c.resized = now
	}
	// What lies beyond the live length was kept when it was cut off.
	if end := min(live, c.size); size < end {
		return c.preserve(file, size, end-size, now)
	}
	return nil
}

// commit makes the live content, of this length, durable: an fsync that succeeded.
func (c *content) commit(live int64) {
	maps.DeleteFunc(c.pages, func(_ int64, d dirty) bool { return !d.doomed })
	c.cut(live)
	c.size, c.resized = live, time.Time{}
}

// doom is an fsync that failed: the kernel gives the pages up and calls them clean.
func (c *content) doom() {
	for i, d := range c.pages {
		d.doomed = true
		c.pages[i] = d
	}
}

// expire makes durable what has changed before a point in time, as the kernel's write-back does.
func (c *content) expire(before time.Time, live int64) {
	maps.DeleteFunc(c.pages, func(_ int64, d dirty) bool { return !d.doomed && d.since.Before(before) })
	if !c.resized.IsZero() && c.resized.Before(before) {
		c.cut(live)
		c.size, c.resized = live, time.Time{}
	}
}

// damage changes what a page durably holds, if that differs from its live content.
func (c *content) damage(i int64, do func(before *page)) {
	if d, ok := c.pages[i]; ok {
		damaged := *d.before // it may be zeros, which all share
		do(&damaged)
		d.before = &damaged
		c.pages[i] = d
	}
}

// cut durably cuts off all from size on.
func (c *content) cut(size int64) {
	maps.DeleteFunc(c.pages, func(i int64, _ dirty) bool { return i*pageSize >= size })
	c.damage(size/pageSize, func(before *page) { clear(before[size%pageSize:]) })
	c.size = min(c.size, size)
}

// clean says whether the live content is durable.
func (c *content) clean() bool { return len(c.pages) == 0 && c.resized.IsZero() }

// restore turns the live content into one that a power failure may leave, and returns how many bytes
// it changed, cut off or brought back.
func (c *content) restore(file *os.File, how Loss, r *rand.Rand) (lost int64, err error) {
	st, err := file.Stat()
	if err != nil {
		return 0, err
	}
	live := st.Size()
	size := c.survivingSize(live, how, r)
	if size != live {
		if err := file.Truncate(size); err != nil {
			return 0, fmt.Errorf("back to %d bytes: %w", size, err)
		}
		lost = max(live-size, size-live)
	}
	for _, i := range slices.Sorted(maps.Keys(c.pages)) {
		start := i * pageSize
		if start >= size {
			break
		}
		var now page
		if _, err := file.ReadAt(now[:], start); err != nil && !errors.Is(err, io.EOF) {
			return lost, err
		}
		after := now
		c.pages[i].mix(&after, how, start >= live, r)
		if after == now {
			continue
		}
		if _, err := file.WriteAt(after[:min(pageSize, size-start)], start); err != nil {
			return lost, err
		}
		// What had been cut off and came back is counted already.
		lost += now.differences(&after, min(live-start, pageSize))
	}
	return lost, nil
}

// survivingSize draws the length after a power failure. A file that was growing may have grown in part, whatever of its pages was written.
func (c *content) survivingSize(live int64, how Loss, r *rand.Rand) int64 {
	if c.resized.IsZero() {
		return live
	}
	if how == All {
		return c.size
	}
	switch r.IntN(3) {
	case 0:
		return c.size
	case 1:
		if live > c.size {
			return c.size + r.Int64N(live-c.size)
		}
	}
	return live
}

// mix puts back into a page, live so far, what the power failure loses of it. A page that had been cut off comes back whole if its file does.
func (d dirty) mix(p *page, how Loss, cut bool, r *rand.Rand) {
	unit := pageSize
	if how == TornSectors {
		unit = sectorSize
	}
	for at := 0; at < pageSize; at += unit {
		if how == All || cut || d.doomed || r.IntN(2) == 0 {
			copy(p[at:at+unit], d.before[at:])
		}
	}
}

// differences counts the bytes in which the first n of two pages differ.
func (p *page) differences(q *page, n int64) (count int64) {
	for i := int64(0); i < n; i++ {
		if p[i] != q[i] {
			count++
		}
	}
	return count
}
