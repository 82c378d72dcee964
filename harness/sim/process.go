package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/sys"

	"rift/harness/history"
)

// process is one life of a node's program: a coroutine, which runs until it waits.
type process struct {
	machine *machine
	life    int
	random  *rand.Rand
	files   map[int32]*descriptor
	inbox   []byte // frames that have come in and were not read

	resume func() (struct{}, bool)
	stop   func()
	yield  func(struct{}) bool
	turn   *event     // its next turn, if one is planned
	alarm  *event     // that ends its waiting
	calls  int        // made in this turn
	reads  bool       // it waits for frames
	doomed int        // it is killed in its so-manieth next call to its disk; 0: it is not
	fate   *rand.Rand // draws how far that call gets
	killed bool       // in such a call
	ended  bool
	code   uint32 // with which it ended by itself
	failed error  // why it ended, if the world is to blame
}

// machine is what a node has over its lives.
type machine struct {
	world   *world
	program *Program
	name    string
	args    []string // of the program, after its name
	env     []string
	output  io.Writer
	disk    *disk
	clock   *clock
	host    *host    // on the network
	process *process // that runs; nil if none does
	lives   int
	paused  bool
}

// errEnded unwinds a process's stack.
var errEnded = errors.New("the process has ended")

// processKey is the key under which calls find the process that makes them.
type processKey struct{}

// start begins a life. Nothing runs before the world goes on.
func (m *machine) start() {
	m.lives++
	p := &process{
		machine: m, life: m.lives,
		random: history.Rand(m.world.seed, fmt.Sprintf("sim/%s/%d", m.name, m.lives)),
		files:  map[int32]*descriptor{0: {}, 1: {output: true}, 2: {output: true}, root: {file: m.disk.root, path: "/"}, device: {device: true}},
	}
	p.resume, p.stop = iter.Pull(func(yield func(struct{}) bool) {
		p.yield = yield
		p.live()
	})
	m.process = p
	m.host.attach(p.deliver)
	p.wake()
}

// live runs the program from its beginning to its end.
func (p *process) live() {
	m := p.machine
	ctx := experimental.WithMemoryAllocator(context.WithoutCancel(m.world.ctx), &m.program.memories)
	ctx = context.WithValue(ctx, processKey{}, p)
	config := wazero.NewModuleConfig().WithName("").WithStartFunctions()
	instance, err := m.program.runtime.InstantiateModule(ctx, m.program.compiled, config)
	if err != nil {
		p.failed = err
		return
	}
	_, err = instance.ExportedFunction("_start").Call(ctx)
	if exit := new(sys.ExitError); err != nil && !errors.Is(err, errEnded) && !errors.As(err, &exit) {
		p.failed = err
	}
	p.failed = errors.Join(p.failed, instance.Close(context.WithoutCancel(ctx)))
}

// wake gives the process a turn, soon. One that is paused gets it when it goes on.
func (p *process) wake() {
	if p.ended || p.turn != nil || p.machine.paused {
		return
	}
	p.turn = p.machine.world.after(0, func() {
		p.turn = nil
		p.alarm.off()
		if _, alive := p.resume(); !alive {
			p.end()
			if !p.killed {
				fmt.Fprintf(p.machine.output, "sim: at %s the process ended with exit code %d\n", p.machine.world.now, p.code)
			}
			if p.failed != nil {
				p.machine.world.broken = errors.Join(p.machine.world.broken, fmt.Errorf("%s: %w", p.machine.name, p.failed))
			}
		}
	})
}

// wait ends the process's turn until it is woken.
func (p *process) wait() {
	if !p.yield(struct{}{}) {
		panic(errEnded)
	}
	p.calls = 0
}

// waitFor ends the process's turn for a time of the world, or until it is woken.
func (p *process) waitFor(d time.Duration) {
	p.alarm = p.machine.world.after(d, p.wake)
	p.wait()
}

// kill ends the process wherever it is. What it has written stays in its disk's memory.
func (m *machine) kill() {
	if p := m.process; p != nil {
		p.stop()
		p.end()
	}
	m.paused = false
}

// killInCall kills the process in the middle of one of its next calls to its disk, the next if calls is 0. Until then it goes on.
func (m *machine) killInCall(calls int, r *rand.Rand) {
	if m.process != nil {
		m.process.doomed, m.process.fate = calls+1, r
	}
}

// dies says whether the call to the disk that is being made is the one that the process does not survive.
func (p *process) dies() bool {
	if p.doomed == 0 {
		return false
	}
	p.doomed--
	p.killed = p.doomed == 0
	return p.killed
}

func (p *process) end() {
	p.ended = true
	p.turn.off()
	p.alarm.off()
	p.machine.process = nil
	p.machine.host.detach()
}

// pause stops the machine's process until it goes on; both may be called at any time.
func (m *machine) pause() {
	m.paused = true
	if m.process != nil {
		m.process.turn.off()
		m.process.turn = nil
	}
}

func (m *machine) proceed() {
	m.paused = false
	if m.process != nil {
		m.process.wake() // it looks at what it waits for, and waits again if nothing is there
	}
}

// deliver gives the process a frame.
func (p *process) deliver(frame []byte) {
	p.inbox = append(p.inbox, frame...)
	if p.reads {
		p.wake()
	}
}
