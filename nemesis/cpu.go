package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"rift/harness/history"
	"rift/nemesis/cgroup"
)

var cpuKind = Kind{
	Name:    "cpu",
	Doc:     "Leaves nodes a small share of one CPU, as a noisy neighbour or a mean quota does.",
	Targets: NodeTargets,
	How:     "a quota of the bandwidth controller on the node's control group",
	Needs:   "control groups that can be written, with the cpu controller",
	Proof:   "a process of Rift's that burns inside the group is stopped by the kernel period after period; after the heal it is not",
	Draw: func(r *rand.Rand, allowed []string) history.PlannedFault {
		p := drawAimed(r, allowed)
		p.Args = map[string]string{argShare: fmt.Sprint(math.Round(math.Pow(cpuShares.most/cpuShares.least, r.Float64())*cpuShares.least*100) / 100)}
		return p
	},
	New: func(p history.PlannedFault) (Fault, error) {
		if err := checkPlanned(p, NodeTargets, []string{argShare}); err != nil {
			return nil, err
		}
		share, err := cpuShares.parse(p, argShare)
		if err != nil {
			return nil, err
		}
		did := fmt.Sprintf("left %v of a CPU to", share)
		return newLimit(p, did, func() restraint { return &cpuLimit{share: share} }), nil
	},
	Able: func(c Cluster) error { return ableInGroups(c, cgroup.CPU, cgroup.Accounting) },
}

// cpuShares are the shares of one CPU that a node may be left. The smallest is the smallest quota that the kernel takes, 1 ms, in cpuPeriod.
var cpuShares = shares{0.02, 0.5}

const (
	// cpuPeriod is short, so that a node is stopped often rather than for long, and a proof takes little time.
	cpuPeriod = 50 * time.Millisecond
	// cpuStops is how many periods the kernel must have stopped the group in: once may be left from before.
	cpuStops = 3
	// cpuFree is how much of a CPU's time the group must have used after the heal without being stopped: more than any share lets it
	// use in one period.
	cpuFree = 30 * time.Millisecond
)

// cpuLimit is the limit on one node.
type cpuLimit struct {
	share float64
	group *cgroup.Group // nil before it was lowered
	old   cgroup.CPULimit
}

func (l *cpuLimit) lower(ctx context.Context, h Host) (proof, error) {
	start := time.Now()
	g, err := groupOf(h)
	if err != nil {
		return proof{}, err
	}
	if l.group == nil {
		if l.old, err = g.CPULimit(); err != nil {
			return proof{}, err
		}
	}
	l.group = &g
	quota := time.Duration(l.share * float64(cpuPeriod))
	if err := g.SetCPULimit(cgroup.CPULimit{Quota: quota, Period: cpuPeriod}); err != nil {
		return proof{}, err
	}
	applied := time.Since(start)
	b, err := burnIn(ctx, g, func(b burnt) bool { return b.stops >= cpuStops })
	if err != nil {
		return proof{}, err
	}
	return proof{
		proven: b.stops >= cpuStops, applied: applied,
		saw:      fmt.Sprintf("stopped in %d periods, and used %.1f%% of a CPU in %.0f ms", b.stops, 100*b.share(), milliseconds(b.took)),
		measures: map[string]float64{"stops": float64(b.stops), "cpu_percent": math.Round(1000*b.share()) / 10},
	}, nil
}

func (l *cpuLimit) raise(ctx context.Context, _ Cluster) (proof, error) {
	if l.group == nil || !l.group.Exists() {
		return proof{proven: true, saw: "it has no such limit"}, nil
	}
	start := time.Now()
	if err := l.group.SetCPULimit(l.old); err != nil {
		return gone(*l.group, err)
	}
	applied := time.Since(start)
	now, err := l.group.CPULimit()
	if err != nil {
		return gone(*l.group, err)
	}
	if l.old.Quota >= 0 { // it may be stopped by the limit that it always had
		return proof{proven: now == l.old, applied: applied, saw: "it has its old limit, " + now.String()}, nil
	}
	b, err := burnIn(ctx, *l.group, func(b burnt) bool { return b.used >= cpuFree })
	if err != nil {
		return gone(*l.group, err)
	}
	return proof{
		proven: now == l.old && b.used >= cpuFree && b.stops == 0, applied: applied,
		saw:      fmt.Sprintf("used %.1f ms of CPU in %.1f ms, and was stopped in %d periods", milliseconds(b.used), milliseconds(b.took), b.stops),
		measures: map[string]float64{"stops": float64(b.stops), "cpu_percent": math.Round(1000*b.share()) / 10},
	}, nil
}

// gone is the proof for a group that has gone meanwhile, with its limits; for any other it passes the error on.
func gone(g cgroup.Group, err error) (proof, error) {
	if g.Exists() {
		return proof{}, err
	}
	return proof{proven: true, saw: "its control group has gone"}, nil
}

// burnt is what became of a control group while a probe burned in it.
type burnt struct {
	stops      int64 // periods in which the kernel stopped it
	used, took time.Duration
}

// share is how much of one CPU the group used.
func (b burnt) share() float64 { return float64(b.used) / float64(max(b.took, 1)) }

// burnIn has a probe use all the CPU time that it can get inside a group, until enough was seen, at most for proofTime.
func burnIn(ctx context.Context, g cgroup.Group, enough func(burnt) bool) (b burnt, err error) {
	ctx, cancel := context.WithTimeout(ctx, proofTime)
	defer cancel()
	stops, err := g.Throttled()
	if err != nil {
		return b, err
	}
	used, err := g.CPUTime()
	if err != nil {
		return b, err
	}
	start := time.Now()
	p := groupProbe{g, []cgroup.Controller{cgroup.CPU, cgroup.Accounting}, "while :; do :; done"}
	_, ran := p.run(ctx, func() bool {
		now, readStops := g.Throttled()
		nowUsed, readUsed := g.CPUTime()
		if readStops != nil || readUsed != nil {
			err = fmt.Errorf("watch control group %s: %w", g.Path, errors.Join(readStops, readUsed))
			return true
		}
		b = burnt{now - stops, nowUsed - used, time.Since(start)}
		return enough(b)
	})
	return b, errors.Join(err, ran)
}
