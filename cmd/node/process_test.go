package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rift/node"
)

// roleVariable has this test's binary be the program node.
const roleVariable = "RIFT_NODE_TEST_ROLE"

func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) != "" {
		os.Exit(run(context.Background(), node.LocalHost(), os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// patience bounds every wait of these tests; none passes or fails by how long something takes.
const patience = 30 * time.Second

// A process is a node in a process of its own.
type process struct {
	*exec.Cmd
	t      *testing.T
	errors syncBuffer
	http   string
	gone   chan struct{}
}

// launch starts a node, and waits until it has started or ended. It is killed at the end of the test at the latest.
func launch(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(os.Args[0], append([]string{"-haddr", "127.0.0.1:0", "-raddr", "127.0.0.1:0"}, args...)...), t: t, gone: make(chan struct{})}
	p.Env = append(os.Environ(), roleVariable+"=node", "GORACE=atexit_sleep_ms=0")
	pipe, err := p.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.kill() })
	started := make(chan string, 1)
	go func() {
		defer close(p.gone)
		for s := bufio.NewScanner(pipe); s.Scan(); {
			fmt.Fprintln(&p.errors, s.Text())
			if _, rest, ok := strings.Cut(s.Text(), "msg=started "); ok {
				_, address, _ := strings.Cut(rest, "http=")
				address, _, _ = strings.Cut(address, " ")
				started <- address
			}
		}
		p.Wait()
	}()
	select {
	case p.http = <-started:
	case <-p.gone:
	case <-time.After(patience):
		t.Fatalf("it neither starts nor ends:\n%s", p.errors.String())
	}
	return p
}

// kill ends the node with SIGKILL, and returns when it is gone.
func (p *process) kill() {
	p.Process.Kill() // fails if it is gone
	<-p.gone
}

// refused waits until the node has ended by itself, and checks that it says why.
func (p *process) refused(why string) {
	p.t.Helper()
	select {
	case <-p.gone:
	case <-time.After(patience):
		p.t.Fatalf("it does not end:\n%s", p.errors.String())
	}
	said := p.errors.String()
	if last := strings.TrimSpace(said[strings.LastIndex(strings.TrimSpace(said), "\n")+1:]); p.ProcessState.ExitCode() != 1 || !strings.Contains(said, why) || strings.Contains(said, "panic") {
		p.t.Errorf("exit code %d, want 1 with %q; at last it says %q, in all:\n%s", p.ProcessState.ExitCode(), why, last, said)
	}
}

// request sends one request. The code is "" if it succeeded, and "broken" if no answer came.
func (p *process) request(method, target, body string) (answer, code string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, "http://"+p.http+target, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Close = true
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", "broken"
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		return "", "broken"
	}
	return string(b), codeOf(response.StatusCode, b)
}

func codeOf(status int, body []byte) string {
	var e struct{ Error struct{ Code string } }
	if status == http.StatusOK {
		return ""
	}
	if err := json.Unmarshal(body, &e); err != nil || e.Error.Code == "" {
		return fmt.Sprintf("status %d: %s", status, body)
	}
	return e.Error.Code
}

// must is request for what has to succeed sooner or later.
func (p *process) must(method, target, body string) (answer string) {
	p.t.Helper()
	var code string
	p.await(method+" "+target, func() bool { answer, code = p.request(method, target, body); return code == "" })
	return answer
}

// await polls until a condition holds.
func (p *process) await(what string, condition func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("in vain: %s; the node says:\n%s", what, p.errors.String())
		}
	}
}

// read reads a key, once the node answers at all; "" if there is none.
func (p *process) read(key string) (value string) {
	p.t.Helper()
	p.await("read "+key, func() bool {
		answer, code := p.request("GET", "/v1/kv/"+key, "")
		var item struct{ Value string }
		if code == "" && json.Unmarshal([]byte(answer), &item) == nil {
			value = item.Value
		}
		return code == "" || code == "key_not_found"
	})
	return value
}

// leads tells whether the node leads.
func (p *process) leads() bool {
	answer, _ := p.request("GET", "/v1/status", "")
	return strings.Contains(answer, `"state":"leader"`)
}

// TestALeaderThatWakes pauses the leader until another has written, and asks it while it wakes. What it answers then, for
// a while, is what the bug zombie-leader is about.
func TestALeaderThatWakes(t *testing.T) {
	const times = 10 // the pause may come at a moment at which no quorum had answered lately
	for _, bug := range []string{"", "zombie-leader"} {
		t.Run("bug="+bug, func(t *testing.T) {
			t.Parallel()
			stale := false
			var nodes []*process
			for _, args := range [][]string{{"-id", "n1"}, {"-id", "n2"}, {"-id", "n3"}} {
				if len(nodes) > 0 {
					args = append(args, "-join", nodes[0].http)
				}
				if bug != "" {
					args = append(args, "-bug", bug)
				}
				p := launch(t, append(args, "-inmem", t.TempDir())...)
				p.await("ready", func() bool { _, code := p.request("GET", "/readyz", ""); return code == "" })
				nodes = append(nodes, p)
			}
			for try := range times {
				if stale = stale || staleOnWaking(t, nodes, fmt.Sprint(try)); stale && bug != "" {
					return
				}
				if bug == "" && try == 2 {
					break
				}
			}
			if stale != (bug != "") {
				t.Errorf("a stale read was seen: %t", stale)
			}
		})
	}
}

// staleOnWaking tells whether a leader that was paused answers with what was overwritten meanwhile.
func staleOnWaking(t *testing.T, nodes []*process, value string) bool {
	t.Helper()
	var leader, other *process
	nodes[0].await("a leader", func() bool {
		leader = nil
		for i, p := range nodes {
			if p.leads() {
				leader, other = p, nodes[(i+1)%len(nodes)]
			}
		}
		return leader != nil
	})
	leader.must("PUT", "/v1/kv/x", "old "+value)
	leader.read("x")
	leader.signal(unix.SIGSTOP)
	resume := func() { leader.signal(unix.SIGCONT) }
	defer resume()
	other.must("PUT", "/v1/kv/x", "new "+value)
	conn, err := net.Dial("tcp", leader.http)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "GET /v1/kv/x?timeout=10s HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resume()
	conn.SetDeadline(time.Now().Add(patience))
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(answer), "old "+value)
}

func (p *process) signal(s unix.Signal) {
	if err := p.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatal(err)
	}
}
