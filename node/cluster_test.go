package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// testPatience bounds every wait of these tests; no test passes or fails by how long something takes.
const testPatience = 30 * time.Second

// A testNetwork carries the connections of a cluster inside this process, over loopback, and can cut
// nodes off from each other. It keeps each node's ports and disks while the node is down.
type testNetwork struct {
	mu    sync.Mutex
	ports map[string]*testPort // by address
	disks map[string]*Storage  // by data directory
	cut   map[[2]string]bool   // pairs of node ids, both ways round
	conns map[net.Conn][2]string
	hangs map[string]bool // ids of nodes whose disks do not finish writes
}

// A hangingStable finishes no change of the term while its disk hangs.
type hangingStable struct {
	raft.StableStore
	hangs func() bool
}

func (s *hangingStable) SetUint64(key []byte, v uint64) error {
	for s.hangs() {
		time.Sleep(5 * time.Millisecond)
	}
	return s.StableStore.SetUint64(key, v)
}

// A hangingStore finishes no write to the log while its disk hangs.
type hangingStore struct {
	raft.LogStore
	hangs func() bool
}

func (s *hangingStore) StoreLogs(logs []*raft.Log) error {
	for s.hangs() {
		time.Sleep(5 * time.Millisecond)
	}
	return s.LogStore.StoreLogs(logs)
}

// A testPort is a listener that outlives the node that listens at it.
type testPort struct {
	net.Listener
	owner string
	mu    sync.Mutex
	view  *portView // nil while the node is down: connections are then closed at once
}

type portView struct {
	port   *testPort
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newTestNetwork(t *testing.T) *testNetwork {
	w := &testNetwork{ports: map[string]*testPort{}, disks: map[string]*Storage{}, cut: map[[2]string]bool{}, conns: map[net.Conn][2]string{}, hangs: map[string]bool{}}
	t.Cleanup(func() {
		for _, p := range w.ports {
			p.Close()
		}
	})
	return w
}

// host is the machine that the node with the given id sees.
func (w *testNetwork) host(id string) Host {
	return Host{
		Listen: func(address string) (net.Listener, error) { return w.listen(id, address) },
		Dial:   func(ctx context.Context, address string) (net.Conn, error) { return w.dial(ctx, id, address) },
		OpenStorage: func(dir string, _ bool, _ *slog.Logger) (*Storage, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.disks[dir] == nil {
				disk := memoryStorage()
				hung := func() bool { w.mu.Lock(); defer w.mu.Unlock(); return w.hangs[id] }
				disk.Logs, disk.Stable = &hangingStore{disk.Logs, hung}, &hangingStable{disk.Stable, hung}
				w.disks[dir] = disk
			}
			return w.disks[dir], nil
		},
	}
}

func (w *testNetwork) listen(id, address string) (net.Listener, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.ports[address]
	if p == nil {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return nil, err
		}
		p = &testPort{Listener: l, owner: id}
		w.ports[l.Addr().String()] = p
		go p.serve()
	}
	v := &portView{port: p, conns: make(chan net.Conn), closed: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.view != nil {
		return nil, fmt.Errorf("listen %s: in use", address)
	}
	p.view = v
	return v, nil
}

func (p *testPort) serve() {
	for {
		conn, err := p.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		v := p.view
		p.mu.Unlock()
		if v == nil {
			conn.Close()
			continue
		}
		go func() {
			select {
			case v.conns <- conn:
			case <-v.closed:
				conn.Close()
			}
		}()
	}
}

func (v *portView) Accept() (net.Conn, error) {
	select {
	case conn := <-v.conns:
		return conn, nil
	case <-v.closed:
		return nil, net.ErrClosed
	}
}

func (v *portView) Addr() net.Addr { return v.port.Addr() }

func (v *portView) Close() error {
	v.once.Do(func() {
		close(v.closed)
		v.port.mu.Lock()
		v.port.view = nil
		v.port.mu.Unlock()
	})
	return nil
}

func (w *testNetwork) dial(ctx context.Context, from, address string) (net.Conn, error) {
	w.mu.Lock()
	link := [2]string{from, ""}
	if p := w.ports[address]; p != nil {
		link[1] = p.owner
	}
	refused := w.cut[link]
	w.mu.Unlock()
	if refused {
		return nil, errors.New("cut off")
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut[link] {
		conn.Close()
		return nil, errors.New("cut off")
	}
	w.conns[conn] = link
	return conn, nil
}

// isolate cuts one node off from all others, or, with heal, undoes all cuts.
func (w *testNetwork) isolate(id string, others ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, other := range others {
		if other != id {
			w.cut[[2]string{id, other}], w.cut[[2]string{other, id}] = true, true
		}
	}
	for conn, link := range w.conns {
		if w.cut[link] {
			conn.Close()
			delete(w.conns, conn)
		}
	}
}

// breakLink closes the connections that one node has made to another.
func (w *testNetwork) breakLink(from, to string) {
	time.Sleep(time.Millisecond) // let some requests through
	w.mu.Lock()
	defer w.mu.Unlock()
	for conn, link := range w.conns {
		if link == [2]string{from, to} {
			conn.Close()
			delete(w.conns, conn)
		}
	}
}

// hang makes a node's disk hang, or work again.
func (w *testNetwork) hang(id string, hangs bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hangs[id] = hangs
}

func (w *testNetwork) heal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.cut)
}

