package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"rift/harness"
	"rift/harness/machine"
)

// TestAKilledRunInContainersIsSweptAway does the same on this machine itself, where the engine is, and where other things change meanwhile: it looks for
// what carries the run's tag. A container and a network of somebody else, with names and labels like those of a run, must stay.
func TestAKilledRunInContainersIsSweptAway(t *testing.T) {
	needCluster(t)
	rift, store, draws := buildRift(t), t.TempDir(), killDraws(t)
	name := fmt.Sprintf("rift12345-bystander%d", os.Getpid())
	containerOfSomebody(t, rift, name)
	for round := range (kills(t, 1) + 9) / 10 {
		plan := overlapping(t, draws, store)
		moment := 3*time.Second + time.Duration(draws.Int64N(int64(5*time.Second)))
		run := start(t, rift, "run", "--cluster", "docker", "--nodes", "3", "--time", "6s", "--plan", plan, "--seed", strconv.Itoa(round), "--store", store)
		run.killAfter(moment)
		tags := make(map[string]bool)
		run.tags(tags)
		first, second := start(t, rift, "sweep"), start(t, rift, "sweep")
		for _, s := range []*program{first, second} {
			if err := s.wait(); err != nil {
				t.Errorf("round %d: one of two sweeps: %v\n%s", round, err, s.output())
			}
		}
		t.Logf("round %d: killed after %v, in %s", round, moment, run.phase())
		for tag := range tags {
			nothingTagged(t, tag)
		}
		if state := docker(t, "inspect", "-f", "{{.State.Running}} {{.State.Paused}}", name); state != "true false" {
			t.Errorf("round %d: somebody else's container: %s", round, state)
		}
		docker(t, "network", "inspect", name)
	}
}

// nothingTagged waits until nothing on the machine carries a tag.
func nothingTagged(t *testing.T, tag string) {
	t.Helper()
	for deadline := time.Now().Add(settled); ; time.Sleep(100 * time.Millisecond) {
		things, err := machine.Look(t.Context(), harness.DataRoot(), "/run/rift")
		left := machine.Of(things, tag)
		label := "label=rift.tag=" + tag
		engine := docker(t, "ps", "-aq", "--filter", label) + docker(t, "network", "ls", "-q", "--filter", label)
		if err == nil && len(left) == 0 && engine == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("left of %s: %v, in the engine %q, error %v", tag, left, engine, err)
			return
		}
	}
}

// containerOfSomebody starts a container, on a network of its own, that could be taken for one of rift's.
func containerOfSomebody(t *testing.T, program, name string) {
	t.Helper()
	image := name + ":" + strconv.Itoa(os.Getpid())
	b, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: filepath.Base(program), Size: int64(len(b)), Mode: 0o755}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	load := exec.Command("docker", "import", "-", image)
	load.Stdin = &packed
	if out, err := load.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Cleanup(func() { docker(t, "rmi", image) })
	docker(t, "network", "create", "--internal", name)
	t.Cleanup(func() { docker(t, "network", "rm", name) })
	docker(t, "run", "-d", "--name", name, "--network", name, "--label", "rift.tag=rift123456", "--label", "rift.keeper=elsewhere:/run/rift", "--label", "rift.node=n1",
		image, fmt.Sprint("/", filepath.Base(program)), echoName, "7000")
	t.Cleanup(func() { docker(t, "rm", "-f", name) })
}

// docker carries a command of the engine's own client out.
func docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("docker", args...).CombinedOutput()
	if err != nil {
		t.Errorf("docker %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}
