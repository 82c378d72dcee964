package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"
)

// AppendJSON appends the event as one JSON object, without a newline. Its bytes are a function
// of the event alone. Values must be valid JSON without newlines; the driver sees to that.
func (o Op) AppendJSON(b []byte) []byte {
	b = append(b, `{"index":`...)
	b = strconv.AppendInt(b, int64(o.Index), 10)
	b = append(b, `,"time":`...)
	b = strconv.AppendInt(b, int64(o.Time), 10)
	b = append(b, `,"process":`...)
	b = strconv.AppendInt(b, int64(o.Process), 10)
	b = append(b, `,"type":"`...)
	b = append(b, o.Type.String()...)
	b = append(b, `","f":`...)
	b = appendString(b, o.F)
	if o.Key != "" {
		b = append(b, `,"key":`...)
		b = appendString(b, o.Key)
	}
	if len(o.Value) > 0 {
		b = append(b, `,"value":`...)
		b = append(b, o.Value...)
	}
	if o.Node != "" {
		b = append(b, `,"node":`...)
		b = appendString(b, o.Node)
	}
	if o.Error != "" {
		b = append(b, `,"error":`...)
		b = appendString(b, o.Error)
	}
	return append(b, '}')
}

func appendString(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			quoted, _ := json.Marshal(s) // a string always marshals
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// Decoder reads events from their lines. It keeps one copy of each function, key and node name,
// so that a long history is small in memory. The zero value is ready; it is not for concurrent use.
type Decoder struct {
	names map[string]string
}

// Decode reads one line, a JSON object as AppendJSON writes it or any other program does: fields
// in any order, unknown fields ignored. The event keeps no reference to line.
func (d *Decoder) Decode(line []byte) (Op, error) {
	if op, ok := d.fast(line); ok {
		return op, nil
	}
	return d.slow(line)
}

func (d *Decoder) slow(line []byte) (Op, error) {
	var op Op
	if err := json.Unmarshal(line, &op); err != nil {
		return Op{}, fmt.Errorf("not an event: %w", err)
	}
	if op.Type == 0 {
		return Op{}, errors.New("not an event: it has no type")
	}
	if op.F == "" {
		return Op{}, errors.New("not an event: it has no f")
	}
	op.F, op.Key, op.Node = d.intern([]byte(op.F)), d.intern([]byte(op.Key)), d.intern([]byte(op.Node))
	if bytes.ContainsAny(op.Value, " \t\r\n") {
		var compact bytes.Buffer
		if err := json.Compact(&compact, op.Value); err != nil {
			return Op{}, fmt.Errorf("not an event: value: %w", err)
		}
		op.Value = compact.Bytes()
	}
	return op, nil
}

// fast reads exactly the form that AppendJSON writes, without escapes; everything else is left to slow.
func (d *Decoder) fast(line []byte) (Op, bool) {
	var op Op
	s := scanner{rest: line, ok: true}
	op.Index = int(s.int(`{"index":`))
	op.Time = time.Duration(s.int(`,"time":`))
	op.Process = int(s.int(`,"process":`))
	typ := s.text(`,"type":`)
	op.F = d.intern(s.text(`,"f":`))
	if s.has(`,"key":`) {
		op.Key = d.intern(s.text(""))
	}
	if s.has(`,"value":`) {
		op.Value = s.value()
	}
	if s.has(`,"node":`) {
		op.Node = d.intern(s.text(""))
	}
	if s.has(`,"error":`) {
		op.Error = string(s.text(""))
	}
	if !s.ok || string(s.rest) != "}" || op.F == "" {
		return Op{}, false
	}
	var err error
	op.Type, err = ParseType(string(typ))
	return op, err == nil
}

func (d *Decoder) intern(name []byte) string {
	if len(name) == 0 {
		return ""
	}
	if s, ok := d.names[string(name)]; ok {
		return s
	}
	if d.names == nil {
		d.names = make(map[string]string)
	}
	s := string(name)
	d.names[s] = s
	return s
}

// scanner takes a line apart from its left end; after the first mismatch ok is false for good.
type scanner struct {
	rest []byte
	ok   bool
}

func (s *scanner) has(prefix string) bool {
	if s.ok && len(s.rest) >= len(prefix) && string(s.rest[:len(prefix)]) == prefix {
		s.rest = s.rest[len(prefix):]
		return true
	}
	return false
}

func (s *scanner) int(prefix string) int64 {
	if !s.has(prefix) {
		s.ok = false
		return 0
	}
	i, negative := 0, false
	if i < len(s.rest) && s.rest[i] == '-' {
		i, negative = 1, true
	}
	start, n := i, int64(0)
	for ; i < len(s.rest) && s.rest[i] >= '0' && s.rest[i] <= '9'; i++ {
		n = n*10 + int64(s.rest[i]-'0')
	}
	if digits := i - start; digits == 0 || digits > 18 || (digits > 1 && s.rest[start] == '0') {
		s.ok = false
		return 0
	}
	s.rest = s.rest[i:]
	if negative {
		return -n
	}
	return n
}

// text reads a string without escapes or bytes beyond ASCII.
func (s *scanner) text(prefix string) []byte {
	if !s.has(prefix) || !s.has(`"`) {
		s.ok = false
		return nil
	}
	for i, c := range s.rest {
		if c == '"' {
			text := s.rest[:i]
			s.rest = s.rest[i+1:]
			return text
		}
		if c == '\\' || c < ' ' || c >= utf8.RuneSelf {
			break
		}
	}
	s.ok = false
	return nil
}

// value copies one JSON value without white space. It goes to its end by counting brackets outside strings; what is
// inside is checked by encoding/json, except for the plainest values.
func (s *scanner) value() json.RawMessage {
	depth, inString, i := 0, false, 0
scan:
	for ; i < len(s.rest); i++ {
		c := s.rest[i]
		if inString {
			switch c {
			case '\\':
				i++
			case '"':
				inString = false
			}
			continue
		}
		switch c {
		case '"':
			inString = true
		case '[', '{':
			depth++
		case ']', '}':
			if depth == 0 {
				break scan
			}
			depth--
		case ',':
			if depth == 0 {
				break scan
			}
		case ' ', '\t', '\r', '\n':
			s.ok = false
			return nil
		}
	}
	if i > len(s.rest) || !plain(s.rest[:i]) && !json.Valid(s.rest[:i]) {
		s.ok = false
		return nil
	}
	v := append(json.RawMessage(nil), s.rest[:i]...)
	s.rest = s.rest[i:]
	return v
}

// plain says whether b is null or a short whole number: the values that make up most histories.
func plain(b []byte) bool {
	if string(b) == "null" {
		return true
	}
	if len(b) == 0 || len(b) > 18 || b[0] == '0' && len(b) > 1 {
		return false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