// A testCluster is a set of nodes on a testNetwork.
type testCluster struct {
	t       *testing.T
	net     *testNetwork
	configs map[string]Config
	nodes   map[string]*Node // those that are up
	ids     []string
	tune    func(*Config)
	setBack *atomic.Bool // sets the wall clocks a minute back, where a test uses it
}

// testConfig has timeouts for tests: short, and still long enough for a busy machine.
func testConfig(id string) Config {
	c := DefaultConfig()
	c.ID, c.HTTPAddr, c.RaftAddr, c.DataDir = id, "127.0.0.1:0", "127.0.0.1:0", id
	c.HeartbeatTimeout, c.ElectionTimeout, c.LeaseTimeout = 100*time.Millisecond, 100*time.Millisecond, 100*time.Millisecond
	return c
}

// newCluster starts n nodes that form a cluster; tune may change each node's configuration.
func newCluster(t *testing.T, n int, tune func(*Config)) *testCluster {
	t.Helper()
	c := &testCluster{t: t, net: newTestNetwork(t), configs: map[string]Config{}, nodes: map[string]*Node{}, tune: tune}
	t.Cleanup(func() {
		for _, id := range c.ids {
			c.crash(id)
		}
	})
	for i := range n {
		config := testConfig(fmt.Sprintf("n%d", i+1))
		if i > 0 {
			config.Join = []string{c.configs["n1"].HTTPAddr}
		}
		c.add(config)
	}
	c.awaitReady(c.ids...)
	return c
}

// add starts a node that the cluster did not have.
func (c *testCluster) add(config Config) *Node {
	c.t.Helper()
	if c.tune != nil {
		c.tune(&config)
	}
	c.ids = append(c.ids, config.ID)
	c.configs[config.ID] = config
	n := c.start(config.ID)
	config.HTTPAddr, config.RaftAddr = n.config.HTTPAddr, n.config.RaftAddr
	c.configs[config.ID] = config
	return n
}

func (c *testCluster) start(id string) *Node {
	c.t.Helper()
	n, err := Start(c.configs[id], c.net.host(id), testLogger(c.t))
	if err != nil {
		c.t.Fatalf("start %s: %v", id, err)
	}
	c.nodes[id] = n
	return n
}

// crash stops a node without handing anything over. The library can hang when it is stopped amid a transfer of leadership
// (hashicorp/raft issue 696); a process that is killed does not mind, and the node's connections are closed by then.
func (c *testCluster) crash(id string) {
	if n := c.nodes[id]; n != nil {
		delete(c.nodes, id)
		if err := n.stop(); err != nil {
			c.t.Logf("stop %s: %v", id, err)
		}
	}
}

