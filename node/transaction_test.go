package node

import (
	"encoding/json"
	"maps"
	"math/big"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// transact is a transaction written down as plainly as possible: on a copy, which is then kept or not. It
// returns the answers of the operations that were carried out, and whether none was refused.
func (s *slowState) transact(x *transaction) (answers []stepAnswer, done bool) {
	next := slowState{revision: s.revision + 1, clock: s.clock, items: maps.Clone(s.items)}
	steps := x.then
	for _, c := range x.compare {
		it, exists := s.items[c.key]
		if c.condition == ifValue && (!exists || it.value != c.prevValue) || c.condition == ifExists && !exists ||
			c.condition == ifRevision && it.revision != c.prevRevision {
			steps = x.otherwise
		}
	}
	changed := false
	for _, c := range steps {
		old, exists := next.items[c.key]
		changed = changed || c.op != opGet && (exists || c.op != opDelete)
		switch c.op {
		case opPut:
			next.items[c.key] = item{value: c.value, revision: next.revision}
		case opDelete:
			delete(next.items, c.key)
		case opAppend:
			array := []json.RawMessage{}
			if exists && (json.Unmarshal([]byte(old.value), &array) != nil || array == nil) {
				return answers, false
			}
			value, _ := json.Marshal(append(array, json.RawMessage(c.value)))
			next.items[c.key] = item{value: string(value), revision: next.revision}
		case opAdd:
			sum, ok := new(big.Int), true
			if exists {
				sum, ok = sum.SetString(old.value, 10)
			}
			if delta, _ := new(big.Int).SetString(c.value, 10); !ok || !sum.Add(sum, delta).IsInt64() {
				return answers, false
			}
			next.items[c.key] = item{value: sum.String(), revision: next.revision}
		}
		it, found := next.items[c.key]
		answers = append(answers, stepAnswer{c.key, it.value, found, it.revision})
	}
	if changed {
		*s = next
	}
	return answers, true
}

func TestTransactionsDoWhatTheSlowOnesDo(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	var succeeded, failed, refused int
	for run := range 200 {
		s, slow := newState(), &slowState{items: map[string]item{}}
		for step := range 50 {
			x := randomTransaction(r)
			tr := s.transition()
			got := tr.transact(x)
			next := tr.commit()
			answers, done := slow.transact(x)
			if got.applied != done || got.cluster != slow.revision || !slices.Equal(got.txn.steps, answers) {
				t.Fatalf("run %d, step %d: %+v: %+v %+v, want %+v at %d", run, step, x, got, got.txn, answers, slow.revision)
			}
			if !maps.Equal(itemsOf(next), slow.items) || next.hash != hashOf(slow.items) {
				t.Fatalf("run %d, step %d: %+v: %v, want %v", run, step, x, itemsOf(next), slow.items)
			}
			switch {
			case !done:
				refused++
			case got.txn.succeeded:
				succeeded++
			default:
				failed++
			}
			s = next
		}
	}
	if min(succeeded, failed, refused) < 500 {
		t.Errorf("%d succeeded, %d failed, %d were refused: too few of one", succeeded, failed, refused)
	}
}

func TestOperationsThatAreRefusedSayWhy(t *testing.T) {
	big := `["` + strings.Repeat("x", maxBody-4) + `"]`
	s := newState().transition()
	for key, value := range map[string]string{"text": "x", "empty": "", "null": "null", "open": "[1", "most": "9223372036854775807", "big": big} {
		s.set(key, item{value: value, revision: 1})
	}
	get := make([]command, 9)
	for i := range get {
		get[i] = command{op: opGet, key: "big"}
	}
	for _, test := range []struct {
		steps []command
		code  Code
		want  string
	}{
		{[]command{{op: opAppend, key: "text", value: "1"}}, CodeOperationRefused, `then[0]: append: the key "text" holds no JSON array`},
		{[]command{{op: opGet, key: "x"}, {op: opAppend, key: "empty", value: "1"}}, CodeOperationRefused, `then[1]: append: the key "empty"`},
		{[]command{{op: opAppend, key: "null", value: "1"}}, CodeOperationRefused, "holds no JSON array"},
		{[]command{{op: opAppend, key: "open", value: "1"}}, CodeOperationRefused, "holds no JSON array"},
		{[]command{{op: opPut, key: "new", value: "{}"}, {op: opAppend, key: "new", value: "1"}}, CodeOperationRefused, "then[1]"},
		{[]command{{op: opAdd, key: "text", value: "1"}}, CodeOperationRefused, "it holds no 64-bit integer"},
		{[]command{{op: opAdd, key: "most", value: "1"}}, CodeOperationRefused, "out of a 64-bit integer's range"},
		{[]command{{op: opAppend, key: "big", value: "1"}}, CodeTooLarge, `the value of "big" would be longer`},
		{get, CodeTooLarge, "then[8]: the values of the answer are longer"},
	} {
		got := s.transact(&transaction{then: test.steps})
		if e := got.txn.refused; got.applied || e == nil || e.Code != test.code || !e.Definite || !strings.Contains(e.Message, test.want) {
			t.Errorf("%.100v: %+v %v, want %s: %s", test.steps, got, e, test.code, test.want)
		}
	}
	if after := s.commit(); after.revision != 0 || after.keys.Len() != 6 {
		t.Errorf("refused operations changed something: %d keys at revision %d", after.keys.Len(), after.revision)
	}
}

func TestArraysGrowAtTheEnd(t *testing.T) {
	for _, test := range []struct {
		array string
		want  string
	}{
		{"[]", "[7]"},
		{" [ ] ", "[7]"},
		{"[1]", "[1,7]"},
		{"\t[1,\n[2] ]", "[1,\n[2],7]"},
		{`[{"a":"]"}]`, `[{"a":"]"},7]`},
		{"", ""},
		{"{}", ""},
		{"[1]]", ""},
		{"[1],[2]", ""},
		{"[", ""},
	} {
		if got := appendElement(test.array, true, "7"); got != test.want {
			t.Errorf("%q became %q, want %q", test.array, got, test.want)
		}
	}
}

func FuzzParseTransaction(f *testing.F) {
	f.Add([]byte(`{"compare":[{"key":"a","value":"x"},{"key":"a","revision":3},{"key":"a","exists":false}],"then":[{"op":"append","key":"l","value":"[1, 2]"}],"else":[{"op":"get","key":"a"}]}`))
	f.Add([]byte(`{"then":[{"op":"add","key":"c","value":"-5"},{"op":"delete","key":"a"},{"op":"put","key":"a","value":"\ud800"}]}`))
	f.Add([]byte(`{"then":[]} {}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := parseTransaction(b)
		if err != nil {
			if e := asError(err); !e.Definite || statusOf[e.Code]/100 != 4 {
				t.Fatalf("%q: %+v", b, e)
			}
			return
		}
		for _, list := range x.lists() { // as a decoder makes them
			*list = append([]command{}, *list...)
		}
		e := entry{commands: []command{{op: opTxn, txn: x}}}
		if again, err := decodeEntry(encodeEntry(e)); err != nil || !reflect.DeepEqual(again, e) {
			t.Fatalf("%q became %+v, %v", b, again, err)
		}
		tr := newState().transition()
		if r := tr.transact(x); r.txn.refused == nil && len(r.txn.steps) != len(x.then) && len(r.txn.steps) != len(x.otherwise) {
			t.Fatalf("%q did %+v", b, r.txn)
		}
	})
}

func BenchmarkTransaction(b *testing.B) {
	s := newState()
	x := &transaction{then: []command{{op: opGet, key: "a"}, {op: opAppend, key: "l", value: "1"}, {op: opAdd, key: "c", value: "1"}}}
	for i := 0; b.Loop(); i++ {
		if i%1000 == 0 {
			s = newState()
		}
		tr := s.transition()
		tr.transact(x)
		s = tr.commit()
	}
}
