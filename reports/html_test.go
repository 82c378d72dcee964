package reports

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestDrawScenarios writes the reports of all scenarios into the folder RIFT_DRAW, to be looked at.
func TestDrawScenarios(t *testing.T) {
	dir := os.Getenv("RIFT_DRAW")
	if dir == "" {
		t.Skip("RIFT_DRAW names no folder for the reports")
	}
	for name, s := range scenarios {
		run, rep := s.run()
		var b bytes.Buffer
		if err := HTML.Write(&b, run, rep); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d events, %d bytes, %s", name, len(run.History), b.Len(), rep.Verdict)
		if err := os.WriteFile(filepath.Join(dir, name+".html"), b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
