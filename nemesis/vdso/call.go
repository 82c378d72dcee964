//go:build linux && amd64

package vdso

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// callDepth is how much of the stack a called function may use. The vDSO's use a quarter of it.
const callDepth = 1024

// caller chooses the thread that calls are made on: one that waits in a system call if there is any, because
// it certainly is not in the middle of a restartable sequence (rseq(2)), which a call would break.
func (s *stopped) caller() (*thread, unix.PtraceRegs, error) {
	var chosen *thread
	var regs unix.PtraceRegs
	for _, t := range s.threads {
		r, err := t.registers()
		if !t.stopped || err != nil {
			continue
		}
		waits := int64(r.Orig_rax) >= 0
		if chosen == nil || waits {
			chosen, regs = t, r
		}
		if waits && t.signal.number == 0 {
			break
		}
	}
	if chosen == nil {
		return nil, regs, fmt.Errorf("no thread of process %d stands still: %w", s.pid, ErrGone)
	}
	return chosen, regs, nil
}

// call makes a thread call the function at an address with two arguments, the second the address of a 16-byte result. The function returns to
// trap, an int3 instruction. It runs on the thread's own stack; what it wrote over is put back, which no other thread can
// notice as all stand still. (The memory below a stack may be used for something else: a goroutine's stack is small.)
func (s *stopped) call(function, trap, argument uint64) (result [16]byte, err error) {
	t, regs, err := s.caller()
	if err != nil {
		return result, err
	}
	const redZone = 128 // below the stack pointer, which the thread may be using
	at := (regs.Rsp-redZone)&^15 - uint64(len(result))
	below := make([]byte, callDepth)
	if err := peek(s.mem, at-callDepth+16, below); err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, poke(s.mem, at-callDepth+16, below)) }()

	call := regs
	call.Rip, call.Rdi, call.Rsi, call.Rsp = function, argument, at, at-8
	if err := poke(s.mem, call.Rsp, binary.LittleEndian.AppendUint64(nil, trap)); err != nil {
		return result, err
	}
	after, err := t.run(s.pid, call, regs)
	if err != nil {
		return result, err
	}
	if int32(after.Rax) != 0 || after.Rip != trap+1 {
		return result, fmt.Errorf("the call at %#x returned %d to %#x", function, int32(after.Rax), after.Rip)
	}
	return result, peek(s.mem, at, result[:])
}

// mmap makes a thread map a page, readable and executable, at an address where nothing is. The system call is written over the
// code at scratch for so long, which no thread may be about to run.
func (s *stopped) mmap(address, scratch uint64) (err error) {
	t, regs, err := s.caller()
	if err != nil {
		return err
	}
	syscall := []byte{0x0f, 0x05, 0xcc} // syscall; int3
	under := make([]byte, len(syscall))
	if err := peek(s.mem, scratch, under); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, poke(s.mem, scratch, under)) }()
	if err := poke(s.mem, scratch, syscall); err != nil {
		return err
	}
	call := regs
	call.Rip, call.Rax = scratch, unix.SYS_MMAP
	call.Rdi, call.Rsi, call.Rdx = address, 4096, unix.PROT_READ|unix.PROT_EXEC
	call.R10, call.R8, call.R9 = unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_FIXED_NOREPLACE, ^uint64(0), 0
	after, err := t.run(s.pid, call, regs)
	if err != nil {
		return err
	}
	if after.Rax != address {
		return fmt.Errorf("map a page at %#x in process %d: %w", address, s.pid, unix.Errno(-int64(after.Rax)))
	}
	return nil
}

