package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"rift/harness"
	"rift/harness/history"
	"rift/harness/machine"
	"rift/nemesis"
	"rift/nemesis/netfilter"
	"rift/nemesis/netspace"
)

// Environment of the tests that kill rift.
const (
	killsWanted = "RIFT_KILLS"        // how many times it is killed; a few if it is not set
	killsSeed   = "RIFT_KILLS_SEED"   // of the plans and the moments
	sandboxed   = "RIFT_TEST_SANDBOX" // set in the test binary that runs in an enclosure
)

// settled bounds how long what a dead run has left may take to go, with the kernel's own clearing away of namespaces.
const settled = 15 * time.Second

// kills is how many times rift is killed: few in the default run, as many as RIFT_KILLS says.
func kills(t *testing.T, few int) int {
	t.Helper()
	wanted := os.Getenv(killsWanted)
	if wanted == "" {
		return few
	}
	n, err := strconv.Atoi(wanted)
	if err != nil || n < 1 {
		t.Fatalf("%s: %q given, a number of 1 or more allowed", killsWanted, wanted)
	}
	return n
}

// killDraws is where plans and moments come from.
func killDraws(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(1)
	if given := os.Getenv(killsSeed); given != "" {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	return rand.New(rand.NewPCG(seed, 0))
}

// TestAKilledRunIsSweptAway kills rift at random moments of runs in which all kinds of fault overlap, and compares the machine before with the
// machine after the sweep. It does so in namespaces of its own, where nothing else changes: what is there after and was not there before, rift has left.
func TestAKilledRunIsSweptAway(t *testing.T) {
	if os.Getenv(sandboxed) != "" {
		killInSandbox(t)
		return
	}
	needCluster(t)
	inSandbox(t)
}

// inSandbox runs the test that calls it once more, in an enclosure.
func inSandbox(t *testing.T) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=60m")
	cmd.Env = append(os.Environ(), sandboxed+"=1", builtBefore+"="+build(t))
	cmd.SysProcAttr = harness.Enclosure{Processes: true}.Attributes()
	cmd.SysProcAttr.Pdeathsig = 0 // it would come with the end of a thread of this test
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
}

// sandbox is an enclosure that a test is in.
type sandbox struct {
	inherited []machine.Thing // mounts of this machine, which go when they go there
	before    []machine.Thing // what was there before rift came
	tags      map[string]bool // that runs have carried
}

