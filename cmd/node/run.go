package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"strings"

	"rift/node"
)

const usage = `node runs one member of a replicated key-value store.

Usage:
  node -id ID -haddr IP:PORT -raddr IP:PORT [flags] DATA_DIR

A node with an empty data directory founds a cluster of its own, or, with -join, becomes a member of an
existing one. A node with data goes on where it was, with or without -join.

Flags:
  -id ID                  the node's name, unique in the cluster
  -haddr IP:PORT          where it serves HTTP; others are told this address, so it must be a concrete one
  -raddr IP:PORT          where it speaks raft with the other nodes; likewise
  -join ADDR[,ADDR...]    HTTP addresses of members of the cluster to join
  -learner                join without asking for a vote; POST /v1/members/ID/promote gives it one
  -inmem                  keep everything in memory: nothing survives the process
  -cluster-id ID          refuse to be in any other cluster (default: learnt when joining, drawn when founding)
  -heartbeat-timeout D    a follower stands for election when it has heard nothing for this long (default %[1]s)
  -election-timeout D     a candidate waits this long for votes (default %[2]s)
  -lease-timeout D        a leader without a quorum steps down after this long (default %[3]s)
  -commit-timeout D       followers hear this much later of a commit if no message tells them before (default a fiftieth
                          of heartbeat-timeout)
  -snapshot-threshold N   log entries after which a snapshot is due (default %[4]d)
  -snapshot-interval D    how often to look whether one is due (default %[5]s)
  -trailing-logs N        log entries to keep after a snapshot, for followers that lag (default %[6]d)
  -log-format FORMAT      text or json (default text)
  -log-level LEVEL        debug, info, warn or error (default info)
  -bug NAME[,NAME...]     break a promise on purpose:
%[7]s  -version               print the version and exit

Examples:
  node -id n1 -haddr 127.0.0.1:8001 -raddr 127.0.0.1:9001 data/n1
  node -id n2 -haddr 127.0.0.1:8002 -raddr 127.0.0.1:9002 -join 127.0.0.1:8001 data/n2
  curl -X PUT  127.0.0.1:8002/v1/kv/city -d Paris
  curl         127.0.0.1:8001/v1/kv/city
`

// A command line is what the arguments say.
type commandLine struct {
	config  node.Config
	format  string
	level   slog.Level
	version bool
}

// errHelp says that the arguments ask for help.
var errHelp = flag.ErrHelp

// parse reads the arguments.
func parse(args []string) (commandLine, error) {
	c := commandLine{config: node.DefaultConfig()}
	c.config.Version = version()
	f := flag.NewFlagSet("node", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&c.config.ID, "id", "", "")
	f.StringVar(&c.config.HTTPAddr, "haddr", "", "")
	f.StringVar(&c.config.RaftAddr, "raddr", "", "")
	f.BoolVar(&c.config.Learner, "learner", false, "")
	f.BoolVar(&c.config.InMemory, "inmem", false, "")
	f.StringVar(&c.config.ClusterID, "cluster-id", "", "")
	f.DurationVar(&c.config.HeartbeatTimeout, "heartbeat-timeout", c.config.HeartbeatTimeout, "")
	f.DurationVar(&c.config.ElectionTimeout, "election-timeout", c.config.ElectionTimeout, "")
	f.DurationVar(&c.config.LeaseTimeout, "lease-timeout", c.config.LeaseTimeout, "")
	f.DurationVar(&c.config.CommitTimeout, "commit-timeout", c.config.CommitTimeout, "")
	f.Uint64Var(&c.config.SnapshotThreshold, "snapshot-threshold", c.config.SnapshotThreshold, "")
	f.DurationVar(&c.config.SnapshotInterval, "snapshot-interval", c.config.SnapshotInterval, "")
	f.Uint64Var(&c.config.TrailingLogs, "trailing-logs", c.config.TrailingLogs, "")
	f.StringVar(&c.format, "log-format", "text", "")
	f.TextVar(&c.level, "log-level", slog.LevelInfo, "")
	f.BoolVar(&c.version, "version", false, "")
	f.Func("join", "", list(&c.config.Join))
	f.Func("bug", "", list(&c.config.Bugs))
	if err := f.Parse(args); err != nil {
		return c, err
	}
	if c.version {
		return c, nil
	}
	if c.format != "text" && c.format != "json" {
		return c, fmt.Errorf("log-format: %q is neither text nor json", c.format)
	}
	switch {
	case f.NArg() > 1:
		return c, fmt.Errorf("one data directory is expected, not %d: %s (flags stand before it)", f.NArg(), strings.Join(f.Args(), " "))
	case f.NArg() == 1:
		c.config.DataDir = f.Arg(0)
	}
	return c, c.config.Validate()
}

// list appends the parts of a comma-separated flag.
func list(to *[]string) func(string) error {
	return func(s string) error {
		for _, part := range strings.Split(s, ",") {
			*to = append(*to, strings.TrimSpace(part))
		}
		return nil
	}
}

// run runs a node on a host until ctx ends or the node cannot go on. It returns the exit code: 0, or 1
// after an error, which it has printed.
func run(ctx context.Context, host node.Host, args []string, stdout, stderr io.Writer) int {
	c, err := parse(args)
	switch {
	case errors.Is(err, errHelp):
		fmt.Fprint(stdout, help())
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "node: %s\nRun 'node -help' for the flags.\n", strings.ReplaceAll(err.Error(), "\n", "\nnode: "))
		return 1
	case c.version:
		fmt.Fprintln(stdout, "node", c.config.Version)
		return 0
	}
	options := &slog.HandlerOptions{Level: c.level}
	logger := slog.New(slog.NewTextHandler(stderr, options))
	if c.format == "json" {
		logger = slog.New(slog.NewJSONHandler(stderr, options))
	}
	n, err := node.Start(c.config, host, logger)
	if err != nil {
		fmt.Fprintf(stderr, "node: %v\n", err)
		return 1
	}
	code := 0
	select {
	case <-ctx.Done():
	case err := <-n.Failed():
		fmt.Fprintf(stderr, "node: %v\n", err)
		code = 1
	}
	if err := n.Shutdown(); err != nil {
		logger.Warn("did not stop cleanly", "error", err)
	}
	return code
}

func help() string {
	var bugs strings.Builder
	for _, b := range node.Bugs() {
		fmt.Fprintf(&bugs, "                            %-18s %s\n", b.Name, b.Description)
	}
	d := node.DefaultConfig()
	return fmt.Sprintf(usage, d.HeartbeatTimeout, d.ElectionTimeout, d.LeaseTimeout, d.SnapshotThreshold, d.SnapshotInterval, d.TrailingLogs, bugs.String())
}

// version is the module's version and the commit that the binary was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 && !strings.Contains(v, s.Value[:12]) {
			v += " " + s.Value[:12]
		}
	}
	return v
}
