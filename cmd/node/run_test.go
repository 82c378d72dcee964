package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"rift/node"
)

// A syncBuffer is a bytes.Buffer for several goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// try runs the program to its end.
func try(args ...string) (code int, stdout, stderr string) {
	var out, errs syncBuffer
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // whatever starts, stops
	code = run(ctx, node.LocalHost(), args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestBadUsageIsExplained(t *testing.T) {
	good := []string{"-id", "n1", "-haddr", "127.0.0.1:0", "--raddr", "127.0.0.1:0"}
	with := func(more ...string) []string { return append(append([]string{}, good...), more...) }
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, test := range []struct {
		args []string
		says string
	}{
		{nil, "id:"},
		{with(), "data directory: missing"},
		{with("-frobnicate", "d"), "frobnicate"},
		{with("d", "e"), "one data directory"},
		{with("d", "-inmem"), "flags stand before it"},
		{with("-bug", "stale-read,none-such", "d"), "none-such"},
		{with("-log-format", "xml", "d"), "xml"},
		{with("-heartbeat-timeout", "soon", "d"), "soon"},
		{with("-lease-timeout", "1h", "d"), "lease-timeout"},
		{with("-haddr", "localhost", "d"), "haddr"},
		{with("-haddr", taken.Addr().String(), "-inmem"), "in use"},
		{with(file), "data directory"},
	} {
		code, stdout, stderr := try(test.args...)
		if code != 1 || stdout != "" || !strings.Contains(stderr, test.says) || !strings.HasPrefix(stderr, "node: ") {
			t.Errorf("%q: exit %d, %s%s, want %q", test.args, code, stdout, stderr, test.says)
		}
	}
}

func TestHelpAndVersion(t *testing.T) {
	code, stdout, _ := try("--help")
	if code != 0 || !strings.Contains(stdout, "Examples:") {
		t.Errorf("exit %d, %s", code, stdout)
	}
	for _, b := range node.Bugs() {
		if !strings.Contains(stdout, b.Name) || !strings.Contains(stdout, b.Description) {
			t.Errorf("the help does not explain the bug %s", b.Name)
		}
	}
	if strings.Contains(stdout, "%!") {
		t.Errorf("the help is garbled: %s", stdout)
	}
	if code, stdout, _ := try("-version"); code != 0 || !strings.HasPrefix(stdout, "node ") {
		t.Errorf("exit %d, %s", code, stdout)
	}
}

// A node serves until it is told to stop, and then ends with exit code 0; a second start finds the data.
func TestANodeRunsUntilItIsStopped(t *testing.T) {
	dir, free := t.TempDir(), func() string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return l.Addr().String()
	}
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for _, request := range []struct{ method, body, want string }{{"PUT", "kept", `"revision":1`}, {"GET", "", `"value":"kept"`}} {
		address := free()
		ctx, stop := context.WithCancel(context.Background())
		var errs syncBuffer
		ended := make(chan int, 1)
		args := []string{"-id=n1", "-haddr=" + address, "-raddr=" + free(), "-heartbeat-timeout=100ms", "-election-timeout=100ms", "-lease-timeout=100ms", "-log-format=json", dir}
		go func() { ended <- run(ctx, node.LocalHost(), args, io.Discard, &errs) }()
		var answer string
		for deadline := time.Now().Add(30 * time.Second); !strings.Contains(answer, request.want); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s answers %s\n%s", request.method, answer, errs.String())
			}
			r, err := http.NewRequest(request.method, fmt.Sprintf("http://%s/v1/kv/x", address), strings.NewReader(request.body))
			if err != nil {
				t.Fatal(err)
			}
			if response, err := client.Do(r); err == nil {
				b, _ := io.ReadAll(response.Body)
				response.Body.Close()
				answer = string(b)
			}
		}
		stop()
		if code := <-ended; code != 0 || !strings.Contains(errs.String(), `"msg":"stopped"`) {
			t.Errorf("exit %d\n%s", code, errs.String())
		}
	}
}
