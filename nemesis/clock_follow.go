package nemesis

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"rift/harness/history"
	"rift/nemesis/vdso"
)

// announceLead is how long before its time a segment is given to the processes, so that all of them turn at the same instant.
const announceLead = 20 * time.Millisecond

// announce waits until shortly before a segment begins, from which instant on put gives it to processes. The first is in at once.
func (f *clock) announce(ctx context.Context, segment int) error {
	if segment > 0 && !f.waitFor(ctx, segment) {
		return fmt.Errorf("wait for the clocks to be skewed: %w", ctx.Err())
	}
	f.announced.Store(int32(segment))
	return nil
}

// waitFor waits until a segment has to be announced; false if the context ended first.
func (f *clock) waitFor(ctx context.Context, segment int) bool {
	left, err := f.until(segment)
	return err == nil && wait(ctx, left-announceLead)
}

// until is how far ahead a segment's beginning is. All nodes have theirs at the same instants.
func (f *clock) until(segment int) (time.Duration, error) {
	now, err := vdso.Now()
	for _, course := range f.hit {
		return f.began + course[segment].from - now, err
	}
	return 0, err
}

// nodes are those that were hit, sorted.
func (f *clock) nodes() []string { return slices.Sorted(maps.Keys(f.hit)) }

// segments is the number of segments.
func (f *clock) segments() int {
	for _, course := range f.hit {
		return len(course)
	}
	return 0
}

// followSchedule puts the segments in that follow, each at its time, and has told what was measured of each before the next.
func (f *clock) followSchedule(ctx context.Context, c Cluster, from int) {
	for i := from; i < f.segments(); i++ {
		if f.announce(ctx, i) != nil {
			return
		}
		nodes := f.nodes()
		began := time.Now()
		measuring, cancel := f.untilNext(ctx, i)
		e, err := measure(measuring, nodes, fmt.Sprintf("turned the clocks of %s as planned", joined(nodes)), func(ctx context.Context, node string) (proof, error) {
			return f.apply(ctx, c, node)
		})
		cancel()
		if ctx.Err() != nil {
			return // it is being healed
		}
		f.told(history.StepChange, time.Since(began), e, err)
	}
}

// untilNext ends a context when the segment after the given one has to be announced, if there is one.
func (f *clock) untilNext(ctx context.Context, segment int) (context.Context, context.CancelFunc) {
	if segment+1 >= f.segments() {
		return context.WithCancel(ctx)
	}
	left, err := f.until(segment + 1)
	if err != nil {
		left = 0
	}
	return context.WithTimeout(ctx, left-announceLead)
}

// told tells of something that the fault did by itself.
func (f *clock) told(step string, took time.Duration, e history.Evidence, err error) {
	if f.tell != nil {
		f.tell(step, took, e, err)
	}
}

// put gives a process the segment that is in force, and those that were announced since. It asks anew after each, so that
// none is missed that is announced meanwhile, whoever comes last.
func (f *clock) put(p *vdso.Process, node string) error {
	now, err := vdso.Now()
	if err != nil {
		return err
	}
	course := f.hit[node]
	for i := course.at(now - f.began); ; i++ {
		if err := p.SetAt(course[i].skew, f.began+course[i].from); err != nil {
			return err
		}
		if i >= int(f.announced.Load()) {
			return nil
		}
	}
}

// prove measures the segment that is in force, and the next if it ends meanwhile.
func (f *clock) prove(ctx context.Context, p *vdso.Process, node string) (proof, error) {
	for {
		i := int(f.announced.Load())
		measuring, cancel := f.untilNext(ctx, i)
		made, err := f.hit[node][i].prove(measuring, p, f.began)
		cancel()
		if err != nil || made.proven || ctx.Err() != nil || !f.moved(ctx, i) {
			return made, err
		}
	}
}

// moved waits for the segment after the given one to be announced, and says whether there is one. It is about to be.
func (f *clock) moved(ctx context.Context, segment int) bool {
	if segment+1 >= f.segments() {
		return false
	}
	for int(f.announced.Load()) == segment {
		if !wait(ctx, time.Millisecond) {
			return false
		}
	}
	return true
}
