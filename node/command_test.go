package node

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
)

func randomCommand(r *rand.Rand) command {
	word := func() string { return []string{"", "a", "b", "c", "été", "a longer key"}[r.IntN(6)] }
	if r.IntN(5) == 0 {
		return command{op: opTxn, txn: randomTransaction(r)}
	}
	c := command{op: op(1 + r.IntN(4)), key: word(), value: word()}
	switch r.IntN(4) {
	case 0:
		c = command{op: opElapse, span: 1 + time.Duration(r.Int64N(int64(ttlGrace)))}
	case 1:
		c.op, c.span = opPut, minTTL+time.Duration(r.Int64N(int64(ttlGrace)))
	}
	switch c.condition = condition(r.IntN(3)); c.condition {
	case ifValue:
		c.prevValue = word()
	case ifRevision:
		c.prevRevision = r.Uint64N(6)
	}
	return c
}

// randomTransaction is one of up to three comparisons and as many operations, some of which are refused.
func randomTransaction(r *rand.Rand) *transaction {
	key := func() string { return []string{"a", "b", "c", "list", "count"}[r.IntN(5)] }
	x := &transaction{compare: []command{}, then: []command{}, otherwise: []command{}}
	for range r.IntN(3) {
		c := command{op: opGet, key: key(), condition: []condition{ifValue, ifRevision, ifExists}[r.IntN(3)]}
		switch c.condition {
		case ifValue:
			c.prevValue = []string{"a", "[]", "[1]", "1"}[r.IntN(4)]
		case ifRevision:
			c.prevRevision = r.Uint64N(3)
		}
		x.compare = append(x.compare, c)
	}
	for _, branch := range []*[]command{&x.then, &x.otherwise} {
		for range r.IntN(4) {
			c := command{op: []op{opGet, opPut, opDelete, opAppend, opAppend, opAdd, opAdd}[r.IntN(7)], key: key()}
			switch c.op {
			case opPut:
				c.value = []string{"a", "[]", "[1]", "9223372036854775807"}[r.IntN(4)]
			case opAppend:
				c.value = []string{"1", `"été"`, "[2]"}[r.IntN(3)]
				if r.IntN(2) == 0 {
					c.key = "list"
				}
			case opAdd:
				c.value = []string{"1", "-2", "9223372036854775807"}[r.IntN(3)]
				if r.IntN(2) == 0 {
					c.key = "count"
				}
			}
			*branch = append(*branch, c)
		}
	}
	return x
}

func TestEntriesSurviveEncoding(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		want := entry{term: r.Uint64(), commands: []command{}}
		for range r.IntN(5) {
			want.commands = append(want.commands, randomCommand(r))
		}
		b := encodeEntry(want)
		got, err := decodeEntry(b)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v became %+v, %v", want, got, err)
		}
		for n := range b {
			if _, err := decodeEntry(b[:n]); err == nil {
				t.Fatalf("%d of the %d bytes of %+v were accepted", n, len(b), want)
			}
		}
	}
}

func FuzzDecodeEntry(f *testing.F) {
	f.Add(encodeEntry(entry{term: 3, commands: []command{{op: opPut, key: "k", value: "v", condition: ifValue, prevValue: "u"}}}))
	f.Add(encodeEntry(entry{term: 1 << 40, commands: []command{{op: opDelete, key: "k", condition: ifRevision, prevRevision: 7}}}))
	f.Add(encodeEntry(entry{term: 1, commands: []command{{op: opTxn, txn: &transaction{
		compare:   []command{{op: opGet, key: "k", condition: ifExists}},
		then:      []command{{op: opAppend, key: "k", value: "1"}, {op: opAdd, key: "n", value: "-1"}},
		otherwise: []command{{op: opGet, key: "k"}, {op: opDelete, key: "k"}},
	}}}}))
	f.Add([]byte{entryVersion, 0, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Add([]byte{entryVersion, 0, 1, byte(opTxn), 1, byte(opTxn), 0, 0, 0, 0, 0}) // one in another
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decodeEntry(b)
		if err != nil {
			return
		}
		again, err := decodeEntry(encodeEntry(e))
		if err != nil || !reflect.DeepEqual(e, again) {
			t.Fatalf("%+v became %+v, %v", e, again, err)
		}
	})
}
