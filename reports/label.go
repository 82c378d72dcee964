package reports

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"rift/harness/history"
)

// labelRunes bounds a value within a label, so that labels fit beside their bars.
const labelRunes = 28

// label is an operation in a few words: "write 9", "read → 7", "cas 1→2", "txn append x 1, r y []".
func label(o *history.Operation) string {
	in, out := o.Input, o.Output
	if isNull(in) {
		in = nil
	}
	if o.Type != history.OK {
		out = nil // what came back of a failed operation is in its error
	}
	words := []string{o.F}
	switch {
	case o.F == "cas" && pair(in) != nil:
		words = append(words, fmt.Sprintf("%s→%s", clip(string(pair(in)[0]), labelRunes), clip(string(pair(in)[1]), labelRunes)))
		out = nil
	case o.F == "txn":
		if len(out) == 0 {
			out = in
		}
		words = append(words, clip(transaction(out), 2*labelRunes))
		out = nil
	case len(in) > 0:
		words = append(words, clip(string(in), labelRunes))
		if bytes.Equal(in, out) || isNull(out) {
			out = nil
		}
	}
	if len(out) > 0 {
		words = append(words, "→", clip(string(out), labelRunes))
	}
	return strings.Join(words, " ")
}

// transaction is micro-operations without their brackets: [["append","x",1],["r","y",[2]]] is "append x 1, r y [2]".
func transaction(v json.RawMessage) string {
	var list [][3]json.RawMessage
	if json.Unmarshal(v, &list) != nil {
		return string(v)
	}
	micro := make([]string, len(list))
	for i, m := range list {
		words := []string{bare(m[0]), bare(m[1])}
		if len(m[2]) > 0 && !isNull(m[2]) {
			words = append(words, string(m[2]))
		}
		micro[i] = strings.Join(words, " ")
	}
	return strings.Join(micro, ", ")
}

// bare is a JSON string without its quotes; any other value is itself.
func bare(v json.RawMessage) string {
	var s string
	if json.Unmarshal(v, &s) != nil {
		return string(v)
	}
	return s
}

func isNull(v json.RawMessage) bool { return string(v) == "null" }

// pair is the two elements of a JSON array of two; nil for anything else.
func pair(v json.RawMessage) []json.RawMessage {
	var list []json.RawMessage
	if json.Unmarshal(v, &list) != nil || len(list) != 2 {
		return nil
	}
	return list
}

// clip cuts a text to a number of runes and marks the cut.
func clip(s string, runes int) string {
	if len(s) <= runes || utf8.RuneCountInString(s) <= runes {
		return s
	}
	cut := 0
	for i := range s {
		if cut == runes-1 {
			return s[:i] + "…"
		}
		cut++
	}
	return s
}
