package txn

import (
	"bytes"
	"slices"
)

// Long lists make a list-append history large, yet nearly every read of a key is a prefix of a later one. So a read is
// kept as a place on a branch: a list that grew as longer reads were seen. Its text is compared with the branch's
// text, which costs a memcmp, and only the elements that are new are taken apart. A healthy key has one branch;
// every further one is a read that contradicts the others.
type lists struct {
	branches []branch
	ofKey    [][]int32 // key -> its branches, the longest first
}

// branch is one list. Its text has neither brackets nor white space.
type branch struct {
	key    uint32
	text   []byte
	ends   []int32 // where the text of each element ends
	values []int64
	grown  []growth
}

// growth says which transaction first showed the branch at a length.
type growth struct{ length, txn int32 }

// emptyList is the argument of a read of nothing, which is a place on every branch.
const emptyList int64 = -1 << 32

// tries bounds how many branches of one key a read is compared with. Beyond it, equal branches may be kept twice,
// which costs memory and changes nothing else.
const tries = 8

// list takes a list read and gives its argument.
func (p *parser) list(s *scanner, op microOp) int64 {
	s.must('[', "a list or null")
	if s.has(']') || s.err != nil {
		return emptyList
	}
	key := op.key()
	for len(p.lists.ofKey) <= int(key) {
		p.lists.ofKey = append(p.lists.ofKey, nil)
	}
	body := s.text[s.at:]
	shown := bytes.IndexByte(body, ']') // inside a string this is no list's end, and then no branch has this prefix
	for _, at := range p.lists.candidates(key) {
		b := &p.lists.branches[at]
		if length := b.prefix(body, shown); length > 0 {
			s.at += shown + 1
			return place(at, length)
		}
		if len(body) > len(b.text) && body[len(b.text)] == ',' && bytes.HasPrefix(body, b.text) {
			s.at += len(b.text)
			return p.lists.extend(at, p.elements(s, true), op.txn)
		}
	}
	return p.lists.insert(key, p.elements(s, false), op.txn)
}

func place(branch int32, length int) int64 { return int64(branch)<<32 | int64(length) }

// candidates are the longest branch of a key and its newest ones.
func (l *lists) candidates(key uint32) []int32 {
	all := l.ofKey[key]
	if len(all) <= tries {
		return all
	}
	return append([]int32{all[0]}, all[len(all)-tries+1:]...)
}

// prefix is the number of elements in body[:n] if they are the branch's first, or 0.
func (b *branch) prefix(body []byte, n int) int {
	if n <= 0 || n > len(b.text) {
		return 0
	}
	i, whole := slices.BinarySearch(b.ends, int32(n))
	if !whole || !bytes.Equal(body[:n], b.text[:n]) {
		return 0
	}
	return i + 1
}

// insert finds a list's place by its values, which does not depend on how they were written.
func (l *lists) insert(key uint32, list []element, txn int32) int64 {
	if len(list) == 0 {
		return emptyList
	}
	for _, at := range l.candidates(key) {
		b := &l.branches[at]
		same := 0
		for same < min(len(list), len(b.values)) && list[same].value == b.values[same] {
			same++
		}
		switch same {
		case len(list):
			return place(at, same)
		case len(b.values):
			return l.extend(at, list[same:], txn)
		}
	}
	at := int32(len(l.branches))
	l.branches = append(l.branches, branch{key: key})
	l.ofKey[key] = append(l.ofKey[key], at)
	return l.extend(at, list, txn)
}

// extend lets a branch grow, and keeps the longest branch of its key in front.
func (l *lists) extend(at int32, by []element, txn int32) int64 {
	b := &l.branches[at]
	for _, e := range by {
		if len(b.text) > 0 {
			b.text = append(b.text, ',')
		}
		b.text = append(b.text, e.text...)
		b.ends = append(b.ends, int32(len(b.text)))
		b.values = append(b.values, e.value)
	}
	b.grown = append(b.grown, growth{int32(len(b.values)), txn})
	siblings := l.ofKey[b.key]
	if longest := &l.branches[siblings[0]]; len(b.values) > len(longest.values) {
		i := slices.Index(siblings, at)
		siblings[0], siblings[i] = siblings[i], siblings[0]
	}
	return place(at, len(b.values))
}

// witness is the transaction that first read the branch at least as long as this.
func (b *branch) witness(length int32) int32 {
	i, _ := slices.BinarySearchFunc(b.grown, length, func(g growth, n int32) int { return int(g.length - n) })
	return b.grown[i].txn
}
