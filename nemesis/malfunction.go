package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"rift/harness/history"
	"rift/nemesis/lossyfs"
)

// Arguments of faults on disks.
const (
	argNth  = "nth"  // the call that is hit, counted on each node from when the fault is put in
	argPath = "path" // pattern of the files that are hit: path.Match on the path in the data directory, or its last part; default: all
)

// malfunction is a fault of disks that are in use. It is met when the node makes a call that it concerns, so its proof has to wait for that. It
// stays on a node's disk over restarts, and does not take the node: one whose disk is bad can be killed all the same.
type malfunction struct {
	planned history.PlannedFault
	faults  lossyfs.Faults // but for the seed
	what    symptom
	corrupt bool     // it damages data, and so may have a minority over the whole run
	hit     []ailing // nodes that it has taken and not given back
}

// symptom says how a malfunction shows in the counts of a disk.
type symptom struct {
	calls string                   // that it concerns: "fsyncs"
	is    string                   // what becomes of them: "failed with EIO"
	unit  string                   // name of the measure
	fatal bool                     // a node may end of it
	of    func(lossyfs.Counts) int // calls made
	bites func(lossyfs.Counts) int // of these, those that were hit
}

// ailing is a node with a bad disk.
type ailing struct {
	node  string
	armed *lossyfs.Armed
}

// newMalfunction makes a planned fault on disks that are in use, whose kind has the given arguments besides path.
func newMalfunction(p history.PlannedFault, faults lossyfs.Faults, what symptom, args ...string) (*malfunction, error) {
	if err := checkPlanned(p, NodeTargets, append(args, argPath)); err != nil {
		return nil, err
	}
	if err := checkPattern(p); err != nil {
		return nil, err
	}
	faults.Path = p.Args[argPath]
	return &malfunction{planned: p, faults: faults, what: what}, nil
}

// checkPattern refuses an argument path that is no pattern.
func checkPattern(p history.PlannedFault) error {
	if _, err := path.Match(p.Args[argPath], ""); err != nil {
		return fmt.Errorf("argument %s of %s: %q given, a pattern such as *.db or snapshots/* allowed", argPath, p.Kind, p.Args[argPath])
	}
	return nil
}

// parseChance reads which calls are hit: the nth, or a share of all. One of the two is given.
func parseChance(p history.PlannedFault) (c lossyfs.Chance, err error) {
	nth, counted := p.Args[argNth]
	_, shared := p.Args[argShare]
	if counted == shared {
		return c, fmt.Errorf("arguments %s and %s of %s: one of them is wanted: which call is hit, or what share of them", argNth, argShare, p.Kind)
	}
	if shared {
		c.Share, err = shares{0.001, 1}.parse(p, argShare)
		return c, err
	}
	if c.Nth, err = strconv.Atoi(nth); err != nil || c.Nth < 1 {
		return c, fmt.Errorf("argument %s of %s: %q given, a number from 1 allowed", argNth, p.Kind, nth)
	}
	return c, nil
}

// Inject puts the fault on the nodes' disks, and waits until every node has met it, at most for half of the fault's time. It is proven if one
// has by then: the others may make no call that it concerns, and the summary tells.
func (f *malfunction) Inject(ctx context.Context, c Cluster, r *rand.Rand) (history.Evidence, error) {
	nodes, err := Pick(ctx, c, f.planned.Target, r)
	if err != nil {
		return history.Evidence{}, err
	}
	if len(nodes) == 0 {
		return skipTarget(c, f.planned.Target), nil
	}
	if nodes, err = impair(c, nodes, f.planned.ID); err != nil {
		return history.Evidence{}, err
	}
	if f.corrupt {
		var why error
		if nodes, why = damageable(c, nodes, f.planned.ID); len(nodes) == 0 {
			return Skip(why.Error()), nil
		}
	}
	e, start := history.Evidence{Nodes: nodes}, time.Now()
	for _, node := range nodes {
		disk, err := diskOf(c, node)
		if err != nil {
			return e, err
		}
		f.faults.Seed = r.Uint64()
		armed, err := disk.Arm(f.faults)
		if err != nil {
			return e, fmt.Errorf("%s: %w", node, err)
		}
		f.hit = append(f.hit, ailing{node, armed})
	}
	e.Applied = time.Since(start)
	f.awaitBites(ctx)
	e.Proven = f.count(&e) > 0
	e.Summary = fmt.Sprintf("disk of %s is bad: %s", named(f.planned.Target, nodes), e.Summary)
	return e, nil
}

