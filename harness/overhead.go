package harness

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"rift/harness/gen"
	"rift/harness/history"
	"rift/nemesis"
)

// Overhead is how much of one processor this program used itself, clients included, while it put a steady load on a healthy cluster.
type Overhead struct {
	Plain float64 // without faults
	Armed float64 // with faults in that met no packet of the system
}

// MeasureOverhead brings a cluster up and puts the same load on it twice, without and with faults. Which faults disturb nobody depends on who leads.
func MeasureOverhead(ctx context.Context, s Spec, load Load, rate float64, idle func(leader string, nodes []string) []history.PlannedFault) (o Overhead, err error) {
	return o, Scratch(ctx, s, func(c *Cluster) (err error) {
		leader, err := c.Leader(ctx)
		if err != nil {
			return err
		}
		if o.Plain, err = processorShare(ctx, c, load, rate); err != nil {
			return err
		}
		heal, err := putIn(ctx, c, idle(leader, c.Nodes()))
		defer func() { err = errors.Join(err, heal()) }()
		if err != nil {
			return err
		}
		o.Armed, err = processorShare(ctx, c, load, rate)
		return err
	})
}

// processorShare puts a load on a cluster, and returns how much of one processor this program used meanwhile.
func processorShare(ctx context.Context, c *Cluster, l Load, rate float64) (float64, error) {
	began, before := time.Now(), processorTime()
	d, _ := benchDriver(c)
	d.drive(ctx, gen.Until(l.Time, gen.Stagger(1, rate, benchOps(l.F))), l.Clients)
	if ctx.Err() != nil {
		return 0, ErrInterrupted
	}
	if d.counts.OK.Load() == 0 {
		return 0, errors.New("no operation succeeded, so that nothing was measured")
	}
	return float64(processorTime()-before) / float64(time.Since(began)), nil
}

// processorTime is how long this program has run on processors, its system calls included.
func processorTime() time.Duration {
	var used unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &used) != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// putIn puts faults in, and returns what heals those that were, also with an error.
func putIn(ctx context.Context, c *Cluster, faults []history.PlannedFault) (heal func() error, err error) {
	var in []nemesis.Fault
	heal = func() error {
		var errs []error
		for _, f := range slices.Backward(in) {
			_, err := f.Heal(context.WithoutCancel(ctx), c)
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	}
	for _, p := range faults {
		kind, err := nemesis.Find(p.Kind)
		if err != nil {
			return heal, err
		}
		f, err := kind.New(p)
		if err != nil {
			return heal, err
		}
		in = append(in, f)
		e, err := f.Inject(ctx, c, rand.New(rand.NewPCG(uint64(p.Seed), uint64(p.ID))))
		if err == nil && e.Skipped {
			err = errors.New(e.Summary)
		}
		if err != nil {
			return heal, fmt.Errorf("put %s in: %w", p, err)
		}
	}
	return heal, nil
}
