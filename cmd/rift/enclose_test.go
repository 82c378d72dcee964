package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// nobody is a user and group that own nothing.
const nobody = 65534

// gentlePlan always leaves a majority of three nodes, and has a fault of each kind that an ordinary user can do on any machine.
const gentlePlan = `at 200ms delay one delay=20ms jitter=5ms for 1500ms
at 2s pause one for 1s
at 2s clock one skew=bump offset=1m for 1500ms
at 3500ms partition isolate-one for 1500ms
at 5500ms kill one for 700ms
`

// asNobody is how rift is started by an ordinary user, with a folder that is that user's own.
func asNobody(t *testing.T, args ...string) (cmd *exec.Cmd, home string) {
	t.Helper()
	needCluster(t)
	if err := exec.Command("unshare", "-U", "true").Run(); err != nil {
		if os.Getenv("RIFT_REQUIRE_DOCKER") == "1" {
			t.Fatal("user namespaces are required: ", err)
		}
		t.Skip("NOT TESTED as an ordinary user: the kernel allows no user namespaces: ", err)
	}
	home, err := os.MkdirTemp("", "rift-test-nobody-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	plan := filepath.Join(home, "gentle.plan")
	if err := os.WriteFile(plan, []byte(gentlePlan), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(home, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command(buildRift(t), append(args, "--cluster", "local", "--nodes", "3", "--plan", plan, "--seed", "1", "--store", filepath.Join(home, "store"))...)
	cmd.Dir = home
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + home}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	return cmd, home
}

// nothingOf waits until no process of a user's run is left, which the kernel sees to, and then looks for claims and data when it has been swept.
func nothingOf(t *testing.T, home string) {
	t.Helper()
	for deadline := time.Now().Add(settled); ; time.Sleep(20 * time.Millisecond) {
		var left []string
		commands, _ := filepath.Glob("/proc/[0-9]*/cmdline") // the pattern is well formed
		for _, path := range commands {
			if b, _ := os.ReadFile(path); strings.Contains(string(b), home) {
				left = append(left, strings.ReplaceAll(string(b), "\x00", " "))
			}
		}
		if len(left) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("left: %q", left)
		}
	}
	sweep := exec.Command(buildRift(t), "sweep")
	sweep.Dir, sweep.Env = home, []string{"TMPDIR=" + home}
	sweep.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	if out, err := sweep.CombinedOutput(); err != nil {
		t.Errorf("sweep: %v\n%s", err, out)
	}
	for _, pattern := range []string{"rift-65534/*", "rift-data-65534/*"} {
		left, err := filepath.Glob(filepath.Join(home, pattern))
		if err != nil || len(left) > 0 {
			t.Errorf("left: %q, error %v", left, err)
		}
	}
}

func TestAnOrdinaryUserMakesARun(t *testing.T) {
	cmd, home := asNobody(t, "run", "--time", "6500ms")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "in a user namespace") {
		t.Errorf("%v\n%s", err, out)
	}
	nothingOf(t, home)
	reports, err := filepath.Glob(filepath.Join(home, "store/register/*/report.html"))
	if err != nil || len(reports) != 1 {
		t.Errorf("reports %v, error %v", reports, err)
	}
}

func TestAnOrdinaryUsersRunEndsCleanly(t *testing.T) {
	for signal, exit := range map[syscall.Signal]int{syscall.SIGINT: exitUnknown, syscall.SIGKILL: -1} {
		t.Run(signal.String(), func(t *testing.T) {
			cmd, home := asNobody(t, "run", "--time", "60s")
			out := &trigger{on: "main ", then: func() { _ = cmd.Process.Signal(signal) }}
			cmd.Stdout, cmd.Stderr = out, out
			err := cmd.Run()
			if cmd.ProcessState.ExitCode() != exit {
				t.Errorf("%v, exit %d, want %d\n%s", err, cmd.ProcessState.ExitCode(), exit, out)
			}
			nothingOf(t, home)
		})
	}
}
