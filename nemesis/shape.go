package nemesis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// Targets of a partition: the shapes of networks that are not whole.
const (
	IsolateLeader    = "isolate-leader"    // the leader reaches nobody, and nobody reaches it
	IsolateOne       = "isolate-one"       // the same, of any one node
	LeaderMinority   = "leader-minority"   // the leader and as many others as leave the rest a majority, and that majority
	MajorityMinority = "majority-minority" // two sides, one of which has a majority
	Halves           = "halves"            // two sides as equal as can be; an even number of nodes leaves no majority
	Ring             = "ring"              // every node sees a majority, no two see the same
	Bridge           = "bridge"            // two sides, and one node that sees both
	OneWay           = "one-way"           // one node's outgoing or incoming packets are lost
	Links            = "links"             // the links that argument links names, or some drawn at random
)

// Shapes are the targets of a partition, the usual ones first.
var Shapes = []string{IsolateLeader, IsolateOne, LeaderMinority, MajorityMinority, Halves, Ring, Bridge, OneWay, Links}

// Directions of a one-way partition, as seen from the node that it hits.
const (
	Outgoing = "outgoing"
	Incoming = "incoming"
)

// link is one direction between two nodes: from, to.
type link = [2]string

// cutting is what a shape comes to between certain nodes.
type cutting struct {
	nodes []string // whom it is about: the node that is cut off, the smaller side, the one in the middle; sorted
	links []link   // what is cut, sorted
	what  string   // the same for people, after the shape's name: "n3 | n1, n2, n4, n5"
}

// cutNodes makes a shape of at least two nodes; the order says who plays which part, and who is left out of the majority is drawn
// from r. Where the nodes are too few for the shape, it is the first against the second.
func cutNodes(shape, direction string, order []string, r *rand.Rand) cutting {
	n := len(order)
	var c cutting
	switch shape {
	case LeaderMinority:
		c = sides(order, max(1, (n-1)/2))
	case MajorityMinority:
		c = sides(order, 1+r.IntN(max(1, (n-1)/2)))
	case Halves:
		c = sides(order, n/2)
	case Ring:
		c = ring(order)
	case Bridge:
		middle, rest := order[:1], order[1:]
		left, right := rest[:len(rest)/2], rest[len(rest)/2:]
		c = cutting{nodes: middle, links: severed(left, right), what: listed(left) + " | " + listed(right) + ", and " + middle[0] + " sees both"}
	case OneWay:
		c = oneWay(order[0], order[1:], direction)
	case Links:
		c = someLinks(order, r)
	default: // isolate-one, isolate-leader
		c = sides(order, 1)
	}
	if len(c.links) == 0 {
		c = sides(order[:2], 1)
	}
	return c.sorted()
}

// sorted is the same with its nodes and links in order.
func (c cutting) sorted() cutting {
	c.nodes = slices.Sorted(slices.Values(c.nodes))
	slices.SortFunc(c.links, compareLinks)
	return c
}

// told is a target and what it came to, for a summary: "halves n1, n2 | n3, n4, n5". Nodes that are named stand there already.
func (c cutting) told(target string) string {
	if namedNodes(target) != nil {
		return c.what
	}
	return target + " " + c.what
}

// parted is a cutting between the nodes that a target names and all others, and the order of nodes that it is made from.
func parted(c Cluster, kind string, named []string) (cutting, []string, error) {
	nodes := c.Nodes()
	if err := knownNames(kind, named, nodes); err != nil {
		return cutting{}, nil, err
	}
	if len(named) == len(nodes) {
		return cutting{}, nil, fmt.Errorf("target of %s: %q given, which leaves nobody on the other side", kind, strings.Join(named, ","))
	}
	others := slices.DeleteFunc(slices.Clone(nodes), func(n string) bool { return slices.Contains(named, n) })
	order := slices.Concat(named, others)
	return sides(order, len(named)).sorted(), order, nil
}

// sides parts the first few from the others.
func sides(order []string, first int) cutting {
	one, other := order[:first], order[first:]
	return cutting{nodes: one, links: severed(one, other), what: listed(one) + " | " + listed(other)}
}