// awaitBites waits until the disk of every node has bitten, at most for half of the fault's time.
func (f *malfunction) awaitBites(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(f.planned.For)/2)
	defer cancel()
	for _, a := range f.hit {
		select {
		case <-a.armed.Bitten():
		case <-ctx.Done():
			return
		}
	}
}

// count writes down what the nodes have met so far, and returns how many calls were hit.
func (f *malfunction) count(e *history.Evidence) (bites int) {
	var said []string
	calls := 0
	var held time.Duration
	for _, a := range f.hit {
		counts := a.armed.Counts()
		calls, bites, held = calls+f.what.of(counts), bites+f.what.bites(counts), held+counts.Held
		said = append(said, fmt.Sprintf("on %s %d of %d %s %s", a.node, f.what.bites(counts), f.what.of(counts), f.what.calls, f.what.is))
	}
	e.Measures = map[string]float64{f.what.unit: float64(bites), "calls": float64(calls)}
	if f.faults.Stall || f.faults.FsyncDelay > 0 {
		e.Measures["held_ms"] = milliseconds(held)
	}
	e.Summary = strings.Join(said, "; ")
	return bites
}

// Heal takes the fault out, and starts again the nodes that ended by themselves under it.
func (f *malfunction) Heal(ctx context.Context, c Cluster) (history.Evidence, error) {
	if len(f.hit) == 0 {
		return Skip("no disk was made bad"), nil
	}
	e, start := history.Evidence{Proven: true}, time.Now()
	for _, a := range f.hit {
		e.Nodes = append(e.Nodes, a.node)
		a.armed.Disarm()
	}
	e.Applied = time.Since(start)
	f.count(&e)
	revived := make([]string, len(e.Nodes))
	err := each(len(e.Nodes), func(i int) (err error) {
		// A node that has just met its last error may still be about to end.
		if f.what.fatal && f.what.bites(f.hit[i].armed.Counts()) > 0 {
			ends(ctx, c, e.Nodes[i], lastGasp)
		}
		revived[i], err = revive(ctx, c, e.Nodes[i], f.planned.ID)
		return err
	})
	f.hit = nil
	e.Summary = fmt.Sprintf("disk of %s is good again: %s", joined(e.Nodes), e.Summary)
	for _, said := range slices.DeleteFunc(revived, func(s string) bool { return s == "" }) {
		e.Summary += "; " + said
	}
	if err != nil {
		// The disk is good. Whether the node starts on what a bad one left is the system's affair: the run waits for it in the end.
		e.Summary += "; " + err.Error()
	}
	return e, nil
}

// lastGasp is how long a node may take to end by itself after it has met its last error: it may let its clients' requests end first.
const lastGasp = 6 * time.Second

// revive starts a node that ended by itself, and says so. One that another fault has down is left to it.
func revive(ctx context.Context, c Cluster, node string, fault int) (string, error) {
	if _, up := c.Host(node); up {
		return "", nil
	}
	// That there is no quorum is no reason to leave the node down.
	if err := c.Board().Claim(node, fault, "ended by itself"); err != nil && !errors.Is(err, ErrQuorum) {
		return "", nil
	}
	defer c.Board().Release(node, fault)
	if _, err := startNode(ctx, c, node); err != nil {
		return "", errors.Join(fmt.Errorf("%s had ended by itself", node), err)
	}
	if c.Board().Kept(node) != "" {
		return node + " had ended by itself" + stayDown(c, []string{node}), nil
	}
	return node + " had ended by itself, and was started again", nil
}
