package sim_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rift/harness"
	"rift/harness/gen"
	"rift/harness/history"
	"rift/harness/sim"
	"rift/harness/system"
	"rift/nemesis"
	"rift/workloads"
)

// build compiles a program for the simulation, and returns it as bytes.
func build(t testing.TB, pkg string, flags ...string) []byte {
	t.Helper()
	to := filepath.Join(t.TempDir(), "program.wasm")
	c := exec.Command("go", append(append([]string{"build", "-trimpath", "-o", to}, flags...), pkg)...)
	c.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// load compiles what build gives. The tests share a cache on the machine, as people's runs do.
func load(t testing.TB, wasm []byte) *sim.Program {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	p, err := sim.LoadProgram(t.Context(), wasm, filepath.Join(cache, "rift", "test"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p
}

// theNode is the reference node, built as `make build` builds it, once for all tests.
var theNode struct {
	once sync.Once
	wasm []byte
}

func nodeWasm(t testing.TB) []byte {
	t.Helper()
	theNode.once.Do(func() {
		root, err := exec.Command("go", "env", "GOROOT").Output()
		if err != nil {
			t.Fatal(err)
		}
		overlay, err := sim.WriteOverlay(strings.TrimSpace(string(root)), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		theNode.wasm = build(t, "rift/cmd/node", "-overlay="+overlay)
	})
	if theNode.wasm == nil {
		t.Fatal("the node could not be built, as another test has said")
	}
	return theNode.wasm
}

func node(t testing.TB) *sim.Program {
	t.Helper()
	return load(t, nodeWasm(t))
}

// trial is a run that a test asks for.
type trial struct {
	seed    int64
	length  time.Duration
	nodes   int
	faults  string // the text of a plan
	nemesis []string
	bugs    []string
	change  func(s *sim.Spec)
}

// spec is what a trial asks for, in a new folder.
func (r trial) spec(t testing.TB, p *sim.Program) sim.Spec {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, history.NodesDir), 0o755); err != nil {
		t.Fatal(err)
	}
	if r.nodes == 0 {
		r.nodes = 3
	}
	test := history.Test{
		Name: "sim", System: "node", Workload: "register", Cluster: "sim", Nodes: r.nodes, Concurrency: r.nodes, Rate: 70,
		Time: history.Duration(r.length), OpTimeout: history.Duration(time.Second), Bugs: r.bugs, Seed: r.seed,
	}
	faults, err := nemesis.Expand(r.faults, r.seed, r.length)
	if err != nil {
		t.Fatal(err)
	}
	choices, err := nemesis.ParseChoices(r.nemesis)
	if err != nil {
		t.Fatal(err)
	}
	if len(choices) > 0 {
		faults = nemesis.Schedule(r.seed, r.length, choices)
	}
	register := workloads.All[0]
	params := workloads.Params{Seed: r.seed, Nodes: r.nodes, Concurrency: r.nodes}
	s := sim.Spec{
		Test: test, Plan: history.Plan{Version: 1, Seed: r.seed, Faults: faults},
		Main:   gen.Stagger(int64(gen.Draw(r.seed, 0)), test.Rate, register.Main(params)),
		System: system.Reference{Bin: "node.wasm"}, Program: p, Dir: dir,
	}
	if register.Final != nil {
		s.Final = func(keys []string) gen.Generator { return register.Final(params, keys, harness.FinalWorkers(test)) }
	}
	if r.change != nil {
		r.change(&s)
	}
	return s
}

// run makes a trial's run, and returns what it left.
func (r trial) run(t testing.TB, p *sim.Program) *history.Run {
	t.Helper()
	s := r.spec(t, p)
	if err := sim.Run(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	left, err := history.Load(s.Dir)
	if err != nil {
		t.Fatal(err)
	}
	return left
}

// digest is a hash of all that a run left but for what the harness was asked for.
func digest(t testing.TB, dir string) string {
	t.Helper()
	h := sha256.New()
	logs, err := filepath.Glob(filepath.Join(dir, history.NodesDir, "*.log"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("no logs of nodes in %s: %v", dir, err)
	}
	for _, name := range []string{history.HistoryFile, history.EvidenceFile, history.ViewsFile, history.PhasesFile} {
		logs = append(logs, filepath.Join(dir, name))
	}
	for _, path := range logs {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// BenchmarkRun makes runs of the size that a search makes: 20 virtual seconds of five nodes and five clients, with faults.
func BenchmarkRun(b *testing.B) {
	p := node(b)
	began := cpuTime(b)
	virtual, ops := time.Duration(0), 0
	for seed := range b.N {
		left := trial{seed: int64(seed + 1), length: 20 * time.Second, nodes: 5, nemesis: []string{"kill", "partition", "pause"}}.run(b, p)
		virtual += left.Length()
		ops += len(left.History) / 2
	}
	cpu := cpuTime(b) - began
	b.ReportMetric(cpu.Seconds()/float64(b.N), "cpu-s/run")
	b.ReportMetric(2*float64(b.N)/cpu.Minutes(), "seeds/min-on-2-cores")
	b.ReportMetric(virtual.Seconds()/cpu.Seconds(), "virtual-s/cpu-s")
	b.ReportMetric(float64(ops)/float64(b.N), "ops/run")
}

// cpuTime is what this process has used of the processors. Unlike the time that has passed, it tells the same on a machine that has other things to do.
func cpuTime(t testing.TB) time.Duration {
	t.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
