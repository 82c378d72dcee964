package jepsen

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"

	"rift/harness/history"
)

// Write writes a history as EDN that Jepsen's own tools read: one map a line, functions as keywords, faults by the process
// :nemesis. A key is put in front of the value, [key value], as jepsen.independent does. The strings at the head of
// a transaction's operations ("append", "r", "w") become keywords.
func Write(w io.Writer, h history.History) error {
	var line bytes.Buffer
	for i := range h {
		line.Reset()
		if err := writeOp(&line, &h[i], i); err != nil {
			return fmt.Errorf("write EDN: operation %d: %w", i, err)
		}
		if _, err := w.Write(line.Bytes()); err != nil {
			return fmt.Errorf("write EDN: %w", err)
		}
	}
	return nil
}

func writeOp(b *bytes.Buffer, o *history.Op, index int) error {
	process := strconv.Itoa(o.Process)
	if o.Nemesis() {
		process = ":nemesis"
	}
	fmt.Fprintf(b, "{:index %d, :time %d, :process %s, :type :%s, :f :%s, :value ", index, o.Time, process, o.Type, o.F)
	var value any
	if len(o.Value) > 0 {
		d := json.NewDecoder(bytes.NewReader(o.Value))
		d.UseNumber()
		if err := d.Decode(&value); err != nil {
			return fmt.Errorf("value: %w", err)
		}
	}
	if o.Key != "" {
		fmt.Fprintf(b, "[%s ", ednKey(o.Key))
		writeValue(b, value, o.F == "txn")
		b.WriteByte(']')
	} else {
		writeValue(b, value, o.F == "txn")
	}
	if o.Node != "" {
		fmt.Fprintf(b, ", :node %s", quote(o.Node))
	}
	if o.Error != "" {
		fmt.Fprintf(b, ", :error %s", quote(o.Error))
	}
	b.WriteString("}\n")
	return nil
}

// ednKey writes a key that is a number as one.
func ednKey(key string) string {
	if n, err := strconv.ParseInt(key, 10, 64); err == nil && strconv.FormatInt(n, 10) == key {
		return key
	}
	return quote(key)
}

// writeValue writes what JSON can say as EDN. In a transaction the first string of each operation is a keyword.
func writeValue(b *bytes.Buffer, value any, txn bool) {
	switch v := value.(type) {
	case nil:
		b.WriteString("nil")
	case string:
		b.WriteString(quote(v))
	case []any:
		b.WriteByte('[')
		for i, element := range v {
			if i > 0 {
				b.WriteByte(' ')
			}
			if op, ok := element.([]any); ok && txn && len(op) > 0 {
				writeMicro(b, op)
				continue
			}
			writeValue(b, element, false)
		}
		b.WriteByte(']')
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		b.WriteByte('{')
		for i, k := range keys {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(quote(k) + " ")
			writeValue(b, v[k], false)
		}
		b.WriteByte('}')
	default:
		fmt.Fprint(b, v) // a number or a truth value
	}
}

// writeMicro writes one operation of a transaction.
func writeMicro(b *bytes.Buffer, op []any) {
	b.WriteByte('[')
	for i, part := range op {
		if name, ok := part.(string); ok && i == 0 && !strings.ContainsAny(name, " \"\\") && name != "" {
			b.WriteString(":" + name)
			continue
		}
		if i > 0 {
			b.WriteByte(' ')
		}
		writeValue(b, part, false)
	}
	b.WriteByte(']')
}

// quote writes a string with the escapes that EDN and JSON share.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
