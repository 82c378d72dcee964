package txn

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
)

// scanner takes the JSON text of one transaction apart from its left end. The first mismatch is kept
// in err, and everything after it is a no-op.
type scanner struct {
	text []byte
	at   int
	err  error
}

func (s *scanner) fail(want string) {
	if s.err != nil {
		return
	}
	given := "the end of the value"
	if s.at < len(s.text) {
		given = strconv.Quote(string(s.text[s.at:min(len(s.text), s.at+20)]))
	}
	s.err = fmt.Errorf("byte %d: %s given, %s allowed", s.at, given, want)
}

func (s *scanner) peek() byte {
	for s.at < len(s.text) {
		switch c := s.text[s.at]; c {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return c
		}
	}
	return 0
}

// has takes the byte c if it comes next.
func (s *scanner) has(c byte) bool {
	if s.err != nil || s.peek() != c {
		return false
	}
	s.at++
	return true
}

func (s *scanner) must(c byte, want string) {
	if !s.has(c) {
		s.fail(want)
	}
}

// end takes white space up to the end of the text.
func (s *scanner) end() {
	if s.err == nil && (s.peek() != 0 || s.at < len(s.text)) {
		s.fail("nothing more")
	}
}

// null takes the literal null if it comes next.
func (s *scanner) null() bool {
	if s.err != nil || s.peek() != 'n' || !bytes.HasPrefix(s.text[s.at:], []byte("null")) {
		return false
	}
	s.at += len("null")
	return true
}

// scalar takes a string or a number and gives its text, which is empty after a failure.
func (s *scanner) scalar() []byte {
	if s.err != nil {
		return nil
	}
	c := s.peek()
	start := s.at
	switch {
	case c == '"':
		for s.at++; s.at < len(s.text); s.at++ {
			switch s.text[s.at] {
			case '"':
				s.at++
				return s.text[start:s.at]
			case '\\':
				s.at++
			}
		}
		s.at = start
	case c == '-' || (c >= '0' && c <= '9'):
		for s.at++; s.at < len(s.text) && isNumeric(s.text[s.at]); s.at++ {
		}
		return s.text[start:s.at]
	}
	s.fail("a string or a number")
	return nil
}

func isNumeric(c byte) bool {
	return (c >= '0' && c <= '9') || c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-'
}

// smallInt reads the decimal integers of up to 18 digits, which is what nearly all values and keys are.
func smallInt(text []byte) (int64, bool) {
	digits := text
	if len(digits) > 0 && digits[0] == '-' {
		digits = digits[1:]
	}
	if len(digits) == 0 || len(digits) > 18 || (digits[0] == '0' && (len(digits) > 1 || len(text) > 1)) {
		return 0, false
	}
	var n int64
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if len(digits) < len(text) {
		n = -n
	}
	return n, true
}

// canonical gives equal strings and equal numbers the same text: "\u0061" becomes "a", 1.0 and 10e-1 become 1.
func canonical(text []byte) ([]byte, error) {
	if !json.Valid(text) {
		return nil, fmt.Errorf("%q given, a JSON string or number allowed", text)
	}
	if text[0] == '"' {
		if bytes.IndexByte(text, '\\') < 0 && utf8.Valid(text) {
			return text, nil
		}
		var s string
		if err := json.Unmarshal(text, &s); err != nil {
			return nil, fmt.Errorf("read string %q: %w", text, err)
		}
		return json.Marshal(s)
	}
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil || (math.Abs(f) >= 1<<53 && !bytes.ContainsAny(text, ".eE")) {
		return text, nil // a float would lose digits; two spellings of so large a number count as two numbers
	}
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return strconv.AppendInt(nil, int64(f), 10), nil
	}
	return strconv.AppendFloat(nil, f, 'g', -1, 64), nil
}
