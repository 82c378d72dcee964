package jepsen

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strconv"

	"olympos.io/encoding/edn"

	"rift/harness/history"
)

// maxLine bounds one line of a log, in bytes.
const maxLine = 64 << 20

// logLine is an operation in Jepsen's log, whatever stands before it: process, type, function, value.
var logLine = regexp.MustCompile(`(?:^|\s)(\d+|:[\w-]+)\s+:(invoke|ok|fail|info)\s+:(\S+)(?:\s+(.*))?$`)

// ReadLog reads the operations from the lines of Jepsen's log; other lines are skipped. A completion's value that is a
// keyword, such as :timed-out, is its error. There are no times: each operation comes a microsecond after the one before.
func ReadLog(in io.Reader, o Options) (history.History, error) {
	r := reader{Options: o}
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 1<<16), maxLine)
	for n := 1; lines.Scan(); n++ {
		m := logLine.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		e, err := logged(m)
		if err == nil {
			err = r.add(e, false)
		}
		if err != nil {
			return r.h, fmt.Errorf("read log: line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return r.h, fmt.Errorf("read log: %w", err)
	}
	return r.h, nil
}

func logged(m []string) (e history.Op, err error) {
	e.Process, e.F = nemesis, m[3]
	if m[1][0] != ':' {
		if e.Process, err = strconv.Atoi(m[1]); err != nil {
			return e, fmt.Errorf("process: %w", err)
		}
	}
	if e.Type, err = history.ParseType(m[2]); err != nil {
		return e, err
	}
	if m[4] == "" {
		return e, nil
	}
	if e.Nemesis() { // it logs sentences
		e.Value, err = json.Marshal(m[4])
		return e, err
	}
	var form any
	if err := edn.UnmarshalString(m[4], &form); err != nil {
		return e, fmt.Errorf("value: %w", err)
	}
	if k, ok := form.(edn.Keyword); ok && (e.Type == history.Fail || e.Type == history.Info) {
		e.Error = string(k)
		return e, nil
	}
	e.Value, err = value(form)
	return e, err
}
