package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"rift/harness/history"
)

// TestMembersAndLeadersChangeUnderLoad takes the reference node through every change of members and leaders: no element is lost, and the
// nodes themselves tell of new identities.
func TestMembersAndLeadersChangeUnderLoad(t *testing.T) {
	needCluster(t)
	plan := filepath.Join(t.TempDir(), "members.plan")
	text := `
at 500ms membership replace for 2s
at 3s membership shrink for 1500ms
at 5s membership promote for 1500ms
at 7s membership wipe for 1s
at 8500ms membership grow for 1s
at 10s transfer any for 500ms
at 11s leader-kill leader every=1s down=500ms for 2s
`
	if err := os.WriteFile(plan, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	store := t.TempDir()
	code, out, errOut := rift(t, "run", "--workload", "set", "--rate", "100", "--time", "14s", "--seed", "1", "--plan", plan,
		"--spares", "1", "--cluster", "local", "--bin", buildNode(t), "--store", store)
	if code != exitValid {
		t.Fatalf("exit %d\n%s\n%s", code, out, errOut)
	}
	evidence := read(t, filepath.Join(store, "latest", history.EvidenceFile))
	if !regexp.MustCompile(`and are [^"]*n[1-5]-2`).MatchString(evidence) {
		t.Errorf("nobody was given another identity:\n%s", evidence)
	}
	if views := read(t, filepath.Join(store, "latest", history.ViewsFile)); regexp.MustCompile(`n[1-6]-2`).MatchString(views) {
		t.Error("the views tell of identities, not of nodes")
	}
}
