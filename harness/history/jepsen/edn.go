package jepsen

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"sort"
	"time"

	"olympos.io/encoding/edn"

	"rift/harness/history"
)

// nemesis is the process number of Jepsen's nemesis.
const nemesis = -1

// EachEDN hands on the operations of a history of maps, one after the other or all in one vector or list, up to the first that is
// damaged. Fields other than process, type, f, value, node, time and error are ignored. An operation without a time comes a microsecond after the
// one before. Where no operation has a process, each invocation is a new one's and a completion belongs to the invocation before.
// An error is one of in or of take.
func EachEDN(in io.Reader, o Options, take func(history.Op) error) (history.Damage, error) {
	s := sequence{Options: o, take: take}
	f := forms{in: bufio.NewReaderSize(in, 1<<16), line: 1}
	var d decoder
	for {
		line, err := f.next()
		if errors.Is(err, io.EOF) {
			return history.Damage{}, nil
		}
		if err == nil {
			err = d.each(f.text, s.add)
		}
		if s.refused != nil {
			return history.Damage{}, s.refused
		}
		if err != nil {
			return damaged(line, err, io.MultiReader(bytes.NewReader(f.text), f.in))
		}
	}
}

// decoder reads forms. The zero value is ready.
type decoder struct {
	text      bytes.Reader
	buffer    *bufio.Reader
	begun     bool
	anonymous bool // the operations have no process
	processes int  // that were made up
}

// each hands on the operations in a form: one map, or a tagged collection of them. A form that is discarded (#_) has none.
func (d *decoder) each(text []byte, add func(e history.Op, timed bool) error) error {
	d.text.Reset(text)
	if d.buffer == nil {
		d.buffer = bufio.NewReader(&d.text) // large enough for the EDN decoder to take it as it is
	}
	d.buffer.Reset(&d.text)
	var form any
	if err := edn.NewDecoder(d.buffer).Decode(&form); errors.Is(err, io.EOF) {
		return nil
	} else if err != nil {
		return err
	}
	all, ok := untag(form).([]any)
	if !ok {
		all = []any{form}
	}
	for _, form := range all {
		e, timed, err := d.operation(form)
		if err == nil {
			err = add(e, timed)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// untag takes the tag off a form such as #jepsen.history.Op{...}.
func untag(form any) any {
	if t, ok := form.(edn.Tag); ok {
		return untag(t.Value)
	}
	return form
}

func (d *decoder) operation(form any) (e history.Op, timed bool, err error) {
	fields, ok := untag(form).(map[any]any)
	if !ok {
		return e, false, fmt.Errorf("%.60v given, a map allowed", form)
	}
	field := func(name string) any { return untag(fields[edn.Keyword(name)]) }
	kind, _ := field("type").(edn.Keyword)
	if e.Type, err = history.ParseType(string(kind)); err != nil {
		return e, false, err
	}
	if e.Process, err = d.process(field("process"), e.Type); err != nil {
		return e, false, err
	}
	if e.F = name(field("f")); e.F == "" {
		e.F = "txn" // Elle's histories leave it out
	}
	e.Node = name(field("node"))
	if e.Value, err = value(field("value")); err != nil {
		return e, false, fmt.Errorf("value: %w", err)
	}
	if fields[edn.Keyword("error")] != nil {
		text, err := value(field("error"))
		if err != nil {
			return e, false, fmt.Errorf("error: %w", err)
		}
		e.Error = unquoted(text)
	}
	at, timed := field("time").(int64)
	e.Time = time.Duration(at)
	return e, timed, nil
}

// process gives the process's number; names such as :nemesis stand for the nemesis.
func (d *decoder) process(form any, t history.Type) (int, error) {
	if !d.begun {
		d.begun, d.anonymous = true, form == nil && t == history.Invoke
	}
	switch p := form.(type) {
	case int64:
		return int(p), nil
	case edn.Keyword:
		return nemesis, nil
	case nil:
		if !d.anonymous {
			return 0, errors.New("process: none given, a number or :nemesis allowed")
		}
		if t == history.Invoke {
			d.processes++
		}
		return d.processes - 1, nil
	}
	return 0, fmt.Errorf("process: %v given, a number or :nemesis allowed", form)
}

func name(form any) string {
	switch f := form.(type) {
	case edn.Keyword:
		return string(f)
	case edn.Symbol:
		return string(f)
	case string:
		return f
	}
	return ""
}

// value gives a form as JSON. Keywords, symbols and characters become strings; sets become sorted arrays.
func value(form any) (json.RawMessage, error) {
	plain, err := simple(form)
	if err != nil {
		return nil, err
	}
	return json.Marshal(plain)
}

func simple(form any) (any, error) {
	switch f := untag(form).(type) {
	case nil, bool, int64, float64, string:
		return f, nil
	case *big.Int:
		return json.Number(f.String()), nil
	case edn.Keyword:
		return string(f), nil
	case edn.Symbol:
		return string(f), nil
	case rune:
		return string(f), nil
	case []any:
		list := make([]any, len(f))
		for i, element := range f {
			var err error
			if list[i], err = simple(element); err != nil {
				return nil, err
			}
		}
		return list, nil
	case map[any]bool:
		return sortedSet(f)
	case map[any]any:
		object := make(map[string]any, len(f))
		for k, v := range f {
			key, err := value(k)
			if err != nil {
				return nil, err
			}
			if object[unquoted(key)], err = simple(v); err != nil {
				return nil, err
			}
		}
		return object, nil
	default:
		return nil, fmt.Errorf("%v of type %T has no JSON form", f, f)
	}
}

// sortedSet orders numbers by size, and everything else by its text.
func sortedSet(set map[any]bool) (any, error) {
	elements := make([]json.RawMessage, 0, len(set))
	for element := range set {
		b, err := value(element)
		if err != nil {
			return nil, err
		}
		elements = append(elements, b)
	}
	sort.Slice(elements, func(i, j int) bool {
		var a, b float64
		if json.Unmarshal(elements[i], &a) == nil && json.Unmarshal(elements[j], &b) == nil && a != b {
			return a < b
		}
		return string(elements[i]) < string(elements[j])
	})
	return elements, nil
}

// unquoted is a JSON string's content, and any other JSON as it stands.
func unquoted(b json.RawMessage) string {
	var s string
	if json.Unmarshal(b, &s) == nil {
		return s
	}
	return string(b)
}

// splitTuple takes [key value] apart.
func splitTuple(b json.RawMessage) (key string, value json.RawMessage, err error) {
	var both []json.RawMessage
	if err := json.Unmarshal(b, &both); err != nil || len(both) != 2 {
		return "", nil, errors.New("not a tuple")
	}
	return unquoted(both[0]), both[1], nil
}
