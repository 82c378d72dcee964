package node

import "sync"

// dirtyRead lets reads on the leader see writes that are only in its own log. If such a write is then
// lost, a client has read a value that never was; and a reader elsewhere still sees the old one.
var dirtyRead = Bug{
	Name:        "dirty-read",
	Description: "reads on the leader see writes before they are committed",
	plant: func(n *Node) {
		o := &overlay{machine: n.machine, pending: map[string]pendingItem{}}
		n.seams.logged, n.seams.peek = o.logged, o.peek
	},
}

// An overlay holds the writes that are logged and not yet settled.
type overlay struct {
	machine *machine
	mu      sync.Mutex
	pending map[string]pendingItem
}

type pendingItem struct {
	item
	exists bool
	by     *proposal
}

// logged shows the batch's writes to readers, until their fate is known.
func (o *overlay) logged(batch []*proposal) (settled func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range batch {
		for i := range p.commands {
			o.show(p, &p.commands[i])
		}
	}
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		for _, p := range batch {
			for i := range p.commands {
				if key := p.commands[i].key; o.pending[key].by == p {
					delete(o.pending, key)
				}
			}
		}
	}
}

func (o *overlay) show(p *proposal, c *command) {
	if c.op != opPut && c.op != opDelete {
		return
	}
	s := o.machine.state()
	old, exists := s.get(c.key)
	if seen, ok := o.pending[c.key]; ok {
		old, exists = seen.item, seen.exists
	}
	if c.holds(old, exists) {
		o.pending[c.key] = pendingItem{item{value: c.value, revision: s.revision + 1}, c.op == opPut, p}
	}
}

func (o *overlay) peek(key string) (it item, exists, known bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	p, known := o.pending[key]
	return p.item, p.exists, known
}
