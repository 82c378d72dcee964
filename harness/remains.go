package harness

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"rift/harness/machine"
)

// remainsTime bounds how long it may take to look at the machine.
const remainsTime = 10 * time.Second

// notHealed is ErrNotHealed with what could not be healed, and the state in which that leaves the machine.
func (r *run) notHealed(ctx context.Context, err error) error {
	return fmt.Errorf("%w: %w; %s", ErrNotHealed, err, r.remains(ctx))
}

// remains describes what faults of this run have left on the machine, and how each piece of it can be removed: the state in which a fault that does not
// heal leaves it.
func (r *run) remains(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), remainsTime)
	defer cancel()
	all, err := machine.Look(ctx)
	left := slices.DeleteFunc(all, func(t machine.Thing) bool { return !t.OfFault() || !r.owns(t) })
	var b strings.Builder
	fmt.Fprintf(&b, "taken nodes: %v; on this machine, with how to remove it:", r.cluster.Board().Taken())
	for _, t := range left {
		fmt.Fprintf(&b, "\n  %s: %s", t, t.Remedy)
	}
	if len(left) == 0 {
		b.WriteString(" nothing that carries this run's tag")
	}
	if err != nil {
		fmt.Fprintf(&b, "\n  not all could be looked at: %v", err)
	}
	return b.String()
}

// owns says whether a thing carries the run's tag, or is the first process of a node.
func (r *run) owns(t machine.Thing) bool {
	if len(machine.Of([]machine.Thing{t}, r.Tag)) > 0 {
		return true
	}
	return slices.ContainsFunc(r.cluster.Nodes(), func(node string) bool {
		h, up := r.cluster.Host(node)
		return up && t.Kind == machine.Stopped && t.Name == strconv.Itoa(h.PID)
	})
}
