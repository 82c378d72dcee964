package node

import "context"

// fracturedRead reads the keys of a transaction one after the other. Each of these reads is
// linearizable, but between two of them others write: the transaction sees half of what they did.
var fracturedRead = Bug{
	Name:        "fractured-read",
	Description: "a transaction that only reads takes each key from another moment",
	plant:       func(n *Node) { n.seams.readTransaction = n.readOneByOne },
}

func (n *Node) readOneByOne(ctx context.Context, x *transaction) (*draft, uint64, error) {
	s, err := n.machine.state(), error(nil)
	d := x.evaluate(func(key string) (item, bool) {
		if err == nil {
			if now, failed := n.view(ctx); failed != nil {
				err = failed
			} else {
				s = now
			}
		}
		return s.get(key)
	}, s.revision)
	return d, s.revision, err
}
