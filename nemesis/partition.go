package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"rift/harness/history"
	"rift/nemesis/netfilter"
)

var partitionKind = Kind{
	Name:    "partition",
	Doc:     "Cuts links between nodes, one or both ways, so that packets are lost without a word; clients still reach every node.",
	Targets: Shapes,
	How:     "an nftables table of the bridge family on this machine, which drops the packets of the cut links where the nodes' bridge forwards them",
	Needs:   "CAP_NET_ADMIN, nftables for bridges (Linux 5.12, CONFIG_NF_TABLES_BRIDGE), nodes without IPv6",
	Proof:   "connects over cut links time out, each counted as dropped, and others are answered; all are answered after the heal",
	Draw:    drawPartition,
	New:     newPartition,
	Able:    ablePartition,
}

// Arguments of a partition.
const (
	argDirection = "direction" // of target one-way: outgoing or incoming
	argLinks     = "links"     // of target links: "n1>n2 n2>n1"; drawn at random if it is missing
)

// silence is how long a connect over a cut link is given. On networks of one machine an answer takes well under a millisecond.
const silence = 250 * time.Millisecond

func drawPartition(r *rand.Rand, allowed []string) history.PlannedFault {
	p := drawAimed(r, allowed)
	if p.Target == OneWay {
		p.Args = map[string]string{argDirection: []string{Outgoing, Incoming}[r.IntN(2)]}
	}
	return p
}

