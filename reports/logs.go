package reports

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

const (
	excerptLines = 60          // of one node's log
	excerptRunes = 400         // of one line
	logSlack     = time.Second // how much of a log around a violation is shown
)

// excerpt is a few lines of a node's log.
type excerpt struct {
	Node  string
	Lines []string
	Note  string // which lines these are
	Open  bool   // of the node that gave the wrong answer
}

// timestamp finds the first RFC 3339 time in a line, as slog, zap and most others write it.
var timestamp = regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?`)

// window is a part of the run by the wall clock; the zero value is none.
type window struct{ from, to time.Time }

// excerpts reads the nodes' logs: the lines within the window, or the last ones where there is no window or no line falls into it.
// A node's lines carry its own clock, which faults may have moved.
func excerpts(paths []string, w window) []excerpt {
	var list []excerpt
	for _, path := range paths {
		e := excerpt{Node: strings.TrimSuffix(filepath.Base(path), ".log")}
		f, err := os.Open(path)
		if err == nil {
			e.Lines, e.Note, err = excerptOf(f, w)
			f.Close()
		}
		if err != nil {
			e.Note = fmt.Sprintf("The log could not be read: %v", err)
		}
		list = append(list, e)
	}
	return list
}

func excerptOf(r io.Reader, w window) (lines []string, note string, err error) {
	var inside, last tail
	in := bufio.NewReaderSize(r, 1<<16)
	near := false
	for {
		line, readErr := in.ReadString('\n')
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			if at, ok := timeOf(line); ok { // a line without a time belongs to the one before
				near = !at.Before(w.from) && !at.After(w.to)
			}
			if near && !w.to.IsZero() {
				inside.add(line)
			}
			last.add(line)
		}
		if readErr == io.EOF {
			break
		}
		if readErr != nil {
			return nil, "", readErr
		}
	}
	if len(inside.lines) > 0 {
		return inside.lines, fmt.Sprintf("%s around the violation, by the node's own clock", inside.String()), nil
	}
	return last.lines, last.String() + " at the end of the log", nil
}

// tail keeps the last lines.
type tail struct {
	lines []string
	total int
}

func (t *tail) add(line string) {
	t.total++
	t.lines = append(t.lines, clip(strings.ToValidUTF8(line, "\uFFFD"), excerptRunes))
	if len(t.lines) > excerptLines {
		t.lines = t.lines[1:]
	}
}

func (t *tail) String() string {
	if t.total > len(t.lines) {
		return fmt.Sprintf("The last %d of %s lines", len(t.lines), grouped(t.total))
	}
	return counted(t.total, "line")
}

func timeOf(line string) (time.Time, bool) {
	text := timestamp.FindString(line)
	if text == "" {
		return time.Time{}, false
	}
	text = strings.Replace(strings.Replace(text, " ", "T", 1), ",", ".", 1)
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}
