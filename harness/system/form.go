package system

import (
	"context"
	"fmt"
	"time"

	"rift/harness"
	"rift/harness/history"
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

// led is a system whose nodes follow a leader.
type led interface {
	View(ctx context.Context, n harness.Node) (history.View, error)
	// serves says why a node does not answer a linearizable read; nil if it does.
	serves(ctx context.Context, n harness.Node) error
}

// disunity says what keeps the nodes from being one cluster that serves: not all know the same leader, not all have a vote, or one does not
// answer linearizable reads. It is empty if nothing does.
func disunity(ctx context.Context, s led, all []harness.Node) string {
	leader := ""
	for _, n := range all {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		v, err := s.View(ctx, n)
		switch {
		case err != nil:
			return fmt.Sprintf("%s does not answer: %v", n.Name, err)
		case v.Leader == "":
			return n.Name + " knows no leader"
		case leader != "" && v.Leader != leader:
			return fmt.Sprintf("%s follows %s, others follow %s", n.Name, v.Leader, leader)
		case len(v.Voters) < len(all): // more if some stay down for good
			return fmt.Sprintf("%s knows %d voters of %d", n.Name, len(v.Voters), len(all))
		}
		leader = v.Leader
		if err := s.serves(ctx, n); err != nil {
			return fmt.Sprintf("%s does not serve: %v", n.Name, err)
		}
	}
	return ""
}
