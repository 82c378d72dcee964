//go:build linux && amd64

package vdso

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"
)

// Process is a running process whose clocks can be skewed. Its methods may be called by several goroutines.
type Process struct {
	pid   int
	mem   *os.File
	entry [len(hooked)]uint64 // of the vDSO's functions
	shim  shim

	mu sync.Mutex // held while the blocks change
}

// Able says why the clocks of processes cannot be skewed on this machine; nil if they can. It needs no rights, and so does
// not tell whether they suffice.
func Able() error {
	mem, err := os.Open("/proc/self/mem")
	if err != nil {
		return err
	}
	defer mem.Close()
	img, err := readImage(os.Getpid(), mem)
	if err != nil {
		return err
	}
	_, err = newShim(&img, img.start)
	return err
}

// Attach makes the clocks of a process ready to be skewed; they stay true. The process stands still for it, for a millisecond
// or so. If an earlier Attach, by this program or another, left its shim there, it is used as it is, skew and all, and
// nothing stands still. The errors are ErrUnsupported, ErrGone, and those of lacking rights.
func Attach(pid int) (*Process, error) {
	p, err := attach(pid, false)
	if err != nil {
		return nil, fmt.Errorf("attach to the clocks of process %d: %w", pid, err)
	}
	return p, nil
}

// attach puts the shim on a page of its own if it is told to, and otherwise if there is no room behind the vDSO.
func attach(pid int, ownPage bool) (*Process, error) {
	if err := sameTime(pid); err != nil {
		return nil, err
	}
	p, img, err := open(pid)
	if err != nil || p.shim.base != 0 {
		return p, err
	}
	p.Close()
	p = &Process{pid: pid}
	err = whileStopped(pid, func(s *stopped) error {
		var err error
		if p.mem, err = openMemory(pid); err != nil {
			return err
		}
		if err := p.find(&img); err != nil || p.shim.base != 0 { // another may have been faster
			return err
		}
		return p.patch(s, &img, ownPage)
	})
	if err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// execTime bounds how long a process may be without a vDSO because it makes an exec.
const execTime = 100 * time.Millisecond

// open opens a process's memory, and finds the shim if there is one; p.shim.base is 0 if not.
func open(pid int) (*Process, image, error) {
	for deadline := time.Now().Add(execTime); ; time.Sleep(time.Millisecond) {
		p, img, err := openNow(pid)
		if !errors.Is(err, errNoVDSO) || time.Now().After(deadline) {
			return p, img, err
		}
	}
}

func openNow(pid int) (*Process, image, error) {
	var img image
	mem, err := openMemory(pid)
	if err != nil {
		return nil, img, err
	}
	p := &Process{pid: pid, mem: mem}
	if err := p.find(&img); err != nil {
		mem.Close()
		return nil, img, err
	}
	return p, img, nil
}

// find reads the process's vDSO, and the shim if there is one.
func (p *Process) find(img *image) (err error) {
	if *img, err = readImage(p.pid, p.mem); err != nil {
		return err
	}
	p.entry = img.entry
	p.shim, err = findShim(img, p.mem)
	return err
}

// sameTime refuses a process for which the kernel's monotonic clock is not ours.
func sameTime(pid int) error {
	ours, err := os.Readlink("/proc/self/ns/time")
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a kernel without time namespaces
	}
	theirs, err2 := os.Readlink(fmt.Sprintf("/proc/%d/ns/time", pid))
	if err := errors.Join(err, err2); err != nil {
		return gone(err)
	}
	if ours != theirs {
		return fmt.Errorf("it runs in a time namespace of its own (%s): %w", theirs, ErrUnsupported)
	}
	return nil
}

