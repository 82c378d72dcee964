package sim

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// The descriptors that a process has from the beginning, besides those of input and output.
const (
	root   = 3   // the folder of all its files
	device = 100 // the network; package guest opens it
)

// errno is the number of an error in WASI.
type errno uint32

// The errors that calls give.
const (
	success     errno = 0
	errAgain    errno = 6
	errBadFD    errno = 8
	errExist    errno = 20
	errInvalid  errno = 28
	errIO       errno = 29
	errIsDir    errno = 31
	errNoEntry  errno = 44
	errNoSpace  errno = 51
	errNoSystem errno = 52
	errNotDir   errno = 54
	errNotEmpty errno = 55
)

// call is one call of a process to its system, with its arguments as they stand on the stack.
type call struct {
	*process
	memory api.Memory
	args   []uint64
}

// number is an argument of 32 bits; the upper half of its place may hold anything.
func (c call) number(i int) uint32 { return uint32(c.args[i]) }

// file is the open file that an argument names; nil if there is none.
func (c call) file(i int) *descriptor { return c.files[int32(c.number(i))] }

// text is what a place and a length among the arguments name.
func (c call) text(i int) string {
	b, _ := c.memory.Read(c.number(i), c.number(i+1))
	return string(b)
}

// exportCalls gives programs the calls of wasi_snapshot_preview1 that Go's runtime and its library make.
func exportCalls(ctx context.Context, r wazero.Runtime) error {
	const i, l = api.ValueTypeI32, api.ValueTypeI64
	b := r.NewHostModuleBuilder("wasi_snapshot_preview1")
	export := func(name string, do func(c call) errno, params ...api.ValueType) {
		b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(ctx context.Context, m api.Module, stack []uint64) {
			p := ctx.Value(processKey{}).(*process)
			p.called(name)
			stack[0] = uint64(do(call{p, m.Memory(), stack}))
		}), params, []api.ValueType{i}).Export(name)
	}
	nothing := func(call) errno { return success }
	missing := func(call) errno { return errNoSystem }

	export("args_sizes_get", func(c call) errno { return c.sizes(c.arguments()) }, i, i)
	export("args_get", func(c call) errno { return c.texts(c.arguments()) }, i, i)
	export("environ_sizes_get", func(c call) errno { return c.sizes(c.machine.env) }, i, i)
	export("environ_get", func(c call) errno { return c.texts(c.machine.env) }, i, i)
	export("clock_time_get", call.clock, i, l, i)
	export("random_get", call.randomness, i, i)
	export("poll_oneoff", call.poll, i, i, i, i)
	export("sched_yield", nothing)
	b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(ctx context.Context, _ api.Module, stack []uint64) {
		ctx.Value(processKey{}).(*process).code = uint32(stack[0])
		panic(errEnded)
	}), []api.ValueType{i}, nil).Export("proc_exit")

	export("fd_close", call.close, i)
	export("fd_fdstat_get", call.describe, i, i)
	export("fd_fdstat_set_flags", nothing, i, i)
	export("fd_fdstat_set_rights", nothing, i, l, l)
	export("fd_filestat_get", call.stat, i, i)
	export("fd_filestat_set_size", call.truncate, i, l)
	export("fd_read", func(c call) errno { return c.read(-1, 3) }, i, i, i, i)
	export("fd_pread", func(c call) errno { return c.read(int(c.args[3]), 4) }, i, i, i, l, i)
	export("fd_write", func(c call) errno { return c.write(-1, 3) }, i, i, i, i)
	export("fd_pwrite", func(c call) errno { return c.write(int(c.args[3]), 4) }, i, i, i, l, i)
	export("fd_prestat_get", call.preopened, i, i)
	export("fd_prestat_dir_name", call.preopenedName, i, i, i)
	export("fd_readdir", call.list, i, i, i, l, i)
	export("fd_seek", call.seek, i, l, i, i)
	export("fd_sync", call.sync, i)
	export("path_create_directory", call.makeFolder, i, i, i)
	export("path_filestat_get", call.statPath, i, i, i, i, i)
	export("path_filestat_set_times", nothing, i, i, i, i, l, l, i)
	export("path_open", call.open, i, i, i, i, i, l, l, i, i)
	export("path_remove_directory", call.remove, i, i, i)
	export("path_rename", call.rename, i, i, i, i, i, i)
	export("path_unlink_file", call.remove, i, i, i)
	export("path_link", missing, i, i, i, i, i, i, i)
	export("path_readlink", missing, i, i, i, i, i, i)
	export("path_symlink", missing, i, i, i, i, i)
	export("sock_accept", missing, i, i, i)
	export("sock_shutdown", missing, i, i)
	if _, err := b.Instantiate(ctx); err != nil {
		return fmt.Errorf("make the simulated system: %w", err)
	}
	return nil
}

