package main

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"rift/harness/machine"
	"rift/nemesis"
)

// TestTheDoctorTriesEveryFault wants all of this machine that runs as root, on nodes without containers, and that nothing of it stays.
func TestTheDoctorTriesEveryFault(t *testing.T) {
	needCluster(t)
	out, err := exec.Command(buildRift(t), "doctor", "--cluster", "local", "--json").Output()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	var features, kinds []string
	for line := range strings.Lines(string(out)) {
		var f finding
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		switch {
		case !f.Available && !f.Spare, f.Available && f.Saw == "", !f.Available && (f.Why == "" || f.Get == ""):
			t.Errorf("%+v", f)
		case f.Where == "machine":
			features = append(features, f.Name)
		default:
			kinds = append(kinds, f.Name)
			if f.Nodes == "" || f.InjectMS < 0 || f.HealMS < 0 {
				t.Errorf("%s was not tried on nodes: %+v", f.Name, f)
			}
		}
	}
	for _, f := range machine.Features {
		if !slices.Contains(features, f.Name) {
			t.Errorf("the feature %q was not tried", f.Name)
		}
	}
	for _, k := range nemesis.Kinds {
		if !slices.Contains(kinds, k.Name) {
			t.Errorf("the fault %s was not tried", k.Name)
		}
	}
}

func TestTheDoctorSaysWhatIsMissing(t *testing.T) {
	var out strings.Builder
	d := &doctor{app: &app{out: &out}, out: plainFindings{&out}}
	for _, f := range []finding{
		{Where: "machine", Name: "netem", Spare: true, Why: "the kernel has none", Get: "another kernel"},
		{Where: "machine", Name: "kernel", Available: true, Saw: "Linux"},
	} {
		if err := d.tell(f); err != nil {
			t.Fatal(err)
		}
	}
	if d.exit != exitValid {
		t.Errorf("exit %d, though all is there that is needed", d.exit)
	}
	if err := d.tell(finding{Where: "local", Name: "delay", Why: "no queue", Get: "CONFIG_X"}); err != nil {
		t.Fatal(err)
	}
	if d.exit != exitInvalid {
		t.Errorf("exit %d, though a fault is missing", d.exit)
	}
	for _, want := range []string{"– machine  netem", "not needed: the kernel has none; to get it: another kernel", "✓ machine  kernel", "✗ local    delay", "no queue; to get it: CONFIG_X"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing from\n%s", want, out.String())
		}
	}
}
