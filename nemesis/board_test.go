package nemesis

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"rift/harness/history"
)

// keptBoard is a board that keeps a quorum of n nodes, all of which are up.
func keptBoard(n int) (*Board, []string) {
	var nodes []string
	for i := range n {
		nodes = append(nodes, fmt.Sprintf("n%d", i+1))
	}
	b := &Board{}
	b.KeepQuorum(func() []string { return nodes }, func(string) bool { return true })
	return b, nodes
}

// weighed is what a test believes of a board: the nodes that are taken, and what each fault impairs and severs.
type weighed struct {
	taken    map[string]int
	impaired map[int]map[string]bool
	severed  map[int][]link
}

func newWeighed() weighed {
	return weighed{taken: make(map[string]int), impaired: make(map[int]map[string]bool), severed: make(map[int][]link)}
}

// quorums tries every set of nodes, and counts those that are a quorum.
func (w weighed) quorums(nodes []string) (n int) {
	for set := range 1 << len(nodes) {
		var members []string
		for i, node := range nodes {
			if set>>i&1 == 1 {
				members = append(members, node)
			}
		}
		if len(members) > len(nodes)/2 && w.sound(members) {
			n++
		}
	}
	return n
}

func (w weighed) sound(members []string) bool {
	for _, node := range members {
		if w.taken[node] != 0 {
			return false
		}
		for _, nodes := range w.impaired {
			if nodes[node] {
				return false
			}
		}
	}
	for _, links := range w.severed {
		for _, l := range links {
			if slices.Contains(members, l[0]) && slices.Contains(members, l[1]) {
				return false
			}
		}
	}
	return true
}

// step does something at random to a board, and the same to what the test believes if the board allows it. It returns the board's word.
func (w weighed) step(b *Board, nodes []string, r *rand.Rand) error {
	fault, node := 1+r.IntN(4), nodes[r.IntN(len(nodes))]
	switch r.IntN(5) {
	case 0:
		err := b.Claim(node, fault, "down")
		if err == nil {
			w.taken[node] = fault
		}
		return err
	case 1:
		b.Release(node, fault)
		if w.taken[node] == fault {
			delete(w.taken, node)
		}
	case 2:
		err := b.Impair(node, fault)
		if err == nil {
			if w.impaired[fault] == nil {
				w.impaired[fault] = make(map[string]bool)
			}
			w.impaired[fault][node] = true
		}
		return err
	case 3:
		links := cutNodes(Shapes[r.IntN(len(Shapes))], Outgoing, shuffled(nodes, r), r).links
		err := b.Sever(links, fault)
		delete(w.severed, fault)
		if err == nil {
			w.severed[fault] = links
		}
		return err
	case 4:
		b.Relieve(fault)
		delete(w.impaired, fault)
		delete(w.severed, fault)
	}
	return nil
}

func shuffled(nodes []string, r *rand.Rand) []string {
	order := slices.Clone(nodes)
	r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	return order
}

func TestTheBoardNeverLeavesLessThanAQuorum(t *testing.T) {
	for n := 2; n <= 7; n++ {
		b, nodes := keptBoard(n)
		w, r := newWeighed(), rand.New(rand.NewPCG(uint64(n), 0))
		refused, allowed := 0, 0
		for range 400 {
			err := w.step(b, nodes, r)
			switch {
			case errors.Is(err, ErrQuorum):
				refused++
			case err == nil:
				allowed++
			}
			if w.quorums(nodes) == 0 || b.Quorum() == nil {
				t.Fatalf("of %d nodes no quorum is left (the board says %v): %+v", n, b.Quorum(), w)
			}
			if !w.sound(b.Quorum()) || len(b.Quorum()) != n/2+1 {
				t.Fatalf("%v is no quorum of %d nodes: %+v", b.Quorum(), n, w)
			}
		}
		if refused == 0 || allowed == 0 {
			t.Errorf("of %d nodes: %d steps refused and %d allowed, which tests nothing", n, refused, allowed)
		}
	}
}

// TestTheBoardRefusesNothingThatLeavesAQuorum holds every refusal against all sets of nodes.
func TestTheBoardRefusesNothingThatLeavesAQuorum(t *testing.T) {
	b, nodes := keptBoard(5)
	r, w := random(), newWeighed()
	for range 400 {
		links := cutNodes(Shapes[r.IntN(len(Shapes))], Incoming, shuffled(nodes, r), r).links
		without := except(w.severed, 9)
		refused := b.Sever(links, 9) != nil
		without[9] = links
		if possible := (weighed{w.taken, w.impaired, without}).quorums(nodes) > 0; possible == refused {
			t.Fatalf("severing %v was refused %t, where it leaves a quorum %t: %+v", links, refused, possible, w)
		}
		b.Relieve(9)
		_ = w.step(b, nodes, r) // either way
	}
}

// except is a copy of what faults sever, without one of them.
func except(severed map[int][]link, without int) map[int][]link {
	rest := make(map[int][]link)
	for fault, links := range severed {
		if fault != without {
			rest[fault] = links
		}
	}
	return rest
}

