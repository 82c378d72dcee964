package jepsen

import (
	"bufio"
	"errors"
	"io"
)

// forms takes EDN apart into the forms of its operations, one after the other, so that a long history need not be
// in memory and a damaged one is read up to the damage. Brackets around all operations are taken off.
type forms struct {
	in   *bufio.Reader
	line int    // on which the next byte stands, from 1
	open int    // brackets around the operations that are not closed yet
	text []byte // of the form last read, or as much as there was of it
}

// The errors of files that end too early, or too late.
var (
	errCut     = errors.New("the file ends in the middle of an operation")
	errOpen    = errors.New("the file ends before the bracket around its operations is closed")
	errBracket = errors.New("a bracket is closed that was not opened")
)

// next reads the next form, and gives the line on which it begins. The error is io.EOF after the last one.
func (f *forms) next() (line int, err error) {
	f.text = f.text[:0]
	for {
		c, err := f.byte()
		switch {
		case errors.Is(err, io.EOF) && f.open > 0:
			return f.line, errOpen
		case err != nil:
			return f.line, err
		case c == ';':
			err = f.comment()
		case c == '[' || c == '(':
			f.open++
		case c == ']' || c == ')':
			if f.open--; f.open < 0 {
				return f.line, errBracket
			}
		case !blank(c):
			line = f.line
			if err := f.form(c); errors.Is(err, io.EOF) {
				return line, errCut
			} else {
				return line, err
			}
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return f.line, err
		}
	}
}

func blank(c byte) bool { return c <= ' ' || c == ',' }

func (f *forms) byte() (byte, error) {
	c, err := f.in.ReadByte()
	if c == '\n' && err == nil {
		f.line++
	}
	return c, err
}

// form reads the rest of a form that begins with c: up to the bracket that closes it, or, of one without brackets, to its end.
func (f *forms) form(c byte) (err error) {
	tagged, depth := c == '#', 0
	for {
		f.text = append(f.text, c)
		switch c {
		case '"':
			err = f.quoted()
		case '\\': // a character, which may be a bracket
			if c, err = f.byte(); err == nil {
				f.text = append(f.text, c)
			}
		case ';':
			if err = f.comment(); err == nil {
				f.text = append(f.text, '\n')
			}
		case '{', '[', '(':
			depth++
		case '}', ']', ')':
			depth--
		}
		if err != nil {
			return err
		}
		if closed := c == '}' || c == ']' || c == ')' || c == '"'; closed && depth <= 0 {
			return nil
		}
		if c, err = f.byte(); errors.Is(err, io.EOF) && depth == 0 && !tagged {
			return nil
		} else if err != nil {
			return err
		}
		if depth == 0 && !tagged && blank(c) {
			return nil
		}
	}
}

// quoted reads the rest of a string.
func (f *forms) quoted() error {
	for {
		c, err := f.byte()
		if err != nil {
			return err
		}
		f.text = append(f.text, c)
		if c == '"' {
			return nil
		}
		if c == '\\' {
			if c, err = f.byte(); err != nil {
				return err
			}
			f.text = append(f.text, c)
		}
	}
}

// comment reads the rest of a line.
func (f *forms) comment() error {
	for {
		if c, err := f.byte(); err != nil || c == '\n' {
			return err
		}
	}
}
