package harness

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"

	"rift/harness/history"
)

// needDocker gives a tag, where Docker answers. What carries the tag is swept away when the test ends.
func needDocker(t *testing.T) (tag string) {
	t.Helper()
	engine, err := DockerEngine(t.Context())
	if err != nil {
		if os.Getenv(requireAll) == "1" {
			t.Fatal(err)
		}
		t.Skip("NOT TESTED with containers: ", err)
	}
	engine.Close()
	owner, err := Claim()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		engine, err := DockerEngine(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		defer engine.Close()
		own := func(labels map[string]string) bool { return labels[labelTag] == owner.Tag }
		if _, err := removeLabelled(context.Background(), engine, own); err != nil {
			t.Error(err)
		}
		if err := owner.Release(); err != nil {
			t.Error(err)
		}
	})
	return owner.Tag
}

// buildEcho builds the echo program as a static one.
func buildEcho(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "echo")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", program, "./testdata/echo")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// startContainers starts echo nodes in containers, and waits until they answer.
func startContainers(t *testing.T, tag, dir string, names ...string) (*Docker, []Node) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, history.NodesDir), 0o755); err != nil {
		t.Fatal(err)
	}
	d, err := NewDocker(t.Context(), HostsOptions{Tag: tag, Dir: dir, Data: filepath.Join(dir, "data"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	nodes, err := d.Create(t.Context(), names)
	if err != nil {
		t.Fatal(err)
	}
	program, launches := buildEcho(t), make(map[string]Launch)
	for _, name := range names {
		launches[name] = Launch{Program: program, Args: []string{name}}
	}
	if err := d.Prepare(t.Context(), launches); err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		if err := d.Start(t.Context(), n.Name); err != nil {
			t.Fatal(err)
		}
		awaitEcho(t, n)
	}
	return d, nodes
}

func TestDockerRunsNodes(t *testing.T) {
	tag, dir := needDocker(t), t.TempDir()
	d, nodes := startContainers(t, tag, dir, "n1", "n2")
	before, up := d.Host("n2")
	if !up || before.IP != nodes[1].IP || before.PID <= 0 {
		t.Fatalf("host of n2: %+v, up %t", before, up)
	}
	freezeNode(t, before) // a frozen node can be killed all the same
	for range 2 {         // killing what is down does no harm
		if err := d.Kill(t.Context(), "n2"); err != nil {
			t.Fatal(err)
		}
	}
	if h, up := d.Host("n2"); up {
		t.Errorf("n2 is up after its kill: %+v", h)
	}
	if err := d.Start(t.Context(), "n2"); err != nil {
		t.Fatal(err)
	}
	awaitEcho(t, nodes[1])
	if after, up := d.Host("n2"); !up || after.PID == before.PID || after.IP != before.IP {
		t.Errorf("n2 was %+v and is %+v", before, after)
	}
	if err := d.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(nodeLog(dir, "n2"))
	if err != nil || strings.Count(string(log), "n2 listens\n") != 2 {
		t.Errorf("log of n2: %q, error %v; want both its lives in it", log, err)
	}
	checkNothingLeft(t, tag)
}

func TestSweepRemovesWhatADeadRunLeftInDockerAndNothingElse(t *testing.T) {
	live := needDocker(t)
	startContainers(t, live, t.TempDir(), "n1")
	dead, err := Claim()
	if err != nil {
		t.Fatal(err)
	}
	d, _ := startContainers(t, dead.Tag, t.TempDir(), "n1")
	h, _ := d.Host("n1")
	freezeNode(t, h)
	if err := dead.file.Close(); err != nil { // as the kernel does when a process dies
		t.Fatal(err)
	}
	// Another run's sweep may be quicker, so that it does not matter what this one says it removed.
	if _, err := Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkNothingLeft(t, dead.Tag)
	for tag, want := range map[string]int{dead.Tag: 0, live: 1} {
		left, err := d.engine.ContainerList(t.Context(), container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("label", labelTag+"="+tag))})
		if err != nil || len(left) != want {
			t.Errorf("%d containers of %s are there, want %d (%v)", len(left), tag, want, err)
		}
	}
}

func TestWhatWasClaimedElsewhereIsLeftAlone(t *testing.T) {
	here := map[string]string{labelKeeper: keeper(), labelTag: TagPrefix + "ffffff"}
	elsewhere := map[string]string{labelKeeper: "another machine:/run/rift", labelTag: TagPrefix + "ffffff"}
	if !ownDead(here) || ownDead(elsewhere) || ownDead(map[string]string{labelTag: TagPrefix + "ffffff"}) {
		t.Error("a dead run is told by its tag and by where it was claimed")
	}
}

// TestADynamicProgramRunsFromScratch starts a program of this machine with nothing but what it needs.
func TestADynamicProgramRunsFromScratch(t *testing.T) {
	tag, dir := needDocker(t), t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, history.NodesDir), 0o755); err != nil {
		t.Fatal(err)
	}
	d, err := NewDocker(t.Context(), HostsOptions{Tag: tag, Dir: dir, Data: filepath.Join(dir, "data"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(context.Background())
	if _, err := d.Create(t.Context(), []string{"n1"}); err != nil {
		t.Fatal(err)
	}
	if err := d.Prepare(t.Context(), map[string]Launch{"n1": {Program: dynamicProgram(t), Args: []string{"600"}}}); err != nil {
		t.Fatal(err)
	}
	if err := d.Start(t.Context(), "n1"); err != nil {
		t.Fatal(err)
	}
	h, up := d.Host("n1")
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", h.PID))
	if !up || err != nil || string(name) != "sleep\n" {
		t.Errorf("up %t as %q, %v; want a process named sleep that runs", up, name, err)
	}
}