// listed is a list of nodes in their own order, not that in which they were drawn.
func listed(nodes []string) string {
	return joined(slices.Sorted(slices.Values(nodes)))
}

// severed are all links between two groups, both ways.
func severed(some, others []string) []link {
	var links []link
	for _, a := range some {
		for _, b := range others {
			links = append(links, link{a, b}, link{b, a})
		}
	}
	return links
}

// ring sets the nodes in a circle, in which each sees only its neighbours on both sides, as many as make a majority with itself. Three nodes
// all see each other then; the ring is opened between the last and the first, and the majorities still differ.
func ring(order []string) cutting {
	n := len(order)
	reach := (n/2 + 1) / 2 // neighbours on each side: with the node itself 2*reach+1 >= n/2+1
	c := cutting{nodes: order, what: strings.Join(order, "-")}
	for i, a := range order {
		for j := range i {
			if distance := min(i-j, n-i+j); distance > reach {
				c.links = append(c.links, severed([]string{a}, order[j:j+1])...)
			}
		}
	}
	if len(c.links) == 0 {
		c.links = severed(order[:1], order[n-1:])
	}
	return c
}

func oneWay(node string, others []string, direction string) cutting {
	c := cutting{nodes: []string{node}, what: direction + " packets of " + node + " lost"}
	for _, other := range others {
		l := link{node, other}
		if direction == Incoming {
			l = link{other, node}
		}
		c.links = append(c.links, l)
	}
	return c
}

// someLinks draws links one by one, about a third of all.
func someLinks(order []string, r *rand.Rand) cutting {
	var links []link
	for _, a := range order {
		for _, b := range order {
			if a != b && r.IntN(3) == 0 {
				links = append(links, link{a, b})
			}
		}
	}
	return namedLinks(links)
}

// namedLinks cuts certain links and no others.
func namedLinks(links []link) cutting {
	c := cutting{links: links}
	for _, l := range links {
		c.nodes = append(c.nodes, l[0], l[1])
	}
	slices.Sort(c.nodes)
	c.nodes = slices.Compact(c.nodes)
	c.what = fmt.Sprintf("(%d)", len(links))
	return c
}

// casting draws the order of nodes that a shape is made from. Those that run come first, so that they play the parts that matter; the leader comes
// before them if it is wanted.
func casting(ctx context.Context, c Cluster, leaderFirst bool, r *rand.Rand) ([]string, error) {
	nodes := c.Nodes()
	var up, down []string
	for _, i := range r.Perm(len(nodes)) {
		if _, runs := c.Host(nodes[i]); runs {
			up = append(up, nodes[i])
		} else {
			down = append(down, nodes[i])
		}
	}
	order := append(up, down...)
	if !leaderFirst {
		return order, nil
	}
	leader, err := pickedLeader(ctx, c)
	if err != nil {
		return nil, err
	}
	return append([]string{leader}, slices.DeleteFunc(order, func(n string) bool { return n == leader })...), nil
}

// knownNodes refuses links of a planned fault between nodes that there are not.
func knownNodes(kind string, links []link, nodes []string) error {
	for _, l := range links {
		for _, node := range l {
			if !slices.Contains(nodes, node) {
				return UnknownError{Field: "argument links of " + kind, Given: node, Allowed: nodes}
			}
		}
	}
	return nil
}

// parseLinks reads what argument links of a kind gives: "n1>n2 n2>n1", each link once.
func parseLinks(kind, given string) ([]link, error) {
	var links []link
	for _, word := range strings.Fields(given) {
		from, to, ok := strings.Cut(word, ">")
		l := link{from, to}
		if !ok || from == "" || to == "" || from == to || slices.Contains(links, l) {
			return nil, fmt.Errorf("argument links of %s: %q given, links such as n1>n2 allowed, with spaces between, each once", kind, word)
		}
		links = append(links, l)
	}
	if len(links) == 0 {
		return nil, fmt.Errorf("argument links of %s: %q given, at least one link such as n1>n2 is needed", kind, given)
	}
	return links, nil
}

func compareLinks(a, b link) int {
	return slices.Compare(a[:], b[:])
}
