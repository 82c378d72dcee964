package node

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/raft"
)

// A Config says who a node is and how it behaves. DefaultConfig fills in all but the first four fields.
type Config struct {
	ID       string // unique in the cluster, 1 to 64 characters of [A-Za-z0-9._-]
	HTTPAddr string // IP:port for clients and other nodes; it must be concrete, for others are told it
	RaftAddr string // IP:port for raft; likewise
	DataDir  string // where the node keeps its log, vote and snapshots; created if it is missing

	Join      []string // HTTP addresses of members; empty: a node without data founds a cluster of its own
	Learner   bool     // join without asking for a vote; Join must not be empty
	InMemory  bool     // keep nothing on disk
	ClusterID string   // "": learnt from the cluster; a founder draws one at random

	// HeartbeatTimeout is how long a follower waits for a sign of its leader before it stands for election;
	// it draws each wait from [HeartbeatTimeout, 2·HeartbeatTimeout). Leaders send ten heartbeats in that time.
	HeartbeatTimeout time.Duration
	ElectionTimeout  time.Duration // how long a candidate waits for votes; at least HeartbeatTimeout
	// CommitTimeout is how long after a write followers hear that it is committed, if no other message tells them; 0: a fiftieth of HeartbeatTimeout,
	// at least 1ms. It is also how often an idle leader writes to each.
	CommitTimeout time.Duration
	LeaseTimeout  time.Duration // a leader steps down that long after it lost touch with a quorum; at most HeartbeatTimeout

	SnapshotThreshold uint64        // log entries since the last snapshot that call for a new one
	SnapshotInterval  time.Duration // how often that is looked at (randomly up to twice as long)
	TrailingLogs      uint64        // log entries that stay after a snapshot, for followers that lag

	Bugs    []string // names of bugs on purpose, see Bugs
	Version string   // shown by /v1/status

	wallClock func() time.Time // for tests of the bug split-clock-lease; nil: time.Now
}

// DefaultConfig returns the defaults. Its timeouts suit five nodes that share two busy cores: leaders
// do not change without a reason, and after a failure a new one is elected within one to two seconds.
func DefaultConfig() Config {
	return Config{
		HeartbeatTimeout:  500 * time.Millisecond,
		ElectionTimeout:   500 * time.Millisecond,
		LeaseTimeout:      500 * time.Millisecond,
		SnapshotThreshold: 8192,
		SnapshotInterval:  30 * time.Second,
		TrailingLogs:      10240,
		Version:           "devel",
	}
}

// Validate reports every field that is out of range.
func (c *Config) Validate() error {
	var problems []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	check(validID(c.ID), "id: %q is not 1 to 64 characters of [A-Za-z0-9._-]", c.ID)
	check(c.ClusterID == "" || validID(c.ClusterID), "cluster-id: %q is not 1 to 64 characters of [A-Za-z0-9._-]", c.ClusterID)
	check(c.InMemory || c.DataDir != "", "data directory: missing")
	for _, a := range []struct{ flag, address string }{{"haddr", c.HTTPAddr}, {"raddr", c.RaftAddr}} {
		if err := validAddress(a.address); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", a.flag, err))
		}
	}
	for _, a := range c.Join {
		check(a != "" && strings.Contains(a, ":"), "join: %q is not an address of the form host:port", a)
	}
	check(!c.Learner || len(c.Join) > 0, "learner: without an address to join, a node founds a cluster, in which it must vote; give -join")
	const least = 20 * time.Millisecond
	check(c.HeartbeatTimeout >= least, "heartbeat-timeout: %s is less than %s", c.HeartbeatTimeout, least)
	check(c.ElectionTimeout >= c.HeartbeatTimeout, "election-timeout: %s is less than heartbeat-timeout (%s)", c.ElectionTimeout, c.HeartbeatTimeout)
	check(c.LeaseTimeout >= least && c.LeaseTimeout <= c.HeartbeatTimeout, "lease-timeout: %s is not between %s and heartbeat-timeout (%s)", c.LeaseTimeout, least, c.HeartbeatTimeout)
	check(c.CommitTimeout == 0 || c.CommitTimeout >= time.Millisecond && c.CommitTimeout <= c.HeartbeatTimeout, "commit-timeout: %s is neither 0 nor between 1ms and heartbeat-timeout (%s)", c.CommitTimeout, c.HeartbeatTimeout)
	check(c.SnapshotThreshold >= 1, "snapshot-threshold: %d is less than 1", c.SnapshotThreshold)
	check(c.SnapshotInterval >= least, "snapshot-interval: %s is less than %s", c.SnapshotInterval, least)
	for _, name := range c.Bugs {
		check(slices.ContainsFunc(Bugs(), func(b Bug) bool { return b.Name == name }), "bug: there is no %q; there are %s", name, strings.Join(bugNames(), ", "))
	}
	return errors.Join(problems...)
}

func validID(s string) bool {
	const allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
	return len(s) >= 1 && len(s) <= 64 && strings.Trim(s, allowed) == ""
}

// validAddress wants an address that other machines can be told. Port 0 is for tests: the node then
// goes by the port that it got.
func validAddress(s string) error {
	a, err := netip.ParseAddrPort(s)
	if err != nil {
		return fmt.Errorf("%q is not an address of the form IP:port", s)
	}
	if a.Addr().IsUnspecified() {
		return fmt.Errorf("%q names no interface; other nodes are told this address, so it must be a concrete one", s)
	}
	return nil
}

// raftConfig is the library's view of the configuration.
func (c *Config) raftConfig(logger raftLogger, notify chan<- bool) *raft.Config {
	r := raft.DefaultConfig()
	r.LocalID = raft.ServerID(c.ID)
	r.HeartbeatTimeout = c.HeartbeatTimeout
	r.ElectionTimeout = c.ElectionTimeout
	r.LeaderLeaseTimeout = c.LeaseTimeout
	r.CommitTimeout = cmp.Or(c.CommitTimeout, max(c.HeartbeatTimeout/50, time.Millisecond))
	r.MaxAppendEntries = 512
	r.SnapshotThreshold = c.SnapshotThreshold
	r.SnapshotInterval = c.SnapshotInterval
	r.TrailingLogs = c.TrailingLogs
	r.ShutdownOnRemove = false
	r.NoLegacyTelemetry = true
	r.Logger = logger
	r.NotifyCh = notify
	return r
}
