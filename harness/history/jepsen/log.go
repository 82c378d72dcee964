package jepsen

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"

	"olympos.io/encoding/edn"

	"rift/harness/history"
)

// logLine is an operation in Jepsen's log, whatever stands before it: process, type, function, value.
var logLine = regexp.MustCompile(`(?:^|\s)(\d+|:[\w-]+)\s+:(invoke|ok|fail|info)\s+:(\S+)(?:\s+(.*))?$`)

// EachLogged hands on the operations from the lines of Jepsen's log, up to the first that is damaged; other lines are skipped. A
// completion's value that is a keyword, such as :timed-out, is its error. There are no times: each operation comes a microsecond after the one
// before. A last line that is not ended counts as damaged, since the value at its end may have been longer. An error is one of in or of take.
func EachLogged(in io.Reader, o Options, take func(history.Op) error) (history.Damage, error) {
	s := sequence{Options: o, take: take}
	lines := bufio.NewReaderSize(in, 1<<16)
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return history.Damage{}, err
		}
		m := logLine.FindSubmatch(bytes.TrimRight(line, "\r\n"))
		switch {
		case m != nil && err != nil:
			return damaged(n, errors.New("the line is not ended, so it may be cut off"), bytes.NewReader(line))
		case err != nil:
			return history.Damage{}, nil
		case m == nil:
			continue
		}
		e, err := logged(m)
		if err == nil {
			err = s.add(e, false)
		}
		if s.refused != nil {
			return history.Damage{}, s.refused
		}
		if err != nil {
			return damaged(n, err, io.MultiReader(bytes.NewReader(line), lines))
		}
	}
}

func logged(m [][]byte) (e history.Op, err error) {
	e.Process, e.F = nemesis, string(m[3])
	if m[1][0] != ':' {
		if e.Process, err = strconv.Atoi(string(m[1])); err != nil {
			return e, fmt.Errorf("process: %w", err)
		}
	}
	if e.Type, err = history.ParseType(string(m[2])); err != nil {
		return e, err
	}
	if len(m[4]) == 0 {
		return e, nil
	}
	if e.Nemesis() { // it logs sentences
		e.Value, err = json.Marshal(string(m[4]))
		return e, err
	}
	var form any
	if err := edn.Unmarshal(m[4], &form); err != nil {
		return e, fmt.Errorf("value: %w", err)
	}
	if k, ok := form.(edn.Keyword); ok && (e.Type == history.Fail || e.Type == history.Info) {
		e.Error = string(k)
		return e, nil
	}
	e.Value, err = value(form)
	return e, err
}
