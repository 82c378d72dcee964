package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"rift/harness"
	"rift/harness/history"
)

// needCluster skips a test that needs real nodes where they cannot run.
func needCluster(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("NOT TESTED with real nodes: -short")
	}
	engine, err := harness.DockerEngine(t.Context())
	if err == nil {
		engine.Close()
	}
	if err == nil && os.Geteuid() == 0 {
		return
	}
	if os.Getenv("RIFT_REQUIRE_DOCKER") == "1" {
		t.Fatal("Docker and root are required: ", err)
	}
	t.Skip("NOT TESTED with real nodes, which needs Docker and root: ", err)
}

// buildNode builds the reference node as a static program, once for all tests.
func buildNode(t *testing.T) string {
	t.Helper()
	return filepath.Join(build(t), "node")
}

// buildRift builds rift as a static program, with the reference node beside it, for tests that kill it.
func buildRift(t *testing.T) string {
	t.Helper()
	return filepath.Join(build(t), "rift")
}

// build builds both programs, once for all tests, into a folder that any user may read.
var build = func() func(t *testing.T) string {
	var once sync.Once
	return func(t *testing.T) string {
		t.Helper()
		if dir := os.Getenv(builtBefore); dir != "" {
			return dir
		}
		once.Do(func() {
			dir, err := os.MkdirTemp("", "rift-test-bin-")
			if err != nil {
				t.Fatal(err)
			}
			builtHere = dir
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			build := exec.Command("go", "build", "-buildvcs=false", "-o", dir, "rift/cmd/node", "rift/cmd/rift")
			build.Env = append(os.Environ(), "CGO_ENABLED=0")
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		})
		return builtHere
	}
}()

// builtBefore names the folder of the programs that a test has built which starts this test binary anew.
const builtBefore = "RIFT_TEST_BIN"

// builtHere is the folder to be removed in the end.
var builtHere string

func TestMain(m *testing.M) {
	code := m.Run()
	for _, dir := range []string{builtHere, wasmHere} {
		if dir != "" {
			os.RemoveAll(dir)
		}
	}
	os.Exit(code)
}

// checkFolder checks that a run left every file that docs/results.md names.
func checkFolder(t *testing.T, dir string) {
	t.Helper()
	for _, name := range []string{
		history.TestFile, history.PlanFile, history.PlanTextFile, history.RanFile, history.HistoryFile, history.EvidenceFile, history.ViewsFile,
		history.PhasesFile, history.ClocksFile, history.ResultsFile, history.ReportFile, history.JUnitFile, "nodes/n1.log", "nodes/n5.log",
	} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v, or it is empty", name, err)
		}
	}
}

// mildPlan is a file with a plan that always leaves a majority, so that a slow machine proves as much as a fast one.
func mildPlan(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mild.plan")
	plan := "at 500ms kill one for 1s\nat 2500ms pause one for 1s\nat 4500ms partition isolate-one for 1s\nat 6500ms clock one skew=bump offset=1m for 1s\n"
	if err := os.WriteFile(path, []byte(plan), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// checkGone asks the system's own tools whether something with the tag is left.
func checkGone(t *testing.T, tag string) {
	t.Helper()
	for _, command := range [][]string{{"docker", "ps", "-a"}, {"docker", "network", "ls"}, {"ip", "link"}, {"ip", "netns"}, {"ls", harness.DataRoot()}} {
		out, _ := exec.Command(command[0], command[1:]...).CombinedOutput()
		if strings.Contains(string(out), tag) {
			t.Errorf("%v shows that something of %s is left:\n%s", command, tag, out)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// truncate cuts a file off in its last line.
func truncate(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, info.Size()-5); err != nil {
		t.Fatal(err)
	}
}

// trigger is a writer that does something when a text appears.
type trigger struct {
	mu   sync.Mutex
	seen bytes.Buffer
	on   string
	then func()
}

func (w *trigger) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen.Write(b)
	if w.then != nil && strings.Contains(w.seen.String(), w.on) {
		w.then()
		w.then = nil
	}
	return len(b), nil
}

func (w *trigger) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen.String()
}
