package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"rift/harness/history"
	"rift/harness/history/jepsen"
)

// form is a way to write a history down.
type form struct {
	name string
	doc  string
	is   func(head []byte) bool // says whether a file that begins so has the form; the first that does counts
	each func(in io.Reader, o jepsen.Options, take func(history.Op) error) (history.Damage, error)
}

// forms are all that can be read.
var forms = []form{
	{"jsonl", "one JSON object a line, as Rift writes it and docs/histories.md explains it", isJSON, eachJSON},
	{"edn", "EDN maps, as in Jepsen's history.edn", jepsen.IsEDN, jepsen.EachEDN},
	{"log", "lines of Jepsen's log: process, type, function, value", func([]byte) bool { return true }, jepsen.EachLogged},
}

func findForm(flag, name string) (form, error) {
	return named(flag, name, forms, func(f form) string { return f.name })
}

// isJSON tells a JSON object or array of objects from EDN by the quote behind its bracket.
func isJSON(head []byte) bool {
	head = bytes.TrimLeft(head, " \t\r\n")
	if len(head) > 0 && head[0] == '[' {
		head = bytes.TrimLeft(head[1:], " \t\r\n")
	}
	if len(head) == 0 || head[0] != '{' {
		return false
	}
	head = bytes.TrimLeft(head[1:], " \t\r\n")
	return len(head) > 0 && head[0] == '"'
}

// eachJSON reads Rift's own lines. They hold keys and comparisons that did not match, so there is nothing to be said about them.
func eachJSON(in io.Reader, o jepsen.Options, take func(history.Op) error) (history.Damage, error) {
	if o != (jepsen.Options{}) {
		return history.Damage{}, usagef("--independent, --failed-cas-observes: given for JSON lines, which have a field for the key and one for the error")
	}
	h, damage, err := history.Read(in)
	for _, op := range h {
		if err := take(op); err != nil {
			return damage, err
		}
	}
	return damage, err
}

// source is a history in a file, and what was said about the file.
type source struct {
	path   string
	format string // empty: as it looks
	jepsen.Options
}

// each opens the file and hands on its events with the form that they have, up to the damage if there is any. The flag is the one that names
// the form.
func (s source) each(flag string, take func(f form, op history.Op) error) (form, history.Damage, error) {
	file, err := os.Open(s.path)
	if err != nil {
		return form{}, history.Damage{}, usageError{err}
	}
	defer file.Close()
	in := bufio.NewReaderSize(file, 1<<16)
	f, err := s.form(flag, in)
	if err != nil {
		return f, history.Damage{}, err
	}
	damage, err := f.each(in, s.Options, func(op history.Op) error { return take(f, op) })
	if err != nil {
		return f, damage, fmt.Errorf("read %s: %w", s.path, err)
	}
	return f, damage, nil
}

func (s source) form(flag string, in *bufio.Reader) (form, error) {
	if s.format != "" {
		return findForm(flag, s.format)
	}
	head, err := in.Peek(1 << 15)
	if err != nil && !errors.Is(err, io.EOF) {
		return form{}, usagef("read %s: %w", s.path, err)
	}
	for _, f := range forms {
		if f.is(head) {
			return f, nil
		}
	}
	panic("the last form is that of all other files")
}

// found is a history that was read from a source, as a run of which nothing else is known.
type found struct {
	run   *history.Run
	form  form
	timed bool // it has times of its own
}

// load reads the history. Events without a time come a microsecond after the one before, so that they can be drawn.
func (s source) load() (found, error) {
	run := &history.Run{Test: history.Test{Name: filepath.Base(s.path), Nemesis: []string{"not known"}}}
	got := found{run: run}
	form, damage, err := s.each("--format", func(_ form, op history.Op) error {
		got.timed = got.timed || op.Time != 0 && op.Time != time.Duration(op.Index)*time.Microsecond
		if n := len(run.History); op.Time == 0 && n > 0 {
			op.Time = run.History[n-1].Time + time.Microsecond
		}
		run.History = append(run.History, op)
		return nil
	})
	got.form, run.Damage = form, damage
	switch {
	case len(run.History) > 1 && !got.timed:
		run.Problems = append(run.Problems, "it has no times, so its events are taken to be a microsecond apart")
	case err == nil && len(run.History) == 0 && damage.Dropped == 0:
		run.Problems = append(run.Problems, fmt.Sprintf("no operation was found in it, read as %s (%s)", form.name, form.doc))
	}
	if damage.Dropped > 0 {
		run.Problems = append(run.Problems, damage.String())
	}
	return got, err
}
