package jepsen

import (
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

// ReadEDN reads a history of maps, one after the other or all in one vector or list. Fields other than process,
// type, f, value, node, time and error are ignored. An operation without a time comes a microsecond after the one before.
func ReadEDN(in io.Reader, o Options) (history.History, error) {
	r := reader{Options: o}
	d := edn.NewDecoder(in)
	for {
		var form any
		err := d.Decode(&form)
		if errors.Is(err, io.EOF) {
			return r.h, nil
		}
		if err != nil {
			return r.h, fmt.Errorf("read EDN after operation %d: %w", len(r.h), err)
		}
		all, ok := untag(form).([]any)
		if !ok {
			all = []any{form}
		}
		for _, form := range all {
			e, timed, err := operation(form)
			if err == nil {
				err = r.add(e, timed)
			}
			if err != nil {
				return r.h, fmt.Errorf("read EDN: operation %d: %w", len(r.h), err)
			}
		}
	}
}

// untag takes the tag off a form such as #jepsen.history.Op{...}.
func untag(form any) any {
	if t, ok := form.(edn.Tag); ok {
		return untag(t.Value)
	}
	return form
}

func operation(form any) (e history.Op, timed bool, err error) {
	fields, ok := untag(form).(map[any]any)
	if !ok {
		return e, false, fmt.Errorf("%.60v given, a map allowed", form)
	}
	field := func(name string) any { return untag(fields[edn.Keyword(name)]) }
	if e.Process, err = process(field("process")); err != nil {
		return e, false, err
	}
	kind, _ := field("type").(edn.Keyword)
	if e.Type, err = history.ParseType(string(kind)); err != nil {
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
func process(form any) (int, error) {
	switch p := form.(type) {
	case int64:
		return int(p), nil
	case edn.Keyword:
		return nemesis, nil
	case nil:
		return 0, errors.New("process: none given, a number or :nemesis allowed")
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
