package nemesis

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"rift/harness/history"
	"rift/nemesis/netspace"
	"rift/nemesis/packets"
)

// Pair is the target of a fault on the two links between any two nodes.
const Pair = "pair"

// LinkTargets are the targets of faults on packets. A node stands for all links between it and the others, both ways.
var LinkTargets = []string{One, Leader, Pair, Minority, All, Links}

// disorder is one way in which packets are disturbed, and how it is seen.
type disorder struct {
	what    string // what happens to packets, for a summary: "delayed by 50ms ± 20ms"
	filter  func(s packets.Site, r *rand.Rand) (*packets.Filter, error)
	probe   netspace.Stream // what each link is measured with
	bites   func(t netspace.Trace) bool
	gone    func(t netspace.Trace) bool // on a link that nothing else disturbs
	measure func(all []netspace.Trace) (name string, value float64, saw string)
	mild    bool // links so disturbed still carry an election
}

// disturbance disturbs the packets of certain links. Each node that receives them has a filter in its own network namespace; clients are
// not touched.
type disturbance struct {
	planned history.PlannedFault
	disorder
	named []link // by the plan; nil if they are to be found out

	aim     cutting
	seeds   map[string]uint64 // of each node's filter
	mu      sync.Mutex        // nodes get their filters side by side
	filters map[string]placed // by the node that receives
}

// placed is a filter, and the inode of the namespace that it is in and keeps alive: another process of the node may have another one.
type placed struct {
	*packets.Filter
	namespace uint64
}

