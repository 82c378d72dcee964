package txn

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
)

// reference parses a transaction by encoding/json, into the functions, keys and values of its micro-operations.
func reference(text string, kind Kind) (ops [][3]any, err error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var raw []any
	if err := d.Decode(&raw); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("more after the value: %v", err)
	}
	if raw == nil {
		return nil, fmt.Errorf("null")
	}
	for _, r := range raw {
		m, ok := r.([]any)
		if !ok || len(m) != 3 || !isScalar(m[1]) {
			return nil, fmt.Errorf("no micro-operation: %v", r)
		}
		list, isList := m[2].([]any)
		for _, e := range list {
			isList = isList && isScalar(e)
		}
		read := m[2] == nil || (isList && kind == ListAppend) || (isScalar(m[2]) && kind == Register)
		write := "append"
		if kind == Register {
			write = "w"
		}
		if !(m[0] == "r" && read) && !(m[0] == write && isScalar(m[2])) {
			return nil, fmt.Errorf("no micro-operation: %v", r)
		}
		ops = append(ops, [3]any{m[0], m[1], m[2]})
	}
	return ops, nil
}

func isScalar(x any) bool {
	switch x.(type) {
	case string, json.Number:
		return true
	}
	return false
}

// equal compares a value's canonical text with what encoding/json made of it.
func equal(text string, x any) bool {
	if n, ok := x.(json.Number); ok {
		a, err1 := n.Float64()
		b, err2 := json.Number(text).Float64()
		return a == b && (err1 == nil) == (err2 == nil)
	}
	var s string
	return json.Unmarshal([]byte(text), &s) == nil && s == x
}

// checkParse parses a text and compares the micro-operations with the reference.
func checkParse(t *testing.T, p *parser, text string) {
	t.Helper()
	p.ops = p.ops[:0]
	want, wantErr := reference(text, p.kind)
	err := p.parse([]byte(text), 7, true)
	if err != nil {
		if wantErr == nil && !strings.Contains(text, `\`) {
			t.Fatalf("%s: %v", text, err)
		}
		return
	}
	if wantErr != nil || len(p.ops) != len(want) {
		t.Fatalf("%s: parsed into %v, but encoding/json says %v", text, p.ops, wantErr)
	}
	for i, op := range p.ops {
		m := want[i]
		ok := op.txn == 7 && op.isWrite() == (m[0] != "r") && equal(p.names.keys[op.key()], m[1])
		switch list, isList := m[2].([]any); {
		case m[2] == nil:
			ok = ok && op.arg == p.kind.nothing()
		case isList:
			at, n := op.list()
			ok = ok && int(n) == len(list)
			for j := range list {
				ok = ok && equal(p.names.text(p.lists.branches[at].values[j]), list[j])
			}
		default:
			ok = ok && equal(p.names.text(op.arg), m[2])
		}
		if !ok {
			t.Fatalf("%s: micro-operation %d is %v, want %v", text, i, op, m)
		}
	}
}

// FuzzParse holds the parser against encoding/json. It parses two texts with one parser, and the first one again, when it knows its keys and lists.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`[["append","k",3],["r","k",[1,2]],["r","k",null],["r","k",[]]]`, `[]`, ` [ [ "r" , 1.0 , [ 1 , 2e1, "a]" ] ] ] `,
		`[["r","x",[1,2,3]],["r","x",[1,2]],["r","x",[1,22]],["r","x",[1,2,3,4]]]`, `[["r","x",["a","a,b","]"]],["r","x",["a]"]]]`,
		`[["w","x",-0],["r","x","\u0061"]]`, `[["w",1,9007199254740993],["r",1,9007199254740992]]`, `[["w","x",1e999]]`, `[["r","x",01]]`,
		`[["append","\ud800",1]]`, "[[\"append\",\"\xff\",1]]", `[["r","x",[1,]]]`, `[["r","x"]]`, `[["r","x",[[1]]]]`, `null`, `[["r",null,null]]`, `[["r","x",1]]x`,
	} {
		f.Add(seed, `[["r","x",[1,2,3,4,5]]]`, true)
		f.Add(seed, seed, false)
	}
	f.Fuzz(func(t *testing.T, first, second string, lists bool) {
		kind := Register
		if lists {
			kind = ListAppend
		}
		p := newParser(kind)
		for _, text := range []string{first, second, first} {
			checkParse(t, p, text)
		}
	})
}

// TestCanonical holds that equal keys and values are one, however they are written, and that others are not.
func TestCanonical(t *testing.T) {
	n := newNames()
	for _, same := range [][]string{{"1", "1.0", "10e-1", "1E0"}, {"0", "-0", "0.0"}, {`"a"`, `"\u0061"`}, {`"1"`}, {"1.5", "15e-1"}, {"9007199254740993"}, {"9007199254740992"}, {"123456789012345678901234567890"}} {
		first, err := n.value([]byte(same[0]))
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range same {
			v, err := n.value([]byte(text))
			k, kErr := n.key([]byte(text))
			first0, _ := n.key([]byte(same[0]))
			if err != nil || kErr != nil || v != first || k != first0 {
				t.Errorf("%s is value %d and key %d, but %s is %d and %d (%v, %v)", text, v, k, same[0], first, first0, err, kErr)
			}
		}
	}
	if len(n.keys) != 8 {
		t.Errorf("%d keys, want 8: %v", len(n.keys), n.keys)
	}
}

// TestLongListsShareOneBranch holds that reads of a growing list are kept as places on one branch, in whatever order they come.
func TestLongListsShareOneBranch(t *testing.T) {
	p := newParser(ListAppend)
	text := func(n int) []byte {
		var b bytes.Buffer
		b.WriteString(`[["r","x",[`)
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprint(&b, i)
		}
		b.WriteString(`]]]`)
		return b.Bytes()
	}
	for _, n := range []int{3, 1, 120, 11, 0, 119, 300, 12, 10} {
		if err := p.parse(text(n), 0, true); err != nil {
			t.Fatal(err)
		}
		if op := p.ops[len(p.ops)-1]; int(length(op)) != n {
			t.Fatalf("a read of %d elements has length %d", n, length(op))
		}
	}
	if len(p.lists.branches) != 1 || len(p.lists.branches[0].values) != 300 {
		t.Fatalf("%d branches", len(p.lists.branches))
	}
}