// patch writes the shim and, when no thread is in the way, the jumps to it.
func (p *Process) patch(s *stopped, img *image, ownPage bool) error {
	base := img.start + uint64(img.used+63)&^63
	code, err := newShim(img, base)
	if err != nil {
		return err
	}
	if ownPage || !img.vacant(base, len(code.bytes)) {
		base, free := img.gap()
		if !free {
			return fmt.Errorf("no room for the shim near the vDSO: %w", ErrUnsupported)
		}
		if err := s.mmap(base, img.entry[0]); err != nil {
			return err
		}
		if code, err = newShim(img, base); err != nil {
			return err
		}
	} else {
		// A thread may stand in a shim that was taken out of use. Its code is the same; with a new
		// sequence number the thread asks for the time again.
		code.bytes[sequenceAt] = img.at(base)[sequenceAt] + 1
	}
	if err := poke(p.mem, code.base, code.bytes); err != nil {
		return err
	}
	if err := s.clear(img, code); err != nil {
		return err
	}
	for i, entry := range slices.Backward(img.entry[:]) { // clock_gettime last, by which the shim is found
		if err := poke(p.mem, entry, jump(entry, code.target[i])); err != nil {
			return err
		}
	}
	p.shim = code
	return nil
}

// Set skews the clocks from now on. A skew replaces the one before; only what the monotonic clock has lost or
// gained stays. Nothing stands still for it. Set returns when the skew is in force, which takes
// switchLead if it slows the monotonic clock. A skew out of its limits is refused, and then changes nothing.
func (p *Process) Set(s Skew) error {
	now, err := Now()
	if err != nil {
		return err
	}
	return p.SetAt(s, now)
}

// SetAt is Set with the instant, on the host's monotonic clock, at which the skew begins. Processes that are given the same
// instant agree to the nanosecond. If it is up to MaxLead ahead, the clocks go on as they do until then, and SetAt
// returns when it has come. If it is past, the wall clock has been skewed since then: it has drifted, and is in the half period
// of its strobe, as if; the monotonic clock, which must not step back, begins to be skewed now.
func (p *Process) SetAt(s Skew, at time.Duration) error {
	err := s.Validate()
	if err == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		err = p.set(s, at)
	}
	if err != nil {
		return fmt.Errorf("skew the clocks of process %d: %w", p.pid, err)
	}
	return nil
}

// switchLead is how far ahead a slowing of the monotonic clock is announced. A thread that learned of it late
// would see the clock step back.
const switchLead = 10 * time.Millisecond

// set writes the block that is not in force, and then the sequence number that brings it into force. A thread that reads
// meanwhile finds that the number has changed, and reads again. (It would have to stand still for exactly 256 changes not to.)
func (p *Process) set(s Skew, at time.Duration) error {
	if ahead, err := until(at); err != nil {
		return err
	} else if ahead > MaxLead {
		return fmt.Errorf("begin %v from now: at most %v ahead allowed", ahead, MaxLead)
	}
	sequence, current, err := p.blocks()
	if err != nil {
		return err
	}
	for {
		begin, slows, err := p.prepare(sequence+1, current, s, at)
		if err != nil {
			return err
		}
		if left, err := until(begin); err != nil {
			return err
		} else if slows && left < switchLead/2 {
			continue // we were held up: announce it anew
		}
		if err := poke(p.mem, p.shim.base+sequenceAt, []byte{sequence + 1}); err != nil {
			return err
		}
		left, err := until(begin)
		if slows && left < 0 {
			return fmt.Errorf("the slower clock was announced up to %v late, so it may have stepped back", -left)
		}
		time.Sleep(left)
		return err
	}
}

