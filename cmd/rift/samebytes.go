package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"rift/harness/history"
)

// recordedFiles are what a simulated run repeats to the byte, besides the nodes' logs; those where a difference tells most come first.
var recordedFiles = []string{history.HistoryFile, history.EvidenceFile, history.PhasesFile, history.ViewsFile, history.ClocksFile}

// sameBytes compares what two simulated runs of the same test recorded. The error says where they part first.
func sameBytes(run *history.Run, again string) error {
	files := recordedFiles
	for _, log := range run.Logs {
		files = append(files[:len(files):len(files)], filepath.Join(history.NodesDir, filepath.Base(log)))
	}
	for _, name := range files {
		was, err := readRecorded(run.Dir, name)
		if err != nil {
			return err
		}
		is, err := readRecorded(again, name)
		if err != nil {
			return err
		}
		if at := parting(was, is); at > 0 {
			return fmt.Errorf("the simulation has not repeated itself: %s of %s and %s differ from line %d on%s", name, run.Dir, again, at, builds(run))
		}
	}
	return nil
}

// readRecorded reads a file of a run's folder; one that is missing is empty.
func readRecorded(dir, name string) ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("compare runs: %w", err)
	}
	return b, nil
}

// parting is the first line, from 1, in which two files differ; 0 if they are the same.
func parting(a, b []byte) int {
	if bytes.Equal(a, b) {
		return 0
	}
	for line := 1; ; line++ {
		x, restX, moreX := bytes.Cut(a, []byte("\n"))
		y, restY, moreY := bytes.Cut(b, []byte("\n"))
		if !bytes.Equal(x, y) || moreX != moreY {
			return line
		}
		a, b = restX, restY
	}
}

// builds says that the two runs are of different builds, as far as that is known: the usual reason for a difference.
func builds(run *history.Run) string {
	switch {
	case len(run.Problems) > 0:
		return "; the folder is damaged: " + run.Problems[0]
	case run.Test.Version != fullVersion():
		return fmt.Sprintf("; the one was made by rift %s, the other by %s: another build", run.Test.Version, fullVersion())
	}
	return "; either node.wasm is another build, or something in the simulation is not drawn from the seed"
}
