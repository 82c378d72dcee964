package nemesis

import "fmt"

// quorum is what a test that keeps one asks for: a majority of the nodes that can do their work among themselves.
type quorum struct {
	nodes func() []string
	up    func(node string) bool
}

// find gives the first majority whose nodes are all up and sound, with no cut link between any two; nil if there is none. There are at most a
// few hundred to be tried.
func (q quorum) find(sound func(node string) bool, cut func(one, other string) bool) []string {
	nodes := q.nodes()
	var fit []string
	for _, node := range nodes {
		if q.up(node) && sound(node) {
			fit = append(fit, node)
		}
	}
	return whole(nil, fit, len(nodes)/2+1, cut)
}

// whole adds nodes to those chosen until there are enough, such that no link between any two is cut.
func whole(chosen, left []string, enough int, cut func(one, other string) bool) []string {
	if len(chosen) == enough {
		return chosen
	}
	for i, node := range left {
		if len(chosen)+len(left)-i < enough {
			return nil
		}
		if reaches(node, chosen, cut) {
			if found := whole(append(chosen[:len(chosen):len(chosen)], node), left[i+1:], enough, cut); found != nil {
				return found
			}
		}
	}
	return nil
}

func reaches(node string, others []string, cut func(one, other string) bool) bool {
	for _, other := range others {
		if cut(node, other) {
			return false
		}
	}
	return true
}

// within marks the links of a cutting on the board, which a fault is about to cut or to slow badly. Where that would leave no
// quorum it is made smaller: as many of the first nodes of the order as may be are parted from the others. An empty
// order is that of links which a plan names, and which stay as they are.
func (c cutting) within(b *Board, fault int, order []string) (cutting, error) {
	err := b.Sever(c.links, fault)
	for few := (len(order) - 1) / 2; err != nil && few > 0; few-- {
		c = sides(order, few).sorted()
		c.what = fmt.Sprintf("made smaller to keep a quorum: %s", c.what)
		err = b.Sever(c.links, fault)
	}
	return c, err
}