// prepare writes a block that is not in force yet, and returns when all of it is: at the given instant or now, or, if it slows the
// monotonic clock, in a while at least.
func (p *Process) prepare(sequence byte, current block, s Skew, at time.Duration) (begin time.Duration, slows bool, err error) {
	start, err := hostClocks()
	if err != nil {
		return 0, false, err
	}
	now := start[monotonic]
	ahead := int64(at) - now
	start[wall] += ahead
	start[tai] += ahead
	next := current.turn(start, s)
	if slows = next.slows(); slows {
		ahead = max(ahead, int64(switchLead))
	}
	if ahead > 0 {
		for _, i := range []int{monotonic, raw, boot} {
			start[i] += ahead
		}
		next = current.turn(start, s)
	}
	words, err := binary.Append(nil, binary.LittleEndian, next)
	if err != nil {
		return 0, false, err
	}
	return time.Duration(now + max(ahead, 0)), slows, poke(p.mem, p.blockAt(sequence), words)
}

// until is how far an instant of the monotonic clock is ahead.
func until(instant time.Duration) (time.Duration, error) {
	now, err := hostClock(monotonic)
	return instant - time.Duration(now), err
}

// Heal makes the wall clock true again, and the monotonic clock go at the true rate; what that one has lost or gained
// stays, since it must not step back. It is Set with the zero Skew.
func (p *Process) Heal() error {
	return p.Set(Skew{})
}

// blocks reads the sequence number and the block in force.
func (p *Process) blocks() (sequence byte, b block, err error) {
	head := make([]byte, sequenceAt+1)
	if err := peek(p.mem, p.shim.base, head); err != nil {
		return 0, b, err
	}
	if !bytes.HasPrefix(head, []byte(magic)) {
		return 0, b, ErrGone
	}
	words := make([]byte, blockSize)
	if err := peek(p.mem, p.blockAt(head[sequenceAt]), words); err != nil {
		return 0, b, err
	}
	_, err = binary.Decode(words, binary.LittleEndian, &b)
	return head[sequenceAt], b, err
}

// in says whether the program that stands still is the one that was attached to.
func (p *Process) in(s *stopped) bool {
	found := make([]byte, len(magic))
	return peek(s.mem, p.shim.base, found) == nil && string(found) == magic
}

func (p *Process) blockAt(sequence byte) uint64 {
	return p.shim.base + blocksAt + uint64(sequence%2)*blockSize
}

// Close lets go of the process. The shim stays, with its skew.
func (p *Process) Close() error {
	return p.mem.Close()
}

// Skewed says whether a shim is in a process, be its clocks true or not. Nothing stands still for it.
func Skewed(pid int) (bool, error) {
	p, _, err := open(pid)
	if err != nil {
		return false, fmt.Errorf("look at the clocks of process %d: %w", pid, err)
	}
	defer p.Close()
	return p.shim.base != 0, nil
}

// Restore takes the shim out of a process: its vDSO's functions are as the kernel made them, and its clocks true. A
// monotonic clock that was slowed jumps forward. One that is ahead of the host's would step back, so then the
// shim is only healed, and the error says to restart the process. A process without a shim is left alone.
func Restore(pid int) error {
	p, img, err := open(pid)
	if err == nil {
		defer p.Close()
		err = p.restore(&img)
	}
	if err != nil {
		return fmt.Errorf("restore the clocks of process %d: %w", pid, err)
	}
	return nil
}

func (p *Process) restore(img *image) error {
	if p.shim.base == 0 {
		return nil
	}
	now, err := Now()
	if err != nil {
		return err
	}
	if err := p.set(Skew{}, now); err != nil {
		return err
	}
	_, current, err := p.blocks()
	if err != nil {
		return err
	}
	if ahead := current[monotonic].After.Skew; ahead > 0 {
		return fmt.Errorf("its monotonic clock is %v ahead and must not step back; restart the process", time.Duration(ahead))
	}
	// A jump is one instruction: no thread can stand inside it, nor a signal return there. What runs in the shim may finish.
	return whileStopped(p.pid, func(s *stopped) error {
		if !p.in(s) {
			return ErrGone
		}
		for _, entry := range slices.Backward(img.entry[:]) {
			if err := poke(s.mem, entry, img.at(entry)[:jumpSize]); err != nil {
				return err
			}
		}
		return nil
	})
}
