package nemesis

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// background is what a fault goes on doing between Inject and Heal. The fault owns it: whoever begins it ends it.
type background struct {
	stop  chan struct{} // closed when it shall end
	ended chan error    // what it ended with
}

// inBackground begins something that ends soon after stop is closed. Its context does not end with the one given: what it has in hand when
// the main phase ends is brought to its end.
func inBackground(ctx context.Context, do func(ctx context.Context, stop <-chan struct{}) error) *background {
	b := &background{stop: make(chan struct{}), ended: make(chan error, 1)}
	go func() { b.ended <- do(context.WithoutCancel(ctx), b.stop) }()
	return b
}

// end asks it to end and waits until it has, or the context ends. It returns what went wrong, and may then not be called again; if it has not
// ended, it may.
func (b *background) end(ctx context.Context) error {
	if !stopped(b.stop) {
		close(b.stop)
	}
	select {
	case err := <-b.ended:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", errStillGoing, ctx.Err())
	}
}

// errStillGoing is the error of a background that has not ended in time.
var errStillGoing = errors.New("what the fault does to the nodes has not come to its end")

// stopped says whether a background shall end.
func stopped(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}

// rest lets a time pass; false if stop was closed before it had.
func rest(stop <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-stop:
		return false
	}
}
