package node

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func diskConfig(t *testing.T) Config {
	c := testConfig("n1")
	c.DataDir = t.TempDir()
	return c
}

// startFails starts a node on the real host and returns why it cannot.
func startFails(t *testing.T, c Config) string {
	t.Helper()
	n, err := Start(c, LocalHost(), testLogger(t))
	if err == nil {
		n.stop()
		t.Fatal("it started")
	}
	return err.Error()
}

// onDisk runs f with a node that keeps its data on disk, and stops it.
func onDisk(t *testing.T, config Config, f func(c *testCluster)) {
	t.Helper()
	n, err := Start(config, LocalHost(), testLogger(t))
	if err != nil {
		t.Fatal(err)
	}
	c := &testCluster{t: t, configs: map[string]Config{"n1": n.config}, nodes: map[string]*Node{"n1": n}, ids: []string{"n1"}}
	c.awaitReady("n1")
	f(c)
	if err := n.Shutdown(); err != nil {
		t.Error(err)
	}
}

func TestDataSurvivesOnDisk(t *testing.T) {
	config := diskConfig(t)
	config.TrailingLogs = 2
	onDisk(t, config, func(c *testCluster) {
		for i := range 20 {
			c.must("n1", "PUT", fmt.Sprintf("/v1/kv/k%d", i), "before")
		}
		c.must("n1", "POST", "/v1/snapshot", "")
		c.must("n1", "PUT", "/v1/kv/k0", "after")
		if reason := startFails(t, config); !strings.Contains(reason, "another process uses") {
			t.Errorf("a second node on the directory: %s", reason)
		}
	})
	var hash string
	for range 2 {
		onDisk(t, config, func(c *testCluster) {
			if a, b := c.must("n1", "GET", "/v1/kv/k0", "").value(), c.must("n1", "GET", "/v1/kv/k19", "").value(); a != "after" || b != "before" {
				t.Errorf("read %q and %q", a, b)
			}
			if got := c.statusOf("n1").StateHash; hash != "" && got != hash {
				t.Errorf("the state's hash changed from %s to %s", hash, got)
			} else {
				hash = got
			}
		})
	}
	config.ClusterID = "another"
	if reason := startFails(t, config); !strings.Contains(reason, "belongs to cluster") {
		t.Errorf("with another cluster id: %s", reason)
	}
}

func TestDamageIsReported(t *testing.T) {
	config := diskConfig(t)
	onDisk(t, config, func(c *testCluster) {
		for i := range 50 {
			c.must("n1", "PUT", fmt.Sprintf("/v1/kv/k%d", i), strings.Repeat("x", 2000))
		}
		c.must("n1", "POST", "/v1/snapshot", "")
	})
	whole, err := os.ReadFile(filepath.Join(config.DataDir, "raft.db"))
	if err != nil {
		t.Fatal(err)
	}
	damage := func(name string, spoil func(t *testing.T, dir string)) {
		t.Run(name, func(t *testing.T) {
			broken := config
			broken.DataDir = t.TempDir()
			if err := os.CopyFS(broken.DataDir, os.DirFS(config.DataDir)); err != nil {
				t.Fatal(err)
			}
			spoil(t, broken.DataDir)
			if reason := startFails(t, broken); !strings.Contains(reason, broken.DataDir) && !strings.Contains(reason, "data directory") {
				t.Errorf("it says: %s", reason)
			}
		})
	}
	write := func(b []byte) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, "raft.db"), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	damage("cut to a quarter", write(whole[:len(whole)/4&^4095]))
	damage("cut to a page", write(whole[:4096]))
	damage("no database", write([]byte(strings.Repeat("not a database ", 2000))))
	garbled := append([]byte{}, whole...)
	for i := 3 * 4096; i < len(garbled); i++ {
		garbled[i] ^= 0x5a
	}
	damage("garbled pages", write(garbled))
	damage("a file in the way", func(t *testing.T, dir string) {
		if err := os.RemoveAll(filepath.Join(dir, "snapshots")); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "snapshots"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	})
}

// TestDamagedSnapshotsAreReported has a log that begins behind the snapshot, so that the node needs it.
func TestDamagedSnapshotsAreReported(t *testing.T) {
	config := diskConfig(t)
	config.TrailingLogs = 2
	onDisk(t, config, func(c *testCluster) {
		for i := range 50 {
			c.must("n1", "PUT", fmt.Sprintf("/v1/kv/k%d", i), "there")
		}
		c.must("n1", "POST", "/v1/snapshot", "")
	})
	states, err := filepath.Glob(filepath.Join(config.DataDir, "snapshots", "*", "state.bin"))
	if err != nil || len(states) != 1 {
		t.Fatalf("%v, %v", states, err)
	}
	if err := os.WriteFile(states[0], []byte(snapshotMagic+" and then nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	name := filepath.Base(filepath.Dir(states[0]))
	if reason := startFails(t, config); !strings.Contains(reason, config.DataDir) || !strings.Contains(reason, "snapshot "+name) {
		t.Errorf("it says: %s", reason)
	}
}

func TestOccupiedPortsAreReported(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for flag, occupy := range map[string]func(*Config){
		"haddr": func(c *Config) { c.HTTPAddr = l.Addr().String() },
		"raddr": func(c *Config) { c.RaftAddr = l.Addr().String() },
	} {
		config := diskConfig(t)
		occupy(&config)
		if reason := startFails(t, config); !strings.Contains(reason, flag) || !strings.Contains(reason, "in use") {
			t.Errorf("it says: %s", reason)
		}
	}
}

func TestBadConfigurationsNameTheField(t *testing.T) {
	good := testConfig("n1")
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for field, spoil := range map[string]func(*Config){
		"id":                 func(c *Config) { c.ID = "" },
		"cluster-id":         func(c *Config) { c.ClusterID = "a b" },
		"data directory":     func(c *Config) { c.DataDir = "" },
		"haddr":              func(c *Config) { c.HTTPAddr = ":8000" },
		"raddr":              func(c *Config) { c.RaftAddr = "0.0.0.0:8000" },
		"join":               func(c *Config) { c.Join = []string{"nobody"} },
		"heartbeat-timeout":  func(c *Config) { c.HeartbeatTimeout = time.Millisecond },
		"election-timeout":   func(c *Config) { c.ElectionTimeout = c.HeartbeatTimeout / 2 },
		"lease-timeout":      func(c *Config) { c.LeaseTimeout = 2 * c.HeartbeatTimeout },
		"snapshot-threshold": func(c *Config) { c.SnapshotThreshold = 0 },
		"snapshot-interval":  func(c *Config) { c.SnapshotInterval = 0 },
		"bug":                func(c *Config) { c.Bugs = []string{"stale-reed"} },
	} {
		bad := good
		spoil(&bad)
		if err := bad.Validate(); err == nil || !strings.HasPrefix(err.Error(), field+": ") && !strings.Contains(err.Error(), "\n"+field+": ") {
			t.Errorf("%s: %v", field, err)
		}
	}
}
