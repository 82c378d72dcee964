package node

import (
	"math/rand/v2"
	"reflect"
	"testing"
)

func randomCommand(r *rand.Rand) command {
	word := func() string { return []string{"", "a", "b", "c", "été", "a longer key"}[r.IntN(6)] }
	c := command{op: op(1 + r.IntN(4)), key: word(), value: word()}
	switch c.condition = condition(r.IntN(3)); c.condition {
	case ifValue:
		c.prevValue = word()
	case ifRevision:
		c.prevRevision = r.Uint64N(6)
	}
	return c
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
	f.Add([]byte{entryVersion, 0, 0xff, 0xff, 0xff, 0xff, 0x0f})
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