func TestTheBoardKeepsAQuorumAmongLanes(t *testing.T) {
	b, nodes := keptBoard(5)
	var lanes sync.WaitGroup
	for fault := range 8 {
		lanes.Go(func() {
			r := rand.New(rand.NewPCG(uint64(fault), 1))
			for range 300 {
				node := nodes[r.IntN(len(nodes))]
				took := b.Claim(node, fault, "paused") == nil
				_ = b.Impair(nodes[r.IntN(len(nodes))], fault) // it may be refused
				_ = b.Sever(cutNodes(IsolateOne, "", shuffled(nodes, r), r).links, fault)
				if b.Quorum() == nil {
					t.Error("no quorum is left")
				}
				if took {
					b.Release(node, fault)
				}
				b.Relieve(fault)
			}
		})
	}
	lanes.Wait()
	if taken := b.Taken(); len(taken) > 0 {
		t.Errorf("in the end %v are taken", taken)
	}
}

func TestTheBoardCountsNodesThatEndedByThemselves(t *testing.T) {
	b, nodes := keptBoard(3)
	b.KeepQuorum(func() []string { return nodes }, func(node string) bool { return node != "n1" })
	if err := b.Claim("n2", 1, "down"); !errors.Is(err, ErrQuorum) || !b.Free("n2") {
		t.Errorf("with n1 gone, n2 was given away: %v", err)
	}
	if err := b.Claim("n1", 3, "ended by itself"); err != nil {
		t.Errorf("n1, which is gone, cannot be had by what would start it: %v", err)
	}
	if spared := b.Spared(1); !slices.Equal(spared, []string{"n2"}) || b.Spared(1) != nil {
		t.Errorf("spared %v", spared)
	}
}

func TestTheBoardCountsOnNoDamagedNode(t *testing.T) {
	b, nodes := keptBoard(5)
	if err := errors.Join(b.Damage("n1", 1, len(nodes)), b.Claim("n2", 2, "down")); err != nil {
		t.Fatal(err)
	}
	if err := b.Damage("n3", 1, len(nodes)); !errors.Is(err, ErrQuorum) || b.Damaged("n3") {
		t.Errorf("with one node damaged and one down, a third was damaged: %v", err)
	}
	if err := b.Impair("n4", 3); !errors.Is(err, ErrQuorum) {
		t.Errorf("with one node damaged and one down, a third was impaired: %v", err)
	}
	b.Release("n2", 2)
	if err := b.Impair("n4", 3); err != nil || slices.Contains(b.Quorum(), "n1") || slices.Contains(b.Quorum(), "n4") {
		t.Errorf("impair n4: %v, and the quorum is %v", err, b.Quorum())
	}
}

func TestABoardWithoutAQuorumToKeepRefusesNothing(t *testing.T) {
	var b Board
	for _, node := range []string{"n1", "n2", "n3"} {
		if err := errors.Join(b.Claim(node, 1, "down"), b.Impair(node, 2), b.Sever([]link{{node, "n9"}}, 3)); err != nil {
			t.Error(err)
		}
	}
}

// keepQuorum has the cluster's board keep one.
func keepQuorum(c Cluster) {
	c.Board().KeepQuorum(c.Nodes, func(node string) bool {
		_, up := c.Host(node)
		return up
	})
}

func TestAKillLeavesAQuorum(t *testing.T) {
	c := newProcessCluster(t, 3)
	keepQuorum(c)
	first := makeFault(t, killKind, history.PlannedFault{ID: 1, Target: All})
	if e := inject(t, first, c); len(e.Nodes) != 1 || !e.Proven {
		t.Errorf("%+v, want one node killed", e)
	}
	second := makeFault(t, pauseKind, history.PlannedFault{ID: 2, Target: Majority})
	if e := inject(t, second, c); !e.Skipped {
		t.Errorf("with one node down, another was paused: %+v", e)
	}
	heal(t, first, c)
	if e := inject(t, second, c); len(e.Nodes) != 1 || e.Skipped {
		t.Errorf("after the heal nobody was paused: %+v", e)
	}
	heal(t, second, c)
}

func TestShapesAreMadeSmallerToKeepAQuorum(t *testing.T) {
	r := random()
	for _, shape := range Shapes {
		b, nodes := keptBoard(5)
		if err := b.Claim("n5", 1, "down"); err != nil {
			t.Fatal(err)
		}
		order := []string{"n5", "n1", "n2", "n3", "n4"}
		c, err := cutNodes(shape, Outgoing, order, r).within(b, 2, order)
		if err != nil || len(c.links) == 0 || b.Quorum() == nil {
			t.Errorf("%s: %+v, error %v, quorum %v", shape, c, err, b.Quorum())
		}
		if (shape == Ring || shape == Bridge) != strings.HasPrefix(c.what, "made smaller") && shape != Links {
			t.Errorf("%s became %s", shape, c.what)
		}
		b.Relieve(2)
		if err := b.Claim("n4", 3, "paused"); err != nil {
			t.Fatal(err)
		}
		order = []string{"n1", "n2", "n3", "n4", "n5"}
		if c, err := cutNodes(shape, Outgoing, order, r).within(b, 2, order); shape == IsolateOne && !errors.Is(err, ErrQuorum) {
			t.Errorf("with two nodes gone, a third is cut off: %+v, error %v", c, err)
		}
		nodes = nodes[:3]
		if c, err := namedLinks([]link{{nodes[0], nodes[1]}}).within(b, 2, nil); !errors.Is(err, ErrQuorum) {
			t.Errorf("with two nodes gone, a link between the others was cut: %+v, error %v", c, err)
		}
	}
}
