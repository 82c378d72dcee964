package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// roleVariable makes the test's own program play another one.
const roleVariable = "RIFT_CLUSTERCTL_TEST_ROLE"

// noRaceSleep spares such a program the second that the race detector otherwise waits at its end.
const noRaceSleep = "GORACE=atexit_sleep_ms=0"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case "clusterctl":
		main()
	case "obedient": // a process that ends when it is asked to
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGTERM)
		fmt.Println("ready")
		<-c
	case "stubborn": // one that must be killed
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("ready")
		<-time.After(time.Minute) // in case the test ends before it has done that
	default:
		os.Exit(m.Run())
	}
}

// A call is how one run of clusterctl ended.
type call struct {
	out, err string
	code     int
}

// ctl runs clusterctl within the test.
func ctl(t *testing.T, args ...string) call {
	t.Helper()
	var out, errOut bytes.Buffer
	code := run(t.Context(), args, &out, &errOut)
	t.Logf("clusterctl %s: exit %d\n%s%s", strings.Join(args, " "), code, &out, &errOut)
	return call{out.String(), errOut.String(), code}
}

// ctlProcess runs clusterctl as a process of its own, which is gone when this returns.
func ctlProcess(t *testing.T, args ...string) call {
	t.Helper()
	var out, errOut bytes.Buffer
	c := exec.CommandContext(t.Context(), os.Args[0], args...)
	c.Env = append(os.Environ(), roleVariable+"=clusterctl", noRaceSleep)
	c.Stdout, c.Stderr = &out, &errOut
	if err := c.Run(); c.ProcessState == nil {
		t.Fatal(err)
	}
	code := c.ProcessState.ExitCode()
	t.Logf("clusterctl %s: exit %d\n%s%s", strings.Join(args, " "), code, &out, &errOut)
	return call{out.String(), errOut.String(), code}
}

// want fails the test unless the call ended with a code, and printed some texts somewhere.
func (c call) want(t *testing.T, code int, texts ...string) {
	t.Helper()
	if c.code != code {
		t.Fatalf("exit code %d, want %d\n%s%s", c.code, code, c.out, c.err)
	}
	for _, text := range texts {
		if !strings.Contains(c.out+c.err, text) {
			t.Fatalf("%q is missing in\n%s%s", text, c.out, c.err)
		}
	}
}

// writeConfig describes a cluster of so many nodes, in a folder of the test's own. The nodes get an
// address of the loopback network that nobody else uses, with the ports of the original store.
func writeConfig(t *testing.T, nodes int, binPath string) (path string, c *config) {
	t.Helper()
	dir := t.TempDir()
	text := fmt.Sprintf("data_dir: %s\nbin_path: %s\nleader: node1\ncluster:\n", filepath.Join(dir, "var"), binPath)
	ip := ownAddress()
	for i := range nodes {
		text += fmt.Sprintf("  - alias: node%d\n    http_address: %q\n    rpc_address: %q\n", i+1, fmt.Sprintf("%s:%d", ip, 8080+i), fmt.Sprintf("%s:%d", ip, 9000+i))
	}
	path = filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := loadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, c
}

// clusters counts the clusters of this test process.
var clusters atomic.Int32

// ownAddress returns another address in 127.0.0.0/8 each time, which no other test process has either.
func ownAddress() string {
	pid := os.Getpid()
	return fmt.Sprintf("127.%d.%d.%d", 100+clusters.Add(1)%100, pid>>8&0xff, pid&0xff)
}
