// Package reports tells people and programs what a run found: it owns the formats, and nothing of the verdict.
//
// The one idea behind it: a report is a function of the run's folder and of the checkers' report, without a clock
// and without a network, so that the same run gives the same bytes on every machine and opens anywhere for ever.
// Whatever came out of the system under test (values, logs, node names, errors) is hostile until it is escaped.
//
// To add a format, write one file with its Format and one line in Formats.
package reports

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"

	"rift/checker"
	"rift/harness/history"
)

// Format is one way to write a run down.
type Format struct {
	Name string // as --format takes it
	File string // the file in the run's folder that Write puts it in; empty: only on demand
	Doc  string // one sentence
	// Write writes the report. It only reads the run and the report, and the node logs that the run names.
	Write func(w io.Writer, run *history.Run, rep checker.Report) error
}

// Formats are all formats, in the order in which they are listed.
var Formats = []Format{HTML, JSON, JUnit, Text, Markdown}

// Write puts each format that has a file into the run's folder. The error names the format that could not be written.
func Write(dir string, run *history.Run, rep checker.Report) error {
	for _, f := range Formats {
		if f.File == "" {
			continue
		}
		var b bytes.Buffer
		if err := f.Write(&b, run, rep); err != nil {
			return fmt.Errorf("write %s report: %w", f.Name, err)
		}
		if err := history.WriteFile(filepath.Join(dir, f.File), b.Bytes()); err != nil {
			return fmt.Errorf("write %s report: %w", f.Name, err)
		}
	}
	return nil
}