func newPartition(p history.PlannedFault) (Fault, error) {
	var args []string
	switch p.Target {
	case OneWay:
		args = []string{argDirection}
	case Links:
		args = []string{argLinks}
	}
	if err := checkPlanned(p, Shapes, args); err != nil {
		return nil, err
	}
	f := &partition{planned: p}
	if directions := []string{Outgoing, Incoming}; p.Target == OneWay && !slices.Contains(directions, p.Args[argDirection]) {
		return nil, UnknownError{Field: "argument direction of partition", Given: p.Args[argDirection], Allowed: directions}
	}
	if given, ok := p.Args[argLinks]; ok {
		var err error
		if f.named, err = parseLinks(p.Kind, given); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// ablePartition makes a table and removes it again, and looks for IPv6, on which nodes would talk past the partition.
func ablePartition(c Cluster) error {
	cut, err := netfilter.NewCut(c.Tag()+"-able", nil)
	if err != nil {
		return fmt.Errorf("it needs root, and nftables for bridges (Linux 5.12, CONFIG_NF_TABLES_BRIDGE): %w", err)
	}
	if err := cut.Close(); err != nil {
		return err
	}
	return withoutIPv6(c)
}

type partition struct {
	planned history.PlannedFault
	named   []link // by the plan; nil if they are to be found out
	cutting cutting
	cut     *netfilter.Cut // nil while nothing is cut
}

// Inject cuts the links, all at the same moment, and then tries every one of them and every other pair of nodes from inside
// the nodes' own namespaces. Nodes that are down cannot be tried.
func (p *partition) Inject(ctx context.Context, c Cluster, r *rand.Rand) (history.Evidence, error) {
	var err error
	if p.cutting, err = p.choose(ctx, c, r); err != nil {
		return history.Evidence{}, err
	}
	if len(running(c, p.cutting.links)) == 0 {
		return Skip("no link to cut that has running nodes at both ends"), nil
	}
	e := history.Evidence{Nodes: p.cutting.nodes, Links: p.cutting.links}
	began := time.Now()
	if p.cut, err = netfilter.NewCut(p.table(c), addresses(c, p.cutting.links)); err != nil {
		return e, err
	}
	e.Applied = time.Since(began)
	probed, silent, err := p.probeCut(ctx, c)
	if err != nil {
		return e, err
	}
	others, err := awaitAnswers(ctx, c, pairs(c.Nodes()))
	if err != nil {
		return e, err
	}
	e.Proven = probed > 0 && silent == probed && others.all()
	e.Measures = map[string]float64{
		"cut_links": float64(len(e.Links)), "probed_links": float64(probed), "silent_links": float64(silent),
		"other_pairs": float64(others.probed), "other_pairs_answered": float64(others.answered),
	}
	e.Summary = fmt.Sprintf("%s: %d of %d probes over cut links timed out, %d of %d other pairs answered",
		p.cutting.told(p.planned.Target), silent, probed, others.answered, others.probed)
	return e, nil
}

// choose finds out which links are to be cut, and marks them on the board.
func (p *partition) choose(ctx context.Context, c Cluster, r *rand.Rand) (cutting, error) {
	cut, order, err := p.links(ctx, c, r)
	if err != nil {
		return cutting{}, err
	}
	return cut.within(c.Board(), p.planned.ID, order)
}

// links are those that the plan names, or that its target means, with the order of nodes that they come from.
func (p *partition) links(ctx context.Context, c Cluster, r *rand.Rand) (cutting, []string, error) {
	if p.named != nil {
		return namedLinks(p.named), nil, knownNodes(p.planned.Kind, p.named, c.Nodes())
	}
	if nodes := namedNodes(p.planned.Target); nodes != nil {
		return parted(c, p.planned.Kind, nodes)
	}
	order, err := casting(ctx, c, slices.Contains([]string{IsolateLeader, LeaderMinority}, p.planned.Target), r)
	if err != nil || len(order) < 2 {
		return cutting{}, nil, err
	}
	return cutNodes(p.planned.Target, p.planned.Args[argDirection], order, r), order, nil
}

// probeCut tries the cut links whose ends both run. A link is silent if its connect times out and the kernel has counted its packets
// among the dropped; one that could not be tried, because a node ended meanwhile, is not counted.
func (p *partition) probeCut(ctx context.Context, c Cluster) (probed, silent int, err error) {
	links := running(c, p.cutting.links)
	outcomes := probe(ctx, c, links)
	dropped, err := p.cut.Dropped()
	if err != nil {
		return 0, 0, err
	}
	for i, l := range links {
		if outcomes[i].Err != nil {
			continue
		}
		probed++
		if outcomes[i].Silent && dropped[address(c, l)] > 0 {
			silent++
		}
	}
	return probed, silent, nil
}

// Heal lets the links go, and tries them until all are answered again that no other partition cuts.
func (p *partition) Heal(ctx context.Context, c Cluster) (history.Evidence, error) {
	if p.cut == nil {
		return Skip("nothing was cut"), nil
	}
	e := history.Evidence{Nodes: p.cutting.nodes, Links: p.cutting.links}
	dropped, counted := p.cut.Dropped()
	start := time.Now()
	err := p.cut.Close()
	p.cut = nil // its socket is closed, and what it owned is gone
	e.Applied = time.Since(start)
	if err := errors.Join(counted, err); err != nil {
		return e, err
	}
	left, err := netfilter.Tables(p.table(c))
	if err != nil {
		return e, err
	}
	again, err := awaitAnswers(ctx, c, p.cutting.links)
	if err != nil {
		return e, err
	}
	var packets uint64
	for _, n := range dropped {
		packets += n
	}
	took := milliseconds(time.Since(start))
	e.Proven = !slices.Contains(left, p.table(c)) && again.all()
	e.Measures = map[string]float64{
		"dropped_packets": float64(packets), "probed_links": float64(again.probed), "answered_links": float64(again.answered), "answered_ms": took,
	}
	e.Summary = fmt.Sprintf("%d packets had been dropped; %d of %d links that no other partition cuts answered within %.1f ms",
		packets, again.answered, again.probed, took)
	return e, nil
}

// table is the name of the fault's own table.
func (p *partition) table(c Cluster) string {
	return fmt.Sprintf("%s-partition%d", c.Tag(), p.planned.ID)
}
