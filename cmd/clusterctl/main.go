// Command clusterctl starts, shows, uses and stops a cluster of reference nodes on this machine, as one
// YAML file describes it. docs/clusterctl.md is the manual.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the program at once. The nodes have sessions of their own and go on.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
