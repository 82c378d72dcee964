package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/sys/unix"

	"rift/harness/history"
	"rift/nemesis/cgroup"
)

// argHeadroom is how much more memory than it holds now a node may take, in MiB.
const argHeadroom = "headroom"

var memoryKind = Kind{
	Name: "memory",
	Doc: "Leaves nodes little more memory than they hold, and none for cached files: they slow down, and without swap " +
		"the kernel kills one that needs more.",
	Targets: NodeTargets,
	How:     "a limit on the node's control group; the heal starts nodes again that were killed for want of memory",
	Needs:   "control groups that can be written, with the memory controller",
	Proof:   "a process of Rift's that takes the headroom, and more, inside the group meets the limit; after the heal it gets what it asks for",
	Draw: func(r *rand.Rand, allowed []string) history.PlannedFault {
		p := drawAimed(r, allowed)
		p.Args = map[string]string{argHeadroom: fmt.Sprint(1 << (1 + r.IntN(6)))}
		return p
	},
	New: func(p history.PlannedFault) (Fault, error) {
		if err := checkPlanned(p, NodeTargets, []string{argHeadroom}); err != nil {
			return nil, err
		}
		mebibytes, err := headrooms.parse(p, argHeadroom)
		if err != nil {
			return nil, err
		}
		did := fmt.Sprintf("left %v MiB of memory to", mebibytes)
		return newLimit(p, did, func() restraint { return &memoryLimit{headroom: int64(mebibytes * mebibyte)} }), nil
	},
	Able: func(c Cluster) error { return ableInGroups(c, cgroup.Memory) },
}

const mebibyte = 1 << 20

// headrooms are the headrooms allowed, in MiB. The probe asks for as much at the heal, so that more would be felt by the machine.
var headrooms = shares{1, 256}

// memoryExcess is how much more than the limit the probe asks for.
const memoryExcess = 8 * mebibyte

// memoryLimit is the limit on one node.
type memoryLimit struct {
	headroom int64
	group    *cgroup.Group // nil before it was lowered
	old      int64
	limit    int64 // the same after a restart, when the node holds little
}

func (l *memoryLimit) lower(ctx context.Context, h Host) (proof, error) {
	start := time.Now()
	g, err := groupOf(h)
	if err != nil {
		return proof{}, err
	}
	if l.group == nil {
		if l.old, err = g.MemoryLimit(); err != nil {
			return proof{}, err
		}
		held, err := g.MemoryHeld()
		if err != nil {
			return proof{}, err
		}
		if l.limit = held + l.headroom; l.old != cgroup.Unlimited {
			l.limit = min(l.limit, l.old)
		}
	}
	l.group = &g
	seen(ctx, func() bool { // the node may be taking memory at this moment
		err = g.SetMemoryLimit(l.limit)
		return !errors.Is(err, unix.EBUSY)
	})
	if err != nil {
		return proof{}, err
	}
	applied := time.Since(start)
	f, err := fillUp(ctx, g, l.limit+memoryExcess)
	if err != nil {
		return proof{}, err
	}
	return proof{
		proven: f.hits > 0, applied: applied,
		saw:      fmt.Sprintf("limited to %s, which was met %d times: %s", inMiB(l.limit), f.hits, f.fate),
		measures: map[string]float64{"limit_mib": float64(l.limit) / mebibyte, "hits": float64(f.hits), "killed": float64(f.kills)},
	}, nil
}

func (l *memoryLimit) raise(ctx context.Context, _ Cluster) (proof, error) {
	if l.group == nil || !l.group.Exists() {
		return proof{proven: true, saw: "it has no such limit"}, nil
	}
	start := time.Now()
	if err := l.group.SetMemoryLimit(l.old); err != nil {
		return gone(*l.group, err)
	}
	applied := time.Since(start)
	now, err := l.group.MemoryLimit()
	if err != nil {
		return gone(*l.group, err)
	}
	if l.old != cgroup.Unlimited { // it may meet the limit that it always had
		return proof{proven: now == l.old, applied: applied, saw: "it has its old limit, " + inMiB(now)}, nil
	}
	f, err := fillUp(ctx, *l.group, l.limit+memoryExcess)
	if err != nil {
		return gone(*l.group, err)
	}
	return proof{
		proven: now == l.old && f.status == 0 && f.hits == 0, applied: applied,
		saw:      fmt.Sprintf("no limit was met (%d times): %s", f.hits, f.fate),
		measures: map[string]float64{"hits": float64(f.hits), "killed": float64(f.kills)},
	}, nil
}

// filled is what became of a probe that asked for memory in a control group, and of the group meanwhile.
type filled struct {
	hits, kills int64 // how often the group met its limit, and how many of its processes were killed for it
	status      int   // of the probe
	fate        string
}

// fillUp has a probe take so many bytes of memory inside a group, and let go of them. If somebody has to be killed for it, it is the probe.
func fillUp(ctx context.Context, g cgroup.Group, bytes int64) (f filled, err error) {
	hits, err := g.MemoryHits()
	if err != nil {
		return f, err
	}
	kills, err := g.MemoryKills()
	if err != nil {
		return f, err
	}
	// tail keeps the last lines, and the zeros are one.
	script := fmt.Sprintf("echo 1000 >/proc/self/oom_score_adj; head -c %d /dev/zero | tail >/dev/null", bytes)
	p := groupProbe{g, []cgroup.Controller{cgroup.Memory}, script}
	if f.status, err = p.run(ctx, func() bool { return false }); err != nil {
		return f, err
	}
	nowHits, err := g.MemoryHits()
	if err != nil {
		return f, err
	}
	nowKills, err := g.MemoryKills()
	f.hits, f.kills = nowHits-hits, nowKills-kills
	switch {
	case f.status == 0:
		f.fate = fmt.Sprintf("a process got the %s that it asked for", inMiB(bytes))
	case f.kills > 0:
		f.fate = fmt.Sprintf("a process that asked for %s was killed", inMiB(bytes))
	default:
		f.fate = fmt.Sprintf("a process that asked for %s had not got them when the time was over", inMiB(bytes))
	}
	return f, err
}

func inMiB(bytes int64) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/mebibyte) }
