package main

import (
	"slices"
	"time"

	"github.com/spf13/cobra"

	"rift/harness"
	"rift/harness/history"
	"rift/nemesis"
)

// What --disk takes besides the models of lossy disks.
const (
	diskAuto = "auto" // a lossy disk if a planned fault needs one
	diskHost = "host" // the machine's own
)

// usualDisk is the model that auto takes.
const usualDisk = "ext4"

// diskFlags are the flags that say what the nodes' data lies on. The zero value stands for auto.
type diskFlags struct {
	disk         string
	durableAfter time.Duration
}

func (d *diskFlags) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&d.disk, "disk", diskAuto, "what the nodes' data lies on: host, a lossy disk (ext4, strict), or auto: ext4 if a fault needs it")
	f.DurationVar(&d.durableAfter, "durable-after", 0, "after which a lossy disk keeps what was not synced, as a kernel writes back by itself (default: never)")
}

// resolve checks the flags, and writes into the test what they mean under the planned faults, which the run can have.
func (d diskFlags) resolve(t *history.Test, plan []history.PlannedFault) error {
	disk := d.disk
	if disk == "" {
		disk = diskAuto
	}
	disks := slices.Concat([]string{diskAuto, diskHost}, harness.DiskModels)
	if !slices.Contains(disks, disk) {
		return usagef("--disk: %q given%s", disk, nearest(disk, disks))
	}
	if disk == diskAuto {
		disk = diskHost
		if nemesis.NeedsDisk(plan) {
			disk = usualDisk
		}
	}
	switch {
	case d.durableAfter < 0:
		return usagef("--durable-after: %s given, 0 (never) or more allowed", d.durableAfter)
	case disk == diskHost && d.durableAfter > 0:
		return usagef("--durable-after: %s given, but the nodes' data lies on the machine's own disk; give it with --disk ext4 or strict", d.durableAfter)
	}
	if disk != diskHost {
		t.Disk, t.DurableAfter = disk, history.Duration(d.durableAfter)
	}
	return nil
}

// diskArgs are the flags that give a test's disk again; none for the machine's own, which is what auto then means.
func diskArgs(t history.Test) (args []string) {
	if t.Disk != "" {
		args = append(args, "--disk", t.Disk)
	}
	if t.DurableAfter > 0 {
		args = append(args, "--durable-after", time.Duration(t.DurableAfter).String())
	}
	return args
}
