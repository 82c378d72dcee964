package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Targets that name nodes. Whom "leader" means is asked when the fault is put in.
const (
	Leader   = "leader"   // the node that leads
	One      = "one"      // any one node
	Minority = "minority" // the largest set of nodes without which the others are a majority
	Majority = "majority" // the smallest majority
	All      = "all"      // every node
	Random   = "random"   // each node with even chance, at least one
)

// NodeTargets are the targets that Pick knows.
var NodeTargets = []string{Leader, One, Minority, Majority, All, Random}

// ErrNoLeader is the error of a system that has no leader at the moment.
var ErrNoLeader = errors.New("no node says that it leads")

// leaderWait bounds how long a fault waits for somebody to lead.
const leaderWait = 3 * time.Second

// namedNodes are the nodes that a target names, as "n1,n3" does, sorted; nil if it is something else.
func namedNodes(target string) []string {
	var names []string
	for name := range strings.SplitSeq(target, ",") {
		digits, isNode := strings.CutPrefix(name, "n")
		number, err := strconv.Atoi(digits)
		if !isNode || err != nil || number < 1 || strconv.Itoa(number) != digits || slices.Contains(names, name) {
			return nil
		}
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// knownNames refuses a target of a kind that names a node which there is not.
func knownNames(kind string, named, nodes []string) error {
	for _, name := range named {
		if !slices.Contains(nodes, name) {
			return UnknownError{Field: "target of " + kind, Given: name, Allowed: nodes}
		}
	}
	return nil
}

// Pick chooses the nodes that a target means, sorted: one of NodeTargets, or nodes by their names. Only nodes that are up and that no other fault has taken are chosen, so
// it may be fewer than the target asks for, or none. The error is of a system that has no leader, or of an unknown target.
func Pick(ctx context.Context, c Cluster, target string, r *rand.Rand) ([]string, error) {
	if target == Leader {
		return pickLeader(ctx, c)
	}
	nodes := c.Nodes()
	if named := namedNodes(target); named != nil {
		return slices.DeleteFunc(named, func(n string) bool { return !available(c, n) }), knownNames("a fault", named, nodes)
	}
	picked := r.Perm(len(nodes))
	switch target {
	case One:
		picked = upFirst(c, nodes, picked)[:1]
	case Minority:
		picked = picked[:(len(nodes)-1)/2]
	case Majority:
		picked = picked[:len(nodes)/2+1]
	case All:
	case Random:
		picked = picked[:1+r.IntN(len(nodes))]
	default:
		return nil, fmt.Errorf("target: %q given, one of %v allowed", target, NodeTargets)
	}
	var chosen []string
	for _, i := range picked {
		if available(c, nodes[i]) {
			chosen = append(chosen, nodes[i])
		}
	}
	sort.Strings(chosen)
	return chosen, nil
}

// pickedLeader asks who leads, and does not wait for long.
func pickedLeader(ctx context.Context, c Cluster) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, leaderWait)
	defer cancel()
	leader, err := c.Leader(ctx)
	if err != nil {
		return "", fmt.Errorf("ask who leads: %w", err)
	}
	return leader, nil
}

func pickLeader(ctx context.Context, c Cluster) ([]string, error) {
	leader, err := pickedLeader(ctx, c)
	if err != nil {
		return nil, err
	}
	if !available(c, leader) {
		return nil, nil
	}
	return []string{leader}, nil
}

// upFirst orders the places so that those of nodes that can be hit come first, and keeps their order otherwise.
func upFirst(c Cluster, nodes []string, places []int) []int {
	sort.SliceStable(places, func(a, b int) bool {
		return available(c, nodes[places[a]]) && !available(c, nodes[places[b]])
	})
	return places
}

func available(c Cluster, node string) bool {
	_, up := c.Host(node)
	return up && c.Board().Free(node)
}
