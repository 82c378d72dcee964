package reports

import (
	"encoding/json"
	"io"

	"rift/checker"
	"rift/harness/history"
)

// JSON is results.json: the checkers' report for programs. checker.ParseReport reads it back.
var JSON = Format{
	Name:  "json",
	File:  history.ResultsFile,
	Doc:   "the checkers' results for programs",
	Write: writeJSON,
}

func writeJSON(w io.Writer, _ *history.Run, rep checker.Report) error {
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	return out.Encode(rep)
}
