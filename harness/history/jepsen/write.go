package jepsen

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"rift/harness/history"
)

// Writer writes a history as EDN that Jepsen's own tools read: one map a line, functions as keywords. A key is put in front of
// the value, [key value], as jepsen.independent does. The strings at the head of a transaction's operations ("append", "r", "w") become
// keywords. A completion without a value gets its invocation's, since those tools look for the argument there. Whatever a fault
// does is an :info by the process :nemesis, as Jepsen's histories demand.
type Writer struct {
	out  io.Writer
	n    int                     // events so far
	args map[int]json.RawMessage // of the clients' open operations, by process
	line bytes.Buffer
}

// NewWriter writes to out, an operation at a time: let it be buffered.
func NewWriter(out io.Writer) *Writer {
	return &Writer{out: out, args: make(map[int]json.RawMessage)}
}

// Write writes one event. The error names the event and the field that EDN cannot say.
func (w *Writer) Write(o history.Op) error {
	switch {
	case o.Nemesis():
		o.Type = history.Info
	case o.Type == history.Invoke:
		w.args[o.Process] = o.Value
	default:
		if len(o.Value) == 0 {
			o.Value = w.args[o.Process]
		}
		delete(w.args, o.Process)
	}
	w.line.Reset()
	if err := writeOp(&w.line, &o, w.n); err != nil {
		return fmt.Errorf("write EDN: operation %d: %w", w.n, err)
	}
	w.n++
	if _, err := w.out.Write(w.line.Bytes()); err != nil {
		return fmt.Errorf("write EDN: %w", err)
	}
	return nil
}

// Write writes a whole history; see Writer.
func Write(out io.Writer, h history.History) error {
	w := NewWriter(out)
	for _, o := range h {
		if err := w.Write(o); err != nil {
			return err
		}
	}
	return nil
}

// symbol is what may stand behind a keyword's colon.
var symbol = regexp.MustCompile(`^[\p{L}*!_?$%&=<>][\p{L}\p{N}*!_?$%&=<>+.-]*(/[\p{L}*!_?$%&=<>][\p{L}\p{N}*!_?$%&=<>+.-]*)?$`)

func writeOp(b *bytes.Buffer, o *history.Op, index int) error {
	if !symbol.MatchString(o.F) {
		return fmt.Errorf("f: %q given, a name that can be a keyword allowed", o.F)
	}
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
	case json.Number:
		b.WriteString(v.String())
		if _, err := v.Int64(); err != nil && !strings.ContainsAny(v.String(), ".eE") {
			b.WriteByte('N') // beyond 64 bits
		}
	default:
		fmt.Fprint(b, v) // a truth value
	}
}

// writeMicro writes one operation of a transaction.
func writeMicro(b *bytes.Buffer, op []any) {
	b.WriteByte('[')
	for i, part := range op {
		if name, ok := part.(string); ok && i == 0 && symbol.MatchString(name) {
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
