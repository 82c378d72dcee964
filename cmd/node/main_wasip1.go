package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/hashicorp/raft"

	"rift/harness/sim/guest"
	"rift/node"
)

// main runs a node in the simulated world.
func main() {
	host := node.Host{Listen: guest.Listen, Dial: guest.Dial, OpenStorage: openStorage}
	ctx, err := guest.Terminated(context.Background())
	if err != nil {
		fmt.Fprintf(os.Stderr, "node: %v\n", err)
		os.Exit(1)
	}
	os.Exit(run(ctx, host, os.Args[1:], os.Stdout, os.Stderr))
}

// openStorage keeps the log in a file of our own: bbolt, which a real node uses, maps its file into memory.
func openStorage(dir string, _ *slog.Logger) (*node.Storage, error) {
	log, err := guest.OpenLog(dir)
	if err != nil {
		return nil, err
	}
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(dir, 2, nil)
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	return &node.Storage{Logs: log, Stable: log, Snapshots: snapshots, Close: log.Close}, nil
}
