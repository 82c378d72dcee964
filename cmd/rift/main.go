// Command rift tests whether a distributed store keeps its promises while things break.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	signal.Ignore(syscall.SIGPIPE) // a closed pipe must not keep faults from being healed
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, func() {
		stop() // a second signal ends the program at once; the next start sweeps
		if len(os.Args) > 1 && os.Args[1] == enclosedName {
			return // the rift that started this one says it
		}
		fmt.Fprintln(os.Stderr, "rift: stopping: faults are healed, what was recorded is judged; again to end at once")
	})
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