// run lets one thread run from the registers call until it comes to an int3, and gives it back its own registers. It returns
// those at the int3. No signal reaches the thread meanwhile but those of a fault of its own.
func (t *thread) run(pid int, call, own unix.PtraceRegs) (after unix.PtraceRegs, err error) {
	const directionFlag = 1 << 10
	call.Eflags &^= directionFlag
	call.Orig_rax = ^uint64(0) // or the kernel would repeat the system call that the stop has interrupted

	mask := ^uint64(0)
	for _, fault := range []unix.Signal{unix.SIGTRAP, unix.SIGSEGV, unix.SIGBUS, unix.SIGILL, unix.SIGFPE} {
		mask &^= 1 << (fault - 1)
	}
	var ownMask uint64
	if err := ptrace(unix.PTRACE_GETSIGMASK, t.tid, 8, uintptr(unsafe.Pointer(&ownMask))); err != nil {
		return after, fmt.Errorf("read the signal mask of thread %d: %w", t.tid, gone(err))
	}
	signal := t.signal
	if err := t.setRegisters(call); err != nil {
		return after, err
	}
	defer func() {
		if !t.stopped {
			return // it has ended
		}
		err = errors.Join(err, t.setRegisters(own), ptrace(unix.PTRACE_SETSIGMASK, t.tid, 8, uintptr(unsafe.Pointer(&ownMask))))
		if t.signal = signal; signal.number != 0 {
			err = errors.Join(err, ptrace(unix.PTRACE_SETSIGINFO, t.tid, 0, uintptr(unsafe.Pointer(&signal))))
		}
	}()
	if err := ptrace(unix.PTRACE_SETSIGMASK, t.tid, 8, uintptr(unsafe.Pointer(&mask))); err != nil {
		return after, fmt.Errorf("block the signals of thread %d: %w", t.tid, gone(err))
	}
	return t.runToTrap(pid)
}

// runToTrap waits as long as it takes, should the process be frozen just now: to let go of a thread in the middle of a call would
// be its end.
func (t *thread) runToTrap(pid int) (after unix.PtraceRegs, err error) {
	for {
		t.stopped = false
		if err := unix.PtraceCont(t.tid, 0); err != nil {
			return after, fmt.Errorf("run thread %d: %w", t.tid, gone(err))
		}
		for try := 0; !t.stopped; try++ {
			if err := t.poll(pid); err != nil {
				return after, err
			}
			if t.ended {
				return after, fmt.Errorf("run thread %d: %w", t.tid, ErrGone)
			}
			pause(try)
		}
		switch unix.Signal(t.signal.number) {
		case 0: // a stop of the whole process reached it: it goes into force when we let go
		case unix.SIGSTOP: // cannot be blocked: again, when the call is over
			defer unix.Kill(t.tid, unix.SIGSTOP)
		case unix.SIGTRAP:
			return t.registers()
		default:
			return after, fmt.Errorf("a call made in thread %d ended in %v", t.tid, unix.Signal(t.signal.number))
		}
	}
}

// clear moves threads that stand inside the bytes which the jumps will overwrite to the same instruction of the moved
// function. One that runs a signal handler may have been inside when the signal came: it will return there, so the frame
// of the signal is changed too.
func (s *stopped) clear(img *image, code shim) error {
	moved := func(rip uint64) (uint64, bool) {
		for i, entry := range img.entry {
			if rip > entry && rip < entry+jumpSize {
				return code.moved[i] + rip - entry, true
			}
		}
		return 0, false
	}
	stack := make([]byte, 64<<10)
	for _, t := range s.threads {
		if !t.stopped {
			continue
		}
		regs, err := t.registers()
		if errors.Is(err, ErrGone) {
			continue
		}
		if err != nil {
			return err
		}
		if rip, inside := moved(regs.Rip); inside {
			regs.Rip = rip
			if err := t.setRegisters(regs); err != nil {
				return err
			}
		}
		n, _ := s.mem.ReadAt(stack, int64(regs.Rsp&^7)) // short at the stack's end
		for at, rip := range signalReturns(stack[:n], moved) {
			if err := poke(s.mem, regs.Rsp&^7+uint64(at), binary.LittleEndian.AppendUint64(nil, rip)); err != nil {
				return err
			}
		}
	}
	return nil
}

// signalReturns finds the saved instruction pointers on a stack that have to be changed, and what to. In the frame of a signal the
// kernel saves the flags and then the code segment, always 0x33 in 64-bit programs, behind the pointer (struct sigcontext).
func signalReturns(stack []byte, moved func(uint64) (uint64, bool)) map[int]uint64 {
	found := make(map[int]uint64)
	for at := 0; at+24 <= len(stack); at += 8 {
		rip, inside := moved(binary.LittleEndian.Uint64(stack[at:]))
		if inside && binary.LittleEndian.Uint16(stack[at+16:]) == 0x33 {
			found[at] = rip
		}
	}
	return found
}
