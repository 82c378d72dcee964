package node

import "context"

// writeSkew gives transactions snapshot isolation: each is worked out against the state at its start,
// and when it is applied, only the keys that it writes are checked for changes since; if there are any,
// it starts again. Two transactions that read what the other writes, and write different keys, both
// succeed (Berenson et al., A Critique of ANSI SQL Isolation Levels, 1995, A5B).
var writeSkew = Bug{
	Name:        "write-skew",
	Description: "transactions are checked for conflicts between writes only (snapshot isolation)",
	plant:       func(n *Node) { n.seams.writeTransaction = n.writeUnderSnapshot },
}

func (n *Node) writeUnderSnapshot(ctx context.Context, x *transaction) (result, error) {
	for {
		d, start, err := n.readTransaction(ctx, x)
		if err != nil || d.refused != nil || len(d.writes) == 0 {
			return result{cluster: start, txn: &d.outcome}, err
		}
		done, err := n.writeTransaction(ctx, d.blind())
		if err != nil {
			return result{}, err
		}
		if done.txn.succeeded {
			for i := range d.steps {
				if d.steps[i].Revision == d.revision {
					d.steps[i].Revision = done.cluster
				}
			}
			return result{applied: true, cluster: done.cluster, txn: &d.outcome}, nil
		}
	}
}

// blind is a transaction that does the same writes, if none of their keys has changed.
func (d *draft) blind() *transaction {
	x := &transaction{}
	for _, w := range d.writes {
		old, _ := d.before(w.key)
		x.compare = append(x.compare, command{op: opGet, key: w.key, condition: ifRevision, prevRevision: old.revision})
		c := command{op: opPut, key: w.key, value: w.value}
		if !w.exists {
			c = command{op: opDelete, key: w.key}
		}
		x.then = append(x.then, c)
	}
	return x
}