// newDisturbance checks a planned fault on packets, whose kind has the given arguments besides links.
func newDisturbance(p history.PlannedFault, d disorder, args ...string) (Fault, error) {
	if p.Target == Links {
		args = append(args, argLinks)
	}
	if err := checkPlanned(p, LinkTargets, args); err != nil {
		return nil, err
	}
	f := &disturbance{planned: p, disorder: d, filters: make(map[string]placed), seeds: make(map[string]uint64)}
	if given, ok := p.Args[argLinks]; ok {
		var err error
		if f.named, err = parseLinks(p.Kind, given); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// Inject measures the links, puts the filters in, and measures the links again. Links that a partition cuts, or whose ends do not both run,
// cannot be measured; if there are no others it waits for some.
func (f *disturbance) Inject(ctx context.Context, c Cluster, r *rand.Rand) (history.Evidence, error) {
	var err error
	if f.aim, err = f.choose(ctx, c, r); err != nil {
		return history.Evidence{}, err
	}
	nobody := Skip("no link to disturb that is whole and has running nodes at both ends")
	open, err := openLinks(c, f.aim.links)
	if err != nil || len(open) == 0 {
		return nobody, err
	}
	before := f.traces(ctx, c, open)
	for _, node := range c.Nodes() {
		f.seeds[node] = r.Uint64()
	}
	e := history.Evidence{Nodes: f.aim.nodes, Links: f.aim.links}
	began := time.Now()
	receivers := f.receivers()
	if err := each(len(receivers), func(i int) error { return f.place(c, receivers[i]) }); err != nil {
		return e, err
	}
	e.Applied = time.Since(began)
	if err := f.prove(ctx, c, &e); err != nil {
		return e, err
	}
	if e.Measures["measured_links"] == 0 { // a partition has come between
		_, err := f.withdraw()
		return nobody, err
	}
	name, value, saw := f.measure(slices.Collect(maps.Values(before)))
	e.Measures[name+"_before"] = value
	e.Summary = fmt.Sprintf("%s: %s; before: %s", f.aim.told(f.planned.Target), e.Summary, saw)
	return e, nil
}

// choose finds out which links are to be disturbed, and marks them on the board unless that is mild.
func (f *disturbance) choose(ctx context.Context, c Cluster, r *rand.Rand) (cutting, error) {
	aim, order, err := f.links(ctx, c, r)
	if err != nil || f.mild {
		return aim, err
	}
	return aim.within(c.Board(), f.planned.ID, order)
}

// links are those that the plan names, or that its target means, with the order of nodes that they come from.
func (f *disturbance) links(ctx context.Context, c Cluster, r *rand.Rand) (cutting, []string, error) {
	if f.named != nil {
		return namedLinks(f.named), nil, knownNodes(f.planned.Kind, f.named, c.Nodes())
	}
	if nodes := namedNodes(f.planned.Target); nodes != nil {
		return parted(c, f.planned.Kind, nodes)
	}
	order, err := casting(ctx, c, f.planned.Target == Leader, r)
	if err != nil || len(order) < 2 {
		return cutting{}, nil, err
	}
	return disturbedLinks(f.planned.Target, order, r), order, nil
}

// disturbedLinks are the links of a target between at least two nodes; the order says who plays which part.
func disturbedLinks(target string, order []string, r *rand.Rand) cutting {
	var a cutting
	switch target {
	case Pair:
		a = sides(order[:2], 1)
	case Minority:
		a = sides(order, max(1, (len(order)-1)/2))
	case All:
		a = cutting{nodes: order, what: "links"}
		for i, node := range order {
			a.links = append(a.links, severed([]string{node}, order[i+1:])...)
		}
	case Links:
		if a = someLinks(order, r); len(a.links) == 0 {
			a = namedLinks([]link{{order[0], order[1]}})
		}
	default: // one, leader
		a = sides(order, 1)
	}
	return a.sorted()
}

// receivers are the nodes at the ends of the links, sorted.
func (f *disturbance) receivers() []string {
	var nodes []string
	for _, l := range f.aim.links {
		nodes = append(nodes, l[1])
	}
	slices.Sort(nodes)
	return slices.Compact(nodes)
}

// place puts a node's filter in, unless it is in the node's namespace already. A node that is down has none, and gets its filter when
// it has been started.
func (f *disturbance) place(c Cluster, node string) error {
	h, up := c.Host(node)
	if !up {
		return nil
	}
	var namespace unix.Stat_t
	if unix.Stat(h.NetNS, &namespace) != nil {
		return nil // the node has ended just now
	}
	f.mu.Lock()
	old, hit := f.filters[node]
	f.mu.Unlock()
	if hit && old.namespace == namespace.Ino {
		return nil
	}
	if hit {
		_ = old.Close() // its namespace has no process left in it
		f.mu.Lock()
		delete(f.filters, node)
		f.mu.Unlock()
	}
	s := packets.Site{NetNS: h.NetNS, Table: f.table(c), Queue: uint16(f.planned.ID)}
	for _, l := range f.aim.links {
		if l[1] == node {
			s.Senders = append(s.Senders, c.Peer(l[0]).Addr())
		}
	}
	filter, err := f.filter(s, rand.New(rand.NewPCG(f.seeds[node], uint64(f.planned.ID))))
	if err != nil && unix.Stat(h.NetNS, &namespace) != nil {
		return nil // the same
	}
	if err != nil {
		return fmt.Errorf("on %s: %w", node, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.filters[node] = placed{filter, namespace.Ino}
	return nil
}

// Reapply puts a node's filter in again, whose namespace went with its processes, and measures the links to it.
func (f *disturbance) Reapply(ctx context.Context, c Cluster, node string) (history.Evidence, bool, error) {
	if !slices.Contains(f.receivers(), node) {
		return history.Evidence{}, false, nil
	}
	into := slices.DeleteFunc(slices.Clone(f.aim.links), func(l link) bool { return l[1] != node })
	e := history.Evidence{Nodes: []string{node}, Links: into}
	began := time.Now()
	if err := f.place(c, node); err != nil {
		return e, true, err
	}
	e.Applied = time.Since(began)
	err := f.prove(ctx, c, &e)
	e.Summary = "again on " + node + ": " + e.Summary
	return e, true, err
}

// withdraw takes all filters out, and says how many packets had met them.
func (f *disturbance) withdraw() (hits uint64, err error) {
	hits = f.hits()
	all := slices.Collect(maps.Values(f.filters))
	clear(f.filters)
	return hits, each(len(all), func(i int) error { return all[i].Close() }) // its sockets are closed, and what they owned is gone
}

// Heal takes the filters out, and measures the links until nothing of the fault is left on those that are whole and that no other
// fault disturbs.
func (f *disturbance) Heal(ctx context.Context, c Cluster) (history.Evidence, error) {
	if len(f.filters) == 0 {
		return Skip("nothing was disturbed"), nil
	}
	e := history.Evidence{Nodes: f.aim.nodes, Links: f.aim.links}
	began := time.Now()
	hits, err := f.withdraw()
	if err != nil {
		return e, err
	}
	e.Applied = time.Since(began)
	left, err := f.tables(c)
	if err != nil {
		return e, err
	}
	var traces map[link]netspace.Trace
	calm := 0
	seen(ctx, func() bool {
		var open []link
		if open, err = f.calmLinks(c); err != nil {
			return true
		}
		traces, calm = f.traces(ctx, c, open), 0
		for _, t := range traces {
			if f.gone(t) {
				calm++
			}
		}
		return calm == len(traces)
	})
	name, value, saw := f.measure(slices.Collect(maps.Values(traces)))
	e.Proven = err == nil && left == 0 && calm == len(traces)
	e.Measures = map[string]float64{name: value, "hit_packets": float64(hits), "measured_links": float64(len(traces)), "calm_links": float64(calm)}
	e.Summary = fmt.Sprintf("%d packets had met the fault; %d of %d links that no other one holds are as they were: %s", hits, calm, len(traces), saw)
	return e, err
}

// table is the name of the fault's own table in each namespace.
func (f *disturbance) table(c Cluster) string {
	return fmt.Sprintf("%s-%s%d", c.Tag(), f.planned.Kind, f.planned.ID)
}

// ableToDisturb puts a filter that touches nothing into a node's namespace and takes it out again, and looks for IPv6.
func ableToDisturb(needs string, filter func(packets.Site) (*packets.Filter, error)) func(Cluster) error {
	return func(c Cluster) error {
		for _, node := range c.Nodes() {
			h, up := c.Host(node)
			if !up {
				continue
			}
			f, err := filter(packets.Site{NetNS: h.NetNS, Table: c.Tag() + "-able", Queue: 1<<16 - 1})
			if err != nil {
				return fmt.Errorf("it needs root, and %s: %w", needs, err)
			}
			return cmp.Or(f.Close(), withoutIPv6(c))
		}
		return nil
	}
}
