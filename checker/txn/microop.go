package txn

import (
	"fmt"
	"strconv"
)

// A microOp is one step of a transaction: a read, or a write (an append, or a register's write).
// What arg holds depends on it: a write has its value; a list read has its branch in the upper and its length in the lower 32
// bits (see lists); a register read has its value, or noValue for the initial state.
type microOp struct {
	keyed uint32 // key<<1, and 1 for a write
	txn   int32
	arg   int64
}

func (m microOp) key() uint32   { return m.keyed >> 1 }
func (m microOp) isWrite() bool { return m.keyed&1 == 1 }

// list splits a list read's argument.
func (m microOp) list() (branch, length int32) { return int32(m.arg >> 32), int32(m.arg) }

// A value is an integer below 2^62 in magnitude, which stands for itself, or firstName plus the place of its text in names.
const (
	firstName       = 1 << 62
	noValue   int64 = -1 << 63
)

// names keeps one copy of each key and of each value that is no small integer.
type names struct {
	keys    []string // canonical JSON text
	keyOf   map[string]uint32
	values  []string
	valueOf map[string]int64
}

func newNames() names {
	return names{keyOf: make(map[string]uint32), valueOf: make(map[string]int64)}
}

func (n *names) key(text []byte) (uint32, error) {
	if id, ok := n.keyOf[string(text)]; ok {
		return id, nil
	}
	plain, err := canonical(text)
	if err != nil {
		return 0, fmt.Errorf("key: %w", err)
	}
	id, ok := n.keyOf[string(plain)]
	if !ok {
		id = uint32(len(n.keys))
		n.keys = append(n.keys, string(plain))
		n.keyOf[string(plain)] = id
	}
	n.keyOf[string(text)] = id
	return id, nil
}

func (n *names) value(text []byte) (int64, error) {
	if v, ok := smallInt(text); ok {
		return v, nil
	}
	if v, ok := n.valueOf[string(text)]; ok {
		return v, nil
	}
	plain, err := canonical(text)
	if err != nil {
		return 0, fmt.Errorf("value: %w", err)
	}
	if v, ok := smallInt(plain); ok {
		return v, nil
	}
	v, ok := n.valueOf[string(plain)]
	if !ok {
		v = firstName + int64(len(n.values))
		n.values = append(n.values, string(plain))
		n.valueOf[string(plain)] = v
	}
	return v, nil
}

// text is the value as JSON.
func (n *names) text(v int64) string {
	switch {
	case v == noValue:
		return "nil"
	case v >= firstName:
		return n.values[v-firstName]
	}
	return strconv.FormatInt(v, 10)
}

// parser reads transactions into micro-operations. It keeps what it has learned of keys, values and lists.
type parser struct {
	kind  Kind
	names names
	lists lists
	ops   []microOp

	scratch []element
}

func newParser(kind Kind) *parser { return &parser{kind: kind, names: newNames()} }

// parse appends the micro-operations of transaction txn to p.ops. The text is a JSON array of [function, key, value] with
// the functions "r" and, by kind, "append" or "w". Of a transaction that did not commit for certain only the
// writes are kept: nobody knows what it read.
func (p *parser) parse(text []byte, txn int32, committed bool) error {
	s := scanner{text: text}
	s.must('[', "an array of micro-operations")
	for first := true; s.err == nil && !s.has(']'); first = false {
		if !first {
			s.must(',', "a comma or the array's end")
		}
		p.microOp(&s, txn, committed)
	}
	s.end()
	return s.err
}

func (p *parser) microOp(s *scanner, txn int32, committed bool) {
	s.must('[', "a micro-operation as [function, key, value]")
	at := s.at
	f := string(s.scalar())
	s.must(',', "a comma and the key")
	keyText := s.scalar()
	s.must(',', "a comma and the value")
	if s.err != nil {
		return
	}
	key, err := p.names.key(keyText)
	if err != nil {
		s.err = err
		return
	}
	op := microOp{keyed: key << 1, txn: txn}
	switch {
	case f == `"r"`:
		op.arg = p.read(s, op, committed)
	case f == p.kind.write():
		op.keyed |= 1
		op.arg = p.value(s)
	default:
		s.at = at
		s.fail(fmt.Sprintf(`"r" or %s as the function`, p.kind.write()))
	}
	s.must(']', "the micro-operation's end")
	if s.err == nil && (op.isWrite() || committed) {
		p.ops = append(p.ops, op)
	}
}

func (p *parser) read(s *scanner, op microOp, committed bool) int64 {
	switch {
	case s.null():
		return p.kind.nothing()
	case p.kind == Register:
		return p.value(s)
	case committed:
		return p.list(s, op)
	}
	s.must('[', "a list or null")
	p.elements(s, false)
	return 0
}

func (p *parser) value(s *scanner) int64 {
	text := s.scalar()
	if s.err != nil {
		return 0
	}
	v, err := p.names.value(text)
	if err != nil {
		s.err = err
	}
	return v
}

// element is one element of a list read, with its text.
type element struct {
	value int64
	text  []byte
}

// elements takes the elements of a list up to its closing bracket. The first one has no comma before it unless the list
// has begun. The result is good until the next call.
func (p *parser) elements(s *scanner, begun bool) []element {
	p.scratch = p.scratch[:0]
	for ; s.err == nil && !s.has(']'); begun = true {
		if begun {
			s.must(',', "a comma or the list's end")
		}
		s.peek()
		from := s.at
		v := p.value(s)
		if s.err == nil {
			p.scratch = append(p.scratch, element{v, s.text[from:s.at]})
		}
	}
	return p.scratch
}
