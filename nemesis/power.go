package nemesis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"rift/harness/history"
	"rift/nemesis/lossyfs"
)

// argLoss says how much of what was not synced a power failure takes: one of losses.
const argLoss = "loss"

var losses = []string{string(lossyfs.All), string(lossyfs.RandomPages), string(lossyfs.TornSectors)}

var powerKind = Kind{
	Name:    "power",
	Doc:     "Fails the nodes' power: their processes end at the same moment, and their disks lose what was not synced; then starts them again on what is left.",
	Targets: NodeTargets,
	How:     "SIGKILL, then the lossy disk's mount is aborted and what was not synced is put back as it was; the heal mounts it again and starts the node",
	Needs:   needsDisk,
	Proof:   "the processes are seen to end through their pidfds and the mount to be gone, and what the disk put back is counted; after the heal both are there again",
	Disk:    true,
	Draw: func(r *rand.Rand, allowed []string) history.PlannedFault {
		p := drawAimed(r, allowed)
		p.Args = map[string]string{argLoss: losses[r.IntN(len(losses))]}
		return p
	},
	New:  newPower,
	Fits: fitsDisk,
	Able: ableDisk,
}

type power struct {
	planned history.PlannedFault
	loss    lossyfs.Loss
	down    []string // nodes that it has taken and not given back
}

func newPower(p history.PlannedFault) (Fault, error) {
	if err := checkPlanned(p, NodeTargets, []string{argLoss}); err != nil {
		return nil, err
	}
	loss := cmp.Or(p.Args[argLoss], string(lossyfs.All))
	if !slices.Contains(losses, loss) {
		return nil, UnknownError{Field: "argument " + argLoss + " of power", Given: loss, Allowed: losses}
	}
	return &power{planned: p, loss: lossyfs.Loss(loss)}, nil
}

// outage is the power failure of one node.
type outage struct {
	host  Host
	draws *rand.Rand
	disk  *lossyfs.FS
	held  []process     // that make the node up
	ended time.Duration // until the processes had ended
	over  time.Duration // until the disk had lost what it loses
	gone  bool          // the mount was seen to be gone
	lost  lossyfs.Lost
}

// Inject fails the power of all nodes at the same moment. The processes are ended here, not by the cluster, which takes its time to learn of it.
func (f *power) Inject(ctx context.Context, c Cluster, r *rand.Rand) (history.Evidence, error) {
	hosts, err := takeHosts(ctx, c, f.planned, "down", r)
	if err != nil {
		return history.Evidence{}, err
	}
	if len(hosts) == 0 {
		return skipTarget(c, f.planned.Target), nil
	}
	var e history.Evidence
	outages := make([]outage, len(hosts))
	for i, h := range hosts {
		e.Nodes = append(e.Nodes, h.Node)
		outages[i] = outage{host: h, draws: rand.New(rand.NewPCG(r.Uint64(), r.Uint64()))}
	}
	f.down = slices.Clone(e.Nodes)
	if err = f.fail(ctx, c, outages); err == nil {
		f.tell(&e, outages)
	}
	// The cluster tidies up, whatever came of it.
	return e, errors.Join(err, each(len(hosts), func(i int) error { return c.Kill(ctx, hosts[i].Node) }))
}

// fail ends the processes of all nodes, and then fails the disks.
func (f *power) fail(ctx context.Context, c Cluster, outages []outage) error {
	defer func() {
		for _, o := range outages {
			for _, p := range o.held {
				p.close()
			}
		}
	}()
	for i := range outages {
		if err := outages[i].hold(c); err != nil {
			return fmt.Errorf("fail the power of %s: %w", outages[i].host.Node, err)
		}
	}
	start := time.Now()
	for _, o := range outages {
		for _, p := range o.held {
			if err := p.signal(unix.SIGKILL); err != nil {
				return fmt.Errorf("fail the power of %s: %w", o.host.Node, err)
			}
		}
	}
	return each(len(outages), func(i int) error { return outages[i].strike(ctx, f.loss, start) })
}

// hold takes hold of a node's processes and of its disk.
func (o *outage) hold(c Cluster) (err error) {
	if o.disk, err = diskOf(c, o.host.Node); err != nil {
		return err
	}
	pids, err := family(o.host.PID)
	if err != nil {
		return err
	}
	for _, pid := range pids {
		p, err := openProcess(pid)
		if errors.Is(err, unix.ESRCH) {
			continue // it ended meanwhile
		}
		if err != nil {
			return err
		}
		o.held = append(o.held, p)
	}
	return nil
}

