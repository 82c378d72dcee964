package main

import (
	"strings"
	"testing"
	"time"

	"rift/harness/history"
)

func TestDiskFlags(t *testing.T) {
	kill, power := []history.PlannedFault{{Kind: "kill"}}, []history.PlannedFault{{Kind: "kill"}, {Kind: "power"}}
	for _, c := range []struct {
		disk  string
		after time.Duration
		plan  []history.PlannedFault
		args  string // that give the same disk again
		wrong string // what the error says
	}{
		{"", 0, kill, "", ""},
		{"auto", 0, kill, "", ""},
		{"auto", 0, power, "--disk ext4", ""},
		{"host", 0, kill, "", ""},
		{"strict", 0, nil, "--disk strict", ""},
		{"strict", 5 * time.Second, power, "--disk strict --durable-after 5s", ""},
		{"auto", time.Second, power, "--disk ext4 --durable-after 1s", ""},
		{"auto", time.Second, kill, "", "--durable-after: 1s given, but the nodes' data lies on the machine's own disk"},
		{"ext4", -time.Second, power, "", "--durable-after: -1s given, 0 (never) or more allowed"},
		{"ext5", 0, power, "", `--disk: "ext5" given; did you mean "ext4"?`},
	} {
		var test history.Test
		err := diskFlags{disk: c.disk, durableAfter: c.after}.resolve(&test, c.plan)
		if (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("--disk %s --durable-after %s: error %v, want %q", c.disk, c.after, err, c.wrong)
		}
		if got := strings.Join(diskArgs(test), " "); err == nil && got != c.args {
			t.Errorf("--disk %s --durable-after %s: repeated with %q, want %q", c.disk, c.after, got, c.args)
		}
	}
}
