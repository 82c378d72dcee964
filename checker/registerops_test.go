package checker

import (
	"encoding/json"
	"testing"
)

// FuzzHalves holds the quick way of reading a cas's values against the plain one.
func FuzzHalves(f *testing.F) {
	for _, s := range []string{`[1,2]`, `[null,"a b"]`, `["\u0041",[1,2]]`, `[1]`, `[1,2,3]`, `{}`, `7`, `[ 1 , -2.5 ]`, `[[1,2],{"a":[3]}]`, `[]`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := json.RawMessage(s)
		if !json.Valid(b) {
			return
		}
		first, second, err := pair(b)
		was, is, ok := halves(b)
		if ok != (err == nil) || ok && (text(was) != first || text(is) != second) {
			t.Fatalf("%s: %q %q %v, quickly %q %q %t", s, first, second, err, was, is, ok)
		}
	})
}

// TestValueTable holds that values are told apart as the model tells them apart.
func TestValueTable(t *testing.T) {
	values := valueTable{ids: make(map[string]int32)}
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"", "null", true},
		{`"a"`, `"\u0061"`, true},
		{`"1"`, `1`, false},
		{`[1, 2]`, `[1,2]`, true},
		{`"null"`, `null`, false},
		{`12345678901234567890`, `12345678901234567891`, false},
	} {
		a, b := json.RawMessage(c.a), json.RawMessage(c.b)
		if (values.id(a) == values.id(b)) != c.same || (text(a) == text(b)) != c.same {
			t.Errorf("%s and %s: the same is %t, wanted %t", a, b, !c.same, c.same)
		}
	}
}
