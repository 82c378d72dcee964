package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// unpacked is the program of a system that `make systems` gets. Without it the test is skipped, or fails where it is required.
func unpacked(t *testing.T, system, program string) string {
	t.Helper()
	needCluster(t)
	path := filepath.Join(repository, "bin", "systems", system, "usr", "bin", program)
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("RIFT_REQUIRE_SYSTEMS") == "1" {
			t.Fatal("the systems are required; `make systems` gets them: ", err)
		}
		t.Skip("NOT TESTED with a real "+system+"; `make systems` gets it: ", err)
	}
	return path
}

// onePlan is a file with a plan of one line.
func onePlan(t *testing.T, line string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "one.plan")
	if err := os.WriteFile(path, []byte(line+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// powerOnce is a run in which the power of all nodes fails once, and comes back: how it ended, and what it printed. On a machine that is busy it
// may end before enough has succeeded after that, and is then unknown as a whole.
func powerOnce(t *testing.T, args ...string) (code int, out string) {
	t.Helper()
	code, out, errOut := rift(t, append([]string{
		"run", "--workload", "set", "--rate", "300", "--seed", "1", "--store", t.TempDir(),
		"--plan", onePlan(t, "at 1s power all loss=all for 300ms"),
	}, args...)...)
	if !regexp.MustCompile(`(?m)^  power +1 +1$`).MatchString(out) {
		t.Fatalf("no power failed; exit %d\n%s\n%s", code, out, errOut)
	}
	return code, out
}

// TestAnUnmodifiedEtcdKeepsWhatItAcknowledged runs in containers, where nothing is but etcd and its libraries.
func TestAnUnmodifiedEtcdKeepsWhatItAcknowledged(t *testing.T) {
	bin := unpacked(t, "etcd", "etcd")
	code, out := powerOnce(t, "--system", "etcd", "--bin", bin, "--nodes", "3", "--cluster", "docker", "--time", "5s")
	if code == exitInvalid || !strings.Contains(out, "✓ set: Each of") || !strings.Contains(out, "etcd 3.") {
		t.Errorf("exit %d\n%s", code, out)
	}
}

// TestAnUnmodifiedRedisLosesWhatItDidNotSync: told never to sync it loses everything, told to sync each write nothing.
func TestAnUnmodifiedRedisLosesWhatItDidNotSync(t *testing.T) {
	bin := unpacked(t, "redis", "redis-server")
	for option, want := range map[string]string{"no": "✗ set: ", "always": "✓ set: Each of"} {
		code, out := powerOnce(t, "--system", "redis", "--bin", bin, "--nodes", "1", "--cluster", "local", "--time", "3s", "--set", "appendfsync="+option)
		if (code == exitInvalid) != (option == "no") || !strings.Contains(out, want) || !strings.Contains(out, "redis 7.") {
			t.Errorf("appendfsync %s: exit %d, no %q\n%s", option, code, want, out)
		}
	}
}