// furnishSandbox gives the enclosure folders of its own for what rift keeps.
func furnishSandbox(t *testing.T) *sandbox {
	t.Helper()
	s := &sandbox{tags: make(map[string]bool)}
	var err error
	if s.inherited, err = machine.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := (harness.Enclosure{Processes: true}).Furnish(); err != nil {
		t.Fatal(err)
	}
	data := harness.DataRoot()
	if err := os.MkdirAll(data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("rift-test", data, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	return s
}

func killInSandbox(t *testing.T) {
	s := furnishSandbox(t)
	bystanders(t)
	rift, store, draws := buildRift(t), t.TempDir(), killDraws(t)
	s.before = s.look(t)
	for round := range kills(t, 4) {
		plan := overlapping(t, draws, store)
		moment := time.Duration(draws.Int64N(int64(6500 * time.Millisecond)))
		run := start(t, rift, "run", "--cluster", "local", "--nodes", "3", "--time", "4s", "--plan", plan, "--seed", strconv.Itoa(round), "--store", store)
		run.killAfter(moment)
		run.tags(s.tags)
		sweep := start(t, rift, "sweep")
		sweep.killAfter(time.Duration(draws.Int64N(int64(40 * time.Millisecond))))
		first, second := start(t, rift, "sweep"), start(t, rift, "sweep")
		for _, p := range []*program{first, second} {
			if err := p.wait(); err != nil {
				t.Errorf("round %d: one of two sweeps: %v\n%s", round, err, p.output())
			}
		}
		t.Logf("round %d: killed after %v, in %s; swept: %q", round, moment, run.phase(), first.output()+second.output())
		if !s.asBefore(t) {
			t.Fatalf("round %d: killed after %v; its output was\n%s", round, moment, run.output())
		}
	}
}

// overlapping is a file with a plan in which every kind of fault comes, drawn as schedules draw it, and most of them at the same time.
func overlapping(t *testing.T, r *rand.Rand, dir string) string {
	t.Helper()
	var faults []history.PlannedFault
	for _, k := range nemesis.Kinds {
		f := k.Draw(r, k.Targets)
		f.Kind, f.Lane, f.Seed = k.Name, k.Name, 1
		f.At = history.Duration(time.Duration(r.IntN(1500)) * time.Millisecond)
		f.For = history.Duration(time.Duration(1000+r.IntN(1500)) * time.Millisecond)
		faults = append(faults, f)
	}
	slices.SortFunc(faults, func(a, b history.PlannedFault) int { return int(a.At - b.At) })
	for i := range faults {
		faults[i].ID = i + 1
	}
	path := filepath.Join(dir, "overlapping.plan")
	if err := os.WriteFile(path, []byte(nemesis.Text(faults)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// bystanders puts things on the machine that are not rift's, with names much like those of its own.
func bystanders(t *testing.T) {
	t.Helper()
	for _, name := range []string{"rift", "rift12345-n1", "rift12345g"} {
		if err := errors.Join(netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name}}), netspace.Create(name)); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(filepath.Join(harness.DataRoot(), name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cut, err := netfilter.NewCut("rift12345-partition1", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cut.Close() }) // the sandbox ends with the test
	for _, stopped := range []bool{false, true} {
		cmd := exec.Command("sleep", "3600")
		cmd.Args[0] = "node" // as a reference node is called
		if err := netspace.Inside(netspace.Path("rift12345-n1"), cmd.Start); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = errors.Join(cmd.Process.Kill(), cmd.Wait()) }) // it ends by being killed
		if stopped {
			if err := cmd.Process.Signal(unix.SIGSTOP); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// look looks at the machine, but of cgroups, which an enclosure does not keep apart, at those alone that carry one of the tags.
func (s *sandbox) look(t *testing.T) []machine.Thing {
	t.Helper()
	things, err := machine.Look(t.Context(), harness.DataRoot(), "/run/rift")
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(append(things, vdsos(t)...), func(g machine.Thing) bool {
		switch g.Kind {
		case machine.Mount:
			return slices.Contains(s.inherited, g)
		case machine.Cgroup:
			for tag := range s.tags {
				if strings.Contains(g.Name, tag) {
					return false
				}
			}
			return true
		}
		return false
	})
}

// vdsos tells apart the processes whose vDSO is as the kernel made it from others.
func vdsos(t *testing.T) []machine.Thing {
	t.Helper()
	own := vdso(os.Getpid())
	if len(own) == 0 {
		t.Fatal("this process has no vDSO to compare with")
	}
	var all []machine.Thing
	folders, _ := filepath.Glob("/proc/[0-9]*") // the pattern is well formed
	for _, folder := range folders {
		pid, err := strconv.Atoi(filepath.Base(folder))
		if seen := vdso(pid); err == nil && len(seen) > 0 && !bytes.Equal(seen, own) {
			all = append(all, machine.Thing{Kind: "process with another vDSO", Name: folder})
		}
	}
	return all
}

// vdso reads a process's vDSO; nil if the process is gone.
func vdso(pid int) []byte {
	maps, _ := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return nil
	}
	defer mem.Close()
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		if n, _ := fmt.Sscanf(line, "%x-%x", &from, &to); n == 2 && strings.HasSuffix(strings.TrimSpace(line), "[vdso]") {
			image := make([]byte, to-from)
			n, _ := mem.ReadAt(image, from)
			return image[:n]
		}
	}
	return nil
}

// asBefore waits until the machine is as it was, and says what is not.
func (s *sandbox) asBefore(t *testing.T) bool {
	t.Helper()
	var left, lost []machine.Thing
	for deadline := time.Now().Add(settled); ; time.Sleep(20 * time.Millisecond) {
		after := s.look(t)
		left, lost = machine.New(s.before, after), machine.New(after, s.before)
		if len(left)+len(lost) == 0 {
			return true
		}
		if time.Now().After(deadline) {
			break
		}
	}
	for _, thing := range left {
		t.Errorf("left: %s", thing)
	}
	for _, thing := range lost {
		t.Errorf("taken from somebody else: %s", thing)
	}
	return false
}
