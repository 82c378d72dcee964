//go:build !wasip1

// Command node runs one reference node of Rift: a member of a replicated key-value store.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"rift/node"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, node.LocalHost(), os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
