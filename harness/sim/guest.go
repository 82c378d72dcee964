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
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/sys"

	"rift/harness/history"
)

// Program is a compiled program that nodes run.
type Program struct {
	runtime  wazero.Runtime
	compiled wazero.CompiledModule
}

// LoadProgram compiles a program for WebAssembly (GOOS=wasip1). The cache is a folder that keeps what was compiled; "" for none.
func LoadProgram(ctx context.Context, wasm []byte, cache string) (*Program, error) {
	config := wazero.NewRuntimeConfigCompiler()
	if cache != "" {
		c, err := wazero.NewCompilationCacheWithDir(cache)
		if err != nil {
			return nil, fmt.Errorf("open the cache of compiled programs: %w", err)
		}
		config = config.WithCompilationCache(c)
	}
	r := wazero.NewRuntimeWithConfig(ctx, config)
	if err := instantiateSystem(ctx, r); err != nil {
		return nil, errors.Join(err, r.Close(ctx))
	}
	compiled, err := r.CompileModule(ctx, wasm)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("compile the node's program: %w", err), r.Close(ctx))
	}
	return &Program{r, compiled}, nil
}

// Close lets go of the program.
func (p *Program) Close(ctx context.Context) error { return p.runtime.Close(ctx) }

// guest is one life of a node's process: a coroutine, which runs until it waits.
type guest struct {
	world  *world
	node   string
	args   []string
	env    []string
	disk   *disk
	output io.Writer
	random *rand.Rand
	clock  *clock

	memory  api.Memory
	fds     map[int32]*descriptor
	inbox   []byte // frames that have arrived
	waiting *event // the alarm of what it waits for
	reads   bool   // it waits for frames, too
	queued  bool
	resume  func() (struct{}, bool)
	stop    func()
	yield   func(struct{}) bool
	dead    bool
	code    uint32
	failure error
	handle  func(kind byte, conn uint32, payload []byte)
	address string
}

// errKilled unwinds a guest that is killed.
var errKilled = errors.New("killed")

type guestKey struct{}

// start begins a guest's life. It runs when the world comes to it.
func (w *world) start(g *guest) {
	g.world = w
	g.fds = map[int32]*descriptor{0: {}, 1: {output: true}, 2: {output: true}, 3: {file: g.disk.root, path: "/"}, device: {device: true}}
	g.random = history.Rand(w.seed, fmt.Sprintf("sim/guest/%s/%d", g.node, w.planned))
	next, stop := iter.Pull(func(yield func(struct{}) bool) {
		g.yield = yield
		g.live()
	})
	g.resume, g.stop = next, stop
	w.wake(g)
}

func (g *guest) live() {
	config := wazero.NewModuleConfig().WithName("").WithArgs(append([]string{"node"}, g.args...)...).WithStartFunctions()
	ctx := context.WithValue(g.world.ctx, guestKey{}, g)
	m, err := g.world.program.runtime.InstantiateModule(ctx, g.world.program.compiled, config)
	if err != nil {
		g.failure = err
		return
	}
	g.memory = m.Memory()
	_, err = m.ExportedFunction("_start").Call(ctx)
	var exit *sys.ExitError
	switch {
	case errors.As(err, &exit):
		g.code = exit.ExitCode()
	case err != nil && !errors.Is(err, errKilled):
		g.failure = err
	}
	g.failure = errors.Join(g.failure, m.Close(context.WithoutCancel(ctx)))
}

// wake has a guest run soon.
func (w *world) wake(g *guest) {
	if g.queued || g.dead {
		return
	}
	g.queued = true
	w.after(0, func() {
		g.queued = false
		if g.dead {
			return
		}
		if g.waiting != nil {
			g.waiting.do = nil
			g.waiting = nil
		}
		if _, alive := g.resume(); !alive {
			g.end()
		}
	})
}

// wait ends the guest's turn until it is woken.
func (g *guest) wait() {
	if !g.yield(struct{}{}) {
		panic(errKilled)
	}
}

// kill ends a guest wherever it is.
func (g *guest) kill() {
	if g.dead {
		return
	}
	g.stop()
	g.end()
}

func (g *guest) end() {
	g.dead = true
	if g.waiting != nil {
		g.waiting.do = nil
	}
	g.world.net.ended(g)
}

// deliver gives a guest a frame.
func (g *guest) deliver(frame []byte) {
	if g.dead {
		return
	}
	g.inbox = append(g.inbox, frame...)
	if g.reads {
		g.world.wake(g)
	}
}

// clock is how a node's clocks go against virtual time.
type clock struct {
	wall time.Duration // the wall clock's offset
	rate float64       // of the monotonic clock; 1 is true
	mono time.Duration // what the monotonic clock showed at since
	at   time.Duration
	last time.Duration // what was last shown
}

// reading is what a look at a clock takes.
const reading = 300 * time.Nanosecond

func (c *clock) monotonic(now time.Duration) time.Duration {
	t := c.mono + time.Duration(float64(now-c.at)*c.rate)
	c.last = max(t, c.last+reading)
	return c.last
}

// epoch is the wall clock's time at the beginning of the world.
const epoch = 1_000_000_000 * time.Second

func (g *guest) ip() string { return g.address }
