package nemesis

import (
	"context"
	"fmt"
	"slices"

	"rift/nemesis/netfilter"
	"rift/nemesis/netspace"
)

// answers counts the links that were tried, and those of them that were answered.
type answers struct{ probed, answered int }

// all says that no link that was tried stayed without an answer, also if none was.
func (a answers) all() bool { return a.probed == a.answered }

// awaitAnswers tries links until all are answered, at most for proofTime. It leaves out those that cannot be judged: a node is down, a partition
// of this run cuts the link one way or the other, or a fault on packets is in at one of its ends, under which silence means nothing. What those are
// is asked anew each time, since other lanes go on meanwhile.
func awaitAnswers(ctx context.Context, c Cluster, links []link) (a answers, err error) {
	seen(ctx, func() bool {
		var open []link
		if open, err = quietLinks(c, links); err != nil {
			return true
		}
		a = answers{probed: len(open)}
		for _, o := range probe(ctx, c, open) {
			if o.Answered {
				a.answered++
			}
		}
		return a.all()
	})
	return a, err
}

// quietLinks are the links whose nodes run, and that no fault of this run cuts or disturbs, one way or the other.
func quietLinks(c Cluster, links []link) ([]link, error) {
	cut, err := netfilter.Links(c.Tag() + "-")
	if err != nil {
		return nil, err
	}
	disturbed := make(map[string]bool)
	for _, node := range c.Nodes() {
		tables, err := disturbers(c, node)
		if err != nil {
			return nil, err
		}
		disturbed[node] = len(tables) > 0
	}
	return slices.DeleteFunc(running(c, links), func(l link) bool {
		there := address(c, l)
		return cut[there] || cut[netfilter.Link{From: there.To, To: there.From}] || disturbed[l[0]] || disturbed[l[1]]
	}), nil
}

// probe tries links from inside the namespaces of the nodes they come from. A node that has ended meanwhile makes an outcome with an error.
func probe(ctx context.Context, c Cluster, links []link) []netspace.Outcome {
	probes := make([]netspace.Probe, len(links))
	for i, l := range links {
		h, _ := c.Host(l[0])
		probes[i] = netspace.Probe{From: h.NetNS, To: c.Peer(l[1])}
	}
	return netspace.Try(ctx, probes, silence)
}

// running are the links whose nodes both run.
func running(c Cluster, links []link) []link {
	var both []link
	for _, l := range links {
		_, from := c.Host(l[0])
		_, to := c.Host(l[1])
		if from && to {
			both = append(both, l)
		}
	}
	return both
}

// pairs are the links between all nodes, one way each: a connect takes both ways.
func pairs(nodes []string) []link {
	var links []link
	for i, a := range nodes {
		for _, b := range nodes[i+1:] {
			links = append(links, link{a, b})
		}
	}
	return links
}

// withoutIPv6 refuses nodes that have IPv6, on which they would talk past faults of the network.
func withoutIPv6(c Cluster) error {
	for _, node := range c.Nodes() {
		h, up := c.Host(node)
		if !up {
			continue
		}
		devices, err := netspace.IPv6Devices(h.NetNS)
		if err != nil {
			return fmt.Errorf("look for IPv6 on %s: %w", node, err)
		}
		if len(devices) > 0 {
			return fmt.Errorf("only IPv4 can be cut, and %s has IPv6 on %v: turn it off in the nodes' network", node, devices)
		}
	}
	return nil
}

func address(c Cluster, l link) netfilter.Link {
	return netfilter.Link{From: c.Peer(l[0]).Addr(), To: c.Peer(l[1]).Addr()}
}

func addresses(c Cluster, links []link) []netfilter.Link {
	var list []netfilter.Link
	for _, l := range links {
		list = append(list, address(c, l))
	}
	return list
}
