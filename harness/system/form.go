package system

import (
	"context"
	"fmt"
	"time"
)

// form waits until nothing is missing any more, or the context ends; missing says in a few words what it is.
func form(ctx context.Context, missing func(ctx context.Context) string) error {
	const between = 100 * time.Millisecond
	for {
		what := missing(ctx)
		if what == "" {
			return nil
		}
		select {
		case <-time.After(between):
		case <-ctx.Done():
			return fmt.Errorf("wait for the nodes to form a cluster: %s: %w", what, ctx.Err())
		}
	}
}