// mostCallsInTurn is how many calls a process may make without waiting. None that does anything comes near it.
const mostCallsInTurn = 5_000_000

// called counts a call. A process that makes calls without end, or while the world's context has ended, is ended.
func (p *process) called(name string) {
	const look = 1 << 12
	p.calls++
	switch w := p.machine.world; {
	case p.calls > mostCallsInTurn:
		p.failed = fmt.Errorf("at %s it made %d calls to the system without waiting once, the last %s: it spins", w.now, mostCallsInTurn, name)
		panic(errEnded)
	case p.calls%look == 0 && w.ctx.Err() != nil:
		panic(errEnded)
	}
}

func (p *process) arguments() []string { return append([]string{p.machine.name}, p.machine.args...) }

// sizes tells how many texts there are, and how long they are in all.
func (c call) sizes(list []string) errno {
	n := 0
	for _, s := range list {
		n += len(s) + 1
	}
	c.memory.WriteUint32Le(c.number(0), uint32(len(list)))
	c.memory.WriteUint32Le(c.number(1), uint32(n))
	return success
}

// texts writes texts, each with a zero after it, and where each begins.
func (c call) texts(list []string) errno {
	at := c.number(1)
	for i, s := range list {
		c.memory.WriteUint32Le(c.number(0)+4*uint32(i), at)
		c.memory.WriteString(at, s+"\x00")
		at += uint32(len(s)) + 1
	}
	return success
}

func (c call) clock() errno {
	const wall = 0
	t := c.machine.clock.monotonic()
	if c.number(0) == wall {
		t = c.machine.clock.wallTime()
	}
	c.memory.WriteUint64Le(c.number(2), uint64(t))
	return success
}

func (c call) randomness() errno {
	b, _ := c.memory.Read(c.number(0), c.number(1))
	for i := range b {
		b[i] = byte(c.random.Uint32())
	}
	return success
}

// The layout of what poll_oneoff takes and gives, in bytes.
const (
	subscriptionSize = 48
	eventSize        = 32
	pollClock        = 0
	pollRead         = 1
)

// poll waits for the first of some events: an alarm of the monotonic clock, or something to read.
func (c call) poll() errno {
	n := c.number(2)
	began := c.machine.clock.monotonic()
	defer func() { c.reads = false }()
	for {
		wanted, _ := c.memory.Read(c.number(0), n*subscriptionSize) // anew each time: waiting may move the memory
		fired, least := uint32(0), time.Duration(-1)
		for i := range n {
			s := wanted[i*subscriptionSize:]
			left := c.due(s, began)
			if left > 0 {
				if least < 0 || left < least {
					least = left
				}
				continue
			}
			if left < 0 {
				continue
			}
			event := make([]byte, eventSize)
			copy(event, s[:8]) // by which the program knows it
			event[10] = s[8]
			c.memory.Write(c.number(1)+fired*eventSize, event)
			fired++
		}
		if fired > 0 {
			c.memory.WriteUint32Le(c.number(3), fired)
			return success
		}
		if least > 0 {
			c.waitFor(c.machine.clock.span(least))
		} else {
			c.wait()
		}
	}
}

// due is how long it takes until a subscription fires, by the monotonic clock: 0 if it does now, less if nobody knows.
func (c call) due(s []byte, began time.Duration) time.Duration {
	const never = -1
	switch s[8] {
	case pollClock:
		deadline := began + time.Duration(binary.LittleEndian.Uint64(s[24:]))
		if absolute := s[40]&1 != 0; absolute {
			deadline -= began
		}
		return max(0, deadline-c.machine.clock.monotonic())
	case pollRead:
		d := c.files[int32(binary.LittleEndian.Uint32(s[16:]))]
		if d == nil || !d.device || len(c.inbox) > 0 {
			return 0
		}
		c.reads = true
		return never
	}
	return 0
}
