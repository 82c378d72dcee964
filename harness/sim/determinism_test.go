package sim_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"rift/harness/history"
	"rift/harness/sim"
)

// What the process that makes the second run of each seed is told, in its environment.
const (
	childSeed    = "RIFT_SIM_CHILD_SEED"
	childProgram = "RIFT_SIM_CHILD_PROGRAM"
)

// seeds is how many seeds are run twice; RIFT_SIM_SEEDS asks for another number.
func seeds(t *testing.T) int64 {
	t.Helper()
	const usual = 2
	asked := os.Getenv("RIFT_SIM_SEEDS")
	if asked == "" {
		return usual
	}
	n, err := strconv.ParseInt(asked, 10, 64)
	if err != nil || n < 1 {
		t.Fatalf("RIFT_SIM_SEEDS: %q given, a number from 1 allowed", asked)
	}
	return n
}

// twice is what is run twice for a seed.
func twice(seed int64) trial {
	return trial{seed: seed, length: 2 * time.Second, nemesis: []string{"kill", "partition", "clock", "power", "delay"}}
}

// TestSameSeedSameBytes runs each seed in this process, and again in another one, for the first seed beside a core that is kept busy.
func TestSameSeedSameBytes(t *testing.T) {
	wasm := nodeWasm(t)
	p := load(t, wasm)
	path := filepath.Join(t.TempDir(), "node.wasm")
	if err := os.WriteFile(path, wasm, 0o644); err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]int64)
	for seed := int64(1); seed <= seeds(t); seed++ {
		left := twice(seed).run(t, p)
		rest := func() {}
		if seed == 1 {
			rest = keepBusy()
		}
		here, there := digest(t, left.Dir), inAnotherProcess(t, path, seed)
		rest()
		if here != there {
			t.Errorf("seed %d: %s in this process, %s in another", seed, here, there)
		} else if before, known := seen[here]; known {
			t.Errorf("seeds %d and %d gave the same run", before, seed)
		} else {
			seen[here] = seed
		}
		if succeeded(left.History) == 0 {
			t.Errorf("seed %d: no operation succeeded, so that the run shows nothing", seed)
		}
	}
}

// keepBusy keeps a core busy until the function that it returns is called.
func keepBusy() (rest func()) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for !isClosed(stop) {
		}
	}()
	return func() {
		close(stop)
		<-stopped
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func succeeded(h history.History) (n int) {
	for _, op := range h {
		if op.Type == history.OK {
			n++
		}
	}
	return n
}

func inAnotherProcess(t *testing.T, program string, seed int64) string {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestInAnotherProcess$", "-test.v")
	c.Env = append(os.Environ(), fmt.Sprintf("%s=%d", childSeed, seed), childProgram+"="+program)
	out, err := c.CombinedOutput()
	_, rest, found := strings.Cut(string(out), "digest=")
	if err != nil || !found {
		t.Fatalf("%v\n%s", err, out)
	}
	return strings.Fields(rest)[0]
}

// TestInAnotherProcess is the other process.
func TestInAnotherProcess(t *testing.T) {
	seed, err := strconv.ParseInt(os.Getenv(childSeed), 10, 64)
	if err != nil {
		t.Skip("it is for TestSameSeedSameBytes, which tells it a seed")
	}
	wasm, err := os.ReadFile(os.Getenv(childProgram))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("digest=" + digest(t, twice(seed).run(t, load(t, wasm)).Dir))
}

// TestALeakIsCaught shows that the comparison of two runs finds what depends on anything but the seed: a node is built that lets a number from outside the
// world decide how long it waits before it dials.
func TestALeakIsCaught(t *testing.T) {
	p := load(t, build(t, "rift/cmd/node", "-overlay="+leakyOverlay(t)))
	source := func() uint64 { return 0 }
	if err := sim.ExportLeak(t.Context(), p, func() uint64 { return source() }); err != nil {
		t.Fatal(err)
	}
	same := func() bool {
		first := digest(t, twice(1).run(t, p).Dir)
		return first == digest(t, twice(1).run(t, p).Dir)
	}
	if !same() {
		t.Error("two runs differ although the number is always the same")
	}
	for name, leak := range map[string]func() uint64{
		"real time":           func() uint64 { return uint64(time.Now().UnixNano()) },
		"unseeded randomness": rand.Uint64,
	} {
		if source = leak; same() {
			t.Errorf("%s in the node was not found: two runs gave the same bytes", name)
		}
	}
}

// leakyOverlay replaces the program's main file by one that leaks.
func leakyOverlay(t *testing.T) string {
	t.Helper()
	original, err := filepath.Abs("../../cmd/node/main_wasip1.go")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(original)
	if err != nil {
		t.Fatal(err)
	}
	leaky := strings.Replace(string(source), "Dial: guest.Dial", "Dial: leaky", 1) + leak
	leaky = strings.Replace(leaky, `"errors"`, "\"errors\"\n\t\"net\"\n\t\"time\"", 1)
	dir := t.TempDir()
	changed, overlay := filepath.Join(dir, "main_wasip1.go"), filepath.Join(dir, "overlay.json")
	b, err := json.Marshal(map[string]any{"Replace": map[string]string{original: changed}})
	if err := errors.Join(err, os.WriteFile(changed, []byte(leaky), 0o644), os.WriteFile(overlay, b, 0o644)); err != nil {
		t.Fatal(err)
	}
	return overlay
}

const leak = `
//go:wasmimport leak number
func number() uint64

func leaky(ctx context.Context, address string) (net.Conn, error) {
	time.Sleep(time.Duration(number() % 1_000_000))
	return guest.Dial(ctx, address)
}
`
