package txn

import "sort"

// graph holds the dependencies between transactions. Its nodes are the transactions by number, and after them auxiliary ones.
// Real-time order is not stored, because transaction t precedes exactly those from after[t] on.
//
// Where many transactions read a version with many successors, an edge for each pair would be far too many. So the m writers
// of the successors get 2m auxiliary nodes: one leads to all writers from a place on, another to all up to a
// place. A reader has an rw edge to the first of the one kind; a reader that is itself among the writers, to the two that leave it out.
// Edges from auxiliary nodes are tails, without length or meaning of their own.
type graph struct {
	txns  int
	nodes int
	start []uint32 // node -> its first edge; one more at the end
	edges []packed
	count [tail + 1]int // how many edges of each kind there are
}

// packed is an edge's target<<4 and its kind.
type packed uint32

func pack(to int32, kind edgeKind) packed { return packed(to)<<4 | packed(kind) }

func (p packed) to() int32      { return int32(p >> 4) }
func (p packed) kind() edgeKind { return edgeKind(p & 15) }

// bush is the links of one version that make edges of one kind, and their auxiliary nodes: first+i leads to the writers from i on,
// first+len+i to those up to i.
type bush struct {
	links []link
	first int32
}

// graph builds the dependency graph from the reads, the writes and the version order.
func (a *analysis) graph() *graph {
	g := &graph{txns: len(a.calls)}
	bushes := a.bushes(int32(g.txns))
	g.nodes = g.txns
	for _, b := range bushes {
		g.nodes += 2 * len(b.links)
	}
	g.start = make([]uint32, g.nodes+2)
	a.dependencyEdges(bushes, func(from, _ int32, kind edgeKind) {
		g.start[from+2]++
		g.count[kind]++
	})
	for i := range g.nodes {
		g.start[i+2] += g.start[i+1]
	}
	g.edges = make([]packed, g.start[g.nodes+1])
	a.dependencyEdges(bushes, func(from, to int32, kind edgeKind) {
		g.edges[g.start[from+1]] = pack(to, kind)
		g.start[from+1]++
	})
	return g
}

// bushes finds the versions that were read and have several successors of one kind, by the place of their first link.
func (a *analysis) bushes(firstNode int32) map[uint32]bush {
	wasRead := make([]bool, len(a.versions.key))
	for i, op := range a.ops {
		if !op.isWrite() {
			wasRead[a.versions.of[i]] = true
		}
	}
	bushes := make(map[uint32]bush)
	for v := range a.versions.key {
		for at, end := a.known.start[v], a.known.start[v+1]; wasRead[v] && at < end; {
			next := a.known.links[at:end]
			n := sort.Search(len(next), func(i int) bool { return next[i].why > next[0].why })
			if n > 1 {
				bushes[at] = bush{next[:n], firstNode}
				firstNode += 2 * int32(n)
			}
			at += uint32(n)
		}
	}
	return bushes
}

// dependencyEdges gives all edges, in an order that depends on the history alone.
func (a *analysis) dependencyEdges(bushes map[uint32]bush, edge func(from, to int32, kind edgeKind)) {
	for _, l := range a.known.links {
		if kind, _ := a.dependencies(l.why); kind != gone {
			if from, to := a.author(l.from), a.author(l.to); from != nobody && from != to {
				edge(from, to, kind)
			}
		}
	}
	for i, op := range a.ops {
		if op.isWrite() {
			continue
		}
		version := a.versions.of[i]
		if writer := a.author(version); writer != nobody && writer != op.txn {
			edge(writer, op.txn, wr)
		}
		at := a.known.start[version]
		for at < a.known.start[version+1] {
			at = a.readerEdges(at, version, bushes, op.txn, edge)
		}
	}
	for _, b := range bushes {
		b.tails(a, edge)
	}
}

// readerEdges gives the edges from a reader for the links from place at on that belong together, and the place after them.
func (a *analysis) readerEdges(at uint32, version int32, bushes map[uint32]bush, reader int32, edge func(from, to int32, kind edgeKind)) uint32 {
	first := a.known.links[at]
	_, kind := a.dependencies(first.why)
	if at+1 == a.known.start[version+1] || a.known.links[at+1].why != first.why {
		if to := a.author(first.to); to != reader {
			edge(reader, to, kind)
		}
		return at + 1
	}
	b := bushes[at]
	m := int32(len(b.links))
	low := int32(sort.Search(int(m), func(i int) bool { return a.author(b.links[i].to) >= reader }))
	high := low
	for high < m && a.author(b.links[high].to) == reader {
		high++
	}
	if low == high {
		low, high = 0, 0
	}
	if high < m {
		edge(reader, b.first+high, kind)
	}
	if low > 0 {
		edge(reader, b.first+m+low-1, kind)
	}
	return at + uint32(m)
}

func (b bush) tails(a *analysis, edge func(from, to int32, kind edgeKind)) {
	m := int32(len(b.links))
	for i, l := range b.links {
		onward, back := b.first+int32(i), b.first+m+int32(i)
		edge(onward, a.author(l.to), tail)
		edge(back, a.author(l.to), tail)
		if int32(i) < m-1 {
			edge(onward, onward+1, tail)
		}
		if i > 0 {
			edge(back, back-1, tail)
		}
	}
}