// wipe stops a node and takes its data. When it is started again, it joins the given nodes.
func (c *testCluster) wipe(id string, join ...string) {
	c.crash(id)
	c.net.mu.Lock()
	delete(c.net.disks, c.configs[id].DataDir)
	c.net.mu.Unlock()
	config := c.configs[id]
	config.Join = nil
	for _, other := range join {
		config.Join = append(config.Join, c.configs[other].HTTPAddr)
	}
	c.configs[id] = config
}

func (c *testCluster) isolate(id string) { c.net.isolate(id, c.ids...) }

// awaitReady waits until the nodes say that they are ready.
func (c *testCluster) awaitReady(ids ...string) {
	c.t.Helper()
	for _, id := range ids {
		await(c.t, id+" is ready", func() bool { return c.call(id, "GET", "/readyz", "").status == 200 })
	}
}

// leader waits until one of the nodes, which are those named or all that are up, leads.
func (c *testCluster) leader(among ...string) string {
	c.t.Helper()
	if len(among) == 0 {
		among = c.ids
	}
	var leader string
	await(c.t, "a leader", func() bool {
		for _, id := range among {
			if n := c.nodes[id]; n != nil && n.raft.State() == raft.Leader && n.gate.opened(n.raft.CurrentTerm()) {
				leader = id
			}
		}
		return leader != ""
	})
	return leader
}

// others returns all ids but the given ones.
func (c *testCluster) others(but ...string) (ids []string) {
	for _, id := range c.ids {
		if !strings.Contains(" "+strings.Join(but, " ")+" ", " "+id+" ") {
			ids = append(ids, id)
		}
	}
	return ids
}

// An answered request.
type answer struct {
	status int
	body   string
	err    error
}

// failure is the error in the answer.
func (a answer) failure() Error {
	var body errorBody
	if json.Unmarshal([]byte(a.body), &body) != nil || body.Error == nil {
		return Error{Code: Code(fmt.Sprintf("status %d: %s %v", a.status, a.body, a.err))}
	}
	return *body.Error
}

// value is the value in the answer to a read.
func (a answer) value() string {
	var it itemAnswer
	if a.status != 200 || json.Unmarshal([]byte(a.body), &it) != nil {
		return string(a.failure().Code)
	}
	return it.Value
}

// call sends a request to a node, which must be up.
func (c *testCluster) call(id, method, target, body string) answer {
	ctx, cancel := context.WithTimeout(context.Background(), testPatience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, "http://"+c.configs[id].HTTPAddr+target, bytes.NewBufferString(body))
	if err != nil {
		return answer{err: err}
	}
	r.Close = true
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return answer{err: err}
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, string(b), err}
}

// must is call for requests that have to succeed, sooner or later, and may be carried out twice.
func (c *testCluster) must(id, method, target, body string) (a answer) {
	c.t.Helper()
	await(c.t, fmt.Sprintf("%s: %s %s", id, method, target), func() bool {
		if a = c.call(id, method, target, body); a.status != 200 {
			c.t.Logf("%s: %s %s: %d %s %v", id, method, target, a.status, a.body, a.err)
		}
		return a.status == 200
	})
	return a
}

// transact is must for a transaction, and returns its results.
func (c *testCluster) transact(id, body string) []stepAnswer {
	c.t.Helper()
	var answer txnAnswer
	if err := json.Unmarshal([]byte(c.must(id, "POST", "/v1/txn", body).body), &answer); err != nil {
		c.t.Error(err)
	}
	return answer.Results
}

// statusOf asks a node for its status.
func (c *testCluster) statusOf(id string) (s Status) {
	c.t.Helper()
	if err := json.Unmarshal([]byte(c.must(id, "GET", "/v1/status", "").body), &s); err != nil {
		c.t.Fatal(err)
	}
	return s
}

// await polls until a condition holds.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(testPatience)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("in vain: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// testLogger writes to the test's log, until the test has ended.
func testLogger(t *testing.T) *slog.Logger {
	w := &testWriter{t: t}
	t.Cleanup(func() { w.mu.Lock(); defer w.mu.Unlock(); w.t = nil })
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelInfo}))
}

type testWriter struct {
	mu sync.Mutex
	t  *testing.T
}

func (w *testWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.t != nil {
		w.t.Log(strings.TrimSpace(string(b)))
	}
	return len(b), nil
}