// strike waits for the processes that were killed at the start to end, and then fails the disk.
func (o *outage) strike(ctx context.Context, loss lossyfs.Loss, start time.Time) (err error) {
	for _, p := range o.held {
		if !p.ended(ctx, proofTime) {
			return fmt.Errorf("fail the power of %s: process %d is still there %s after the kill", o.host.Node, p.pid, proofTime)
		}
	}
	o.ended = time.Since(start)
	if o.lost, err = o.disk.PowerFail(loss, o.draws); err != nil {
		return fmt.Errorf("%s: %w", o.host.Node, err)
	}
	o.over = time.Since(start)
	o.gone = !onFuse(o.disk.Mountpoint())
	return nil
}

// tell puts together what the outages came to.
func (f *power) tell(e *history.Evidence, outages []outage) {
	var ended, over time.Duration
	var bytes, files, names float64
	var lost []string
	e.Proven = true
	for i, o := range outages {
		ended, over = max(ended, o.ended), max(over, o.over)
		e.Proven = e.Proven && o.gone
		bytes, files, names = bytes+float64(o.lost.Bytes()), files+float64(len(o.lost.Files)), names+float64(len(o.lost.Names))
		lost = append(lost, e.Nodes[i]+" lost "+whatIsLost(o.lost))
		if !o.gone {
			lost[i] += ", but its disk is still mounted"
		}
	}
	e.Applied = over
	e.Measures = map[string]float64{
		"ended_ms": milliseconds(ended), "failed_ms": milliseconds(over),
		"lost_bytes": bytes, "lost_files": files, "lost_names": names,
	}
	e.Summary = fmt.Sprintf("power of %s failed (%s) within %.1f ms: %s", named(f.planned.Target, e.Nodes), f.loss, milliseconds(over), strings.Join(lost, "; "))
}

// whatIsLost tells what a disk lost, with the first few of its files.
func whatIsLost(l lossyfs.Lost) string {
	const most = 3
	if len(l.Files) == 0 && len(l.Names) == 0 {
		return "nothing, as all was synced"
	}
	var said []string
	if len(l.Files) > 0 {
		said = append(said, fmt.Sprintf("%d bytes of %d files (%s)", l.Bytes(), len(l.Files), firstFew(l.Files, most, func(f lossyfs.LostFile) string { return cmp.Or(f.Path, "one without a name") })))
	}
	if len(l.Names) > 0 {
		said = append(said, fmt.Sprintf("%d changes of names (%s)", len(l.Names), firstFew(l.Names, most, func(s string) string { return s })))
	}
	return strings.Join(said, " and ")
}

// firstFew lists the first of many.
func firstFew[T any](all []T, most int, name func(T) string) string {
	var list []string
	for i, v := range all {
		if i == most {
			list = append(list, "...")
			break
		}
		list = append(list, name(v))
	}
	return joined(list)
}

// Heal mounts the disks again and starts the nodes. Those that it could not start stay its own, so that it can be called again.
func (f *power) Heal(ctx context.Context, c Cluster) (history.Evidence, error) {
	if len(f.down) == 0 {
		return Skip("no power was failed"), nil
	}
	nodes, start := f.down, time.Now()
	mounted, left, err := bringBack(c, f.planned.ID, nodes, func(node string) (time.Duration, error) { return f.restore(ctx, c, node) })
	f.down = left
	e := history.Evidence{Nodes: nodes, Proven: err == nil, Applied: time.Since(start)}
	if err != nil {
		return e, err
	}
	e.Measures = map[string]float64{"mounted_ms": milliseconds(mounted), "started_ms": milliseconds(e.Applied)}
	e.Summary = fmt.Sprintf("power of %s is back; disks mounted within %.1f ms, processes running within %.1f ms",
		joined(nodes), e.Measures["mounted_ms"], e.Measures["started_ms"]) + stayDown(c, nodes)
	return e, nil
}

// restore mounts a node's disk, if it is not, and starts the node; it returns how long the disk took.
func (f *power) restore(ctx context.Context, c Cluster, node string) (time.Duration, error) {
	start := time.Now()
	fs, err := diskOf(c, node)
	if err != nil {
		return 0, err
	}
	if !fs.Mounted() {
		if err := fs.Remount(); err != nil {
			return 0, fmt.Errorf("%s: %w", node, err)
		}
	}
	if !onFuse(fs.Mountpoint()) {
		return 0, fmt.Errorf("%s: nothing is mounted on %s after the remount", node, fs.Mountpoint())
	}
	took := time.Since(start)
	_, err = startNode(ctx, c, node)
	return took, err
}
