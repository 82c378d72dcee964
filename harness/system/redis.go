package system

import (
	"context"
	"fmt"
	"strings"
	"time"

	"rift/harness"
	"rift/harness/history"
)

// redisPort is where a redis node serves.
const redisPort = 6379

// Redis is one redis server as its package has it, with its append-only file on.
type Redis struct {
	Bin string // redis-server; empty: the one that `make systems` unpacked, or the one that is installed
}

// Name is "redis".
func (Redis) Name() string { return "redis" }

// Doc is a line for `rift list`.
func (Redis) Doc() string { return "redis, unmodified: one node with an append-only file" }

// Functions are what the client can do.
func (Redis) Functions() []string {
	return []string{"read", "write", "cas", "add", "list", "txn", "increment", "generate", "enqueue", "dequeue", "drain"}
}

// Bugs are none.
func (Redis) Bugs() []harness.Bug { return nil }

// Options are what redis can be told.
func (Redis) Options() []history.Option {
	return []history.Option{{
		Name: "appendfsync", Usual: "everysec", Allowed: []string{"everysec", "always", "no"},
		Doc: "when acknowledged writes are made durable; redis's own usual loses up to about a second of them when the power fails",
	}}
}

// MostNodes is one: replicas of redis acknowledge nothing, so that nothing is promised of what they hold.
func (Redis) MostNodes() (most int, why string) {
	return 1, "redis is tested as one server; its replication promises nothing"
}

// PeerPort is the port on which it serves; it has no peers.
func (Redis) PeerPort() uint16 { return redisPort }

// Launch starts the server with its append-only file in the data directory, and without the snapshots that it would take as well.
func (s Redis) Launch(n harness.Node, _ []harness.Node, t history.Test) (harness.Launch, error) {
	program, root, err := packaged(s.Name(), "redis-server", s.Bin)
	if err != nil {
		return harness.Launch{}, err
	}
	return harness.Launch{Program: program, Root: root, Args: []string{
		"--bind", n.IP.String(), "--port", fmt.Sprint(redisPort), "--protected-mode", "no", "--dir", n.Data,
		"--appendonly", "yes", "--appendfsync", optionOf(s, t, "appendfsync"), "--save", "",
	}}, nil
}

// Form waits until the server answers, which it does not while it reads its file.
func (s Redis) Form(ctx context.Context, all []harness.Node) error {
	return form(ctx, func(ctx context.Context) string {
		for _, n := range all {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			if _, err := s.View(ctx, n); err != nil {
				return fmt.Sprintf("%s does not serve: %v", n.Name, err)
			}
		}
		return ""
	})
}

// View asks whether the server serves: it is its own leader then.
func (s Redis) View(ctx context.Context, n harness.Node) (history.View, error) {
	c := newRedisClient(n)
	defer c.Close()
	if _, err := c.call(ctx, "PING"); err != nil {
		return history.View{}, err
	}
	return history.View{Node: n.Name, State: harness.StateLeader, Leader: n.Name, Voters: []string{n.Name}}, nil
}

// Describe tells redis's version.
func (s Redis) Describe(ctx context.Context, n harness.Node) (map[string]string, error) {
	c := newRedisClient(n)
	defer c.Close()
	about, err := textOf(c.call(ctx, "INFO", "server"))
	if err != nil {
		return nil, fmt.Errorf("version of %s: %w", n.Name, err)
	}
	for line := range strings.Lines(about) {
		if version, ok := strings.CutPrefix(strings.TrimSpace(line), "redis_version:"); ok {
			return map[string]string{s.Name(): version}, nil
		}
	}
	return nil, fmt.Errorf("version of %s: it does not tell", n.Name)
}
