package nemesis

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"rift/harness/history"
	"rift/nemesis/netfilter"
	"rift/nemesis/netspace"
	"rift/nemesis/packets"
)

// prove measures the evidence's links until the fault has been seen on each that stays open. What other faults do meanwhile, or a chance, may
// hide it for a moment. A link over which nothing at all came has not been measured.
func (f *disturbance) prove(ctx context.Context, c Cluster, e *history.Evidence) (err error) {
	measured := make(map[link]netspace.Trace)
	bitten := 0
	seen(ctx, func() bool {
		var open []link
		if open, err = openLinks(c, e.Links); err != nil {
			return true
		}
		todo := slices.DeleteFunc(open, func(l link) bool { return f.bites(measured[l]) })
		maps.Copy(measured, f.traces(ctx, c, todo))
		bitten = 0
		for _, t := range measured {
			if f.bites(t) {
				bitten++
			}
		}
		return bitten > 0 && bitten == len(measured)
	})
	open, failed := openLinks(c, e.Links)
	if err := errors.Join(err, failed); err != nil {
		return err
	}
	maps.DeleteFunc(measured, func(l link, t netspace.Trace) bool {
		return !f.bites(t) && (len(t.Arrivals) == 0 || !slices.Contains(open, l))
	})
	hits := f.hits()
	name, value, saw := f.measure(slices.Collect(maps.Values(measured)))
	e.Proven = bitten > 0 && bitten == len(measured) && hits > 0
	e.Measures = map[string]float64{
		name: value, "measured_links": float64(len(measured)), "disturbed_links": float64(bitten), "hit_packets": float64(hits),
	}
	e.Summary = fmt.Sprintf("packets %s on %d of %d measured links: %s", f.what, bitten, len(measured), saw)
	return nil
}

// hits counts the packets that have met the fault. What cannot be asked, because its namespace is gone, has met none.
func (f *disturbance) hits() (all uint64) {
	for _, filter := range f.filters {
		n, _ := filter.Hits()
		all += n
	}
	return all
}

// traces measures links, all at the same moment, and leaves out those that could not be, because a node has ended meanwhile.
func (f *disturbance) traces(ctx context.Context, c Cluster, links []link) map[link]netspace.Trace {
	var streams []netspace.Stream
	for _, l := range links {
		from, _ := c.Host(l[0])
		to, _ := c.Host(l[1])
		s := f.probe
		s.From, s.To, s.Address = from.NetNS, to.NetNS, c.Peer(l[1]).Addr()
		streams = append(streams, s)
	}
	measured := make(map[link]netspace.Trace)
	for i, t := range netspace.Measure(ctx, streams) {
		if t.Err == nil {
			measured[links[i]] = t
		}
	}
	return measured
}

// tables counts the fault's own tables that are left.
func (f *disturbance) tables(c Cluster) (left int, err error) {
	for _, node := range f.receivers() {
		names, err := disturbers(c, node)
		if err != nil {
			return 0, err
		}
		if slices.Contains(names, f.table(c)) {
			left++
		}
	}
	return left, nil
}

// disturbers are the tables of this run's faults on packets in a node's namespace.
func disturbers(c Cluster, node string) ([]string, error) {
	h, up := c.Host(node)
	if !up {
		return nil, nil
	}
	names, err := packets.Tables(h.NetNS, c.Tag()+"-")
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // the node has ended just now
	}
	return names, err
}

// openLinks are the links whose nodes run and that no partition cuts.
func openLinks(c Cluster, links []link) ([]link, error) {
	cut, err := netfilter.Links(c.Tag() + "-")
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(running(c, links), func(l link) bool { return cut[address(c, l)] }), nil
}

// calmLinks are the fault's open links to nodes that nothing disturbs any more.
func (f *disturbance) calmLinks(c Cluster) ([]link, error) {
	open, err := openLinks(c, f.aim.links)
	if err != nil {
		return nil, err
	}
	busy := make(map[string]bool)
	for _, node := range f.receivers() {
		names, err := disturbers(c, node)
		if err != nil {
			return nil, err
		}
		busy[node] = len(names) > 0
	}
	return slices.DeleteFunc(open, func(l link) bool { return busy[l[1]] }), nil
}
